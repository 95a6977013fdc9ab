"""Requests: the form, one request with its steps and clocks, and the step that is done."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries, rules
from . import forms, matter_forms
from .lists import OUTCOMES, TONES


@page(permission="sharing.request")
def new(request: ActorRequest, name: str) -> HttpResponse:
    """The request form for one dataset or library."""
    viewer = request.actor
    resource = queries.resource(viewer, name)
    if resource is None:
        raise Http404
    share = rules.share_of(resource.terms)
    columns = services.fields(viewer, resource)
    context = {
        "resource": resource,
        "share": share,
        "share_title": rules.SHARE_TYPES[rules.share_type(resource.terms)],
        "days": 1 if rules.share_type(resource.terms) == rules.UNCONDITIONAL else 10,
        "cancel_url": reverse("sharing:choose"),
        "forbidden": rules.share_type(resource.terms) == rules.FORBIDDEN,
        "in_basket": queries.in_basket(viewer, resource),
    }
    renewed = queries.grant(viewer, request.GET.get("renew", ""))
    initial = (
        forms.initial_of(rules.renewal(renewed.terms, timezone.localdate())) if renewed else {}
    )
    form = forms.RequestForm(request.POST or None, columns=columns, initial=initial)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect(f"{reverse('sharing:list')}?side=asked")
        try:
            made = actions.request_share(resource=resource, request=form.request, by=viewer)
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, f"申请已提交，编号 {made.code}")
            return redirect("sharing:case", made.code)
    return render(request, "sharing/new.html", {**context, "form": form})


def _path_steps(case: Any) -> tuple[list[tuple[str, str]], int, bool]:
    titles = ["提出申请", "申请部门同意", "提供部门答复", "提供部门负责人同意", "开通服务"]
    order = {
        "consent": 1,
        "answer_unconditional": 2,
        "answer_conditional": 2,
        "supplement": 2,
        "approve": 3,
        "approve_refusal": 3,
        "deliver": 4,
    }
    items = list(case.items.all())
    at = max((order.get(i.step, 0) for i in items if i.done_at is None), default=0)
    if case.outcome == "delivered":
        return [(t, "") for t in titles], len(titles), False
    if case.state == "closed":
        at = max((order.get(i.step, 0) for i in items), default=1)
        return [(t, "") for t in titles], at, True
    return [(t, "") for t in titles], at, False


@page(permission="sharing.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One request: what is asked, its steps with clocks, and what the viewer may do now."""
    viewer = request.actor
    found = queries.request(viewer, code)
    if found is None:
        if queries.matter(viewer, code) is not None:
            return redirect("sharing:matter", code)
        raise Http404
    return render(request, "sharing/case.html", _case_context(viewer, found))


def _operations(request: rules.Request) -> str:
    return "、".join(rules.OPERATIONS.get(o, o) for o in request.allowed_operations)


def _scope(request: rules.Request, titles: dict[str, str]) -> str:
    named = (f"{titles.get(k, k)}：{'、'.join(v)}" for k, v in request.scope.items())
    return "；".join(named) or "不限定"


def _part_pairs(part: queries.Part, titles: dict[str, str]) -> list[tuple[str, ...]]:
    """One dataset of a request: what is asked of it, and what the provider would allow."""

    def named(names: tuple[str, ...]) -> str:
        return "、".join(titles.get(n, n) for n in names)

    asked, allowed = part.asked, part.allowed
    out: list[tuple[str, ...]] = [
        ("数据项", named(asked.fields), "full"),
        ("明文数据项", named(asked.plain) or "无（全部脱敏）", "full"),
        ("使用明文的理由", asked.plain_reason, "full"),
        ("限定范围", _scope(asked, titles), "full"),
    ]
    if part.refused:
        out.append(("提供部门意见", "该数据集不同意共享，理由见答复意见", "full"))
    if allowed is not None:
        out += [
            ("同意的数据项", named(allowed.fields), "full"),
            ("同意明文", named(allowed.plain) or "无", "full"),
            ("同意的使用方式", _operations(allowed), "full"),
            ("同意的时限", f"至 {allowed.until}"),
            (
                "同意的次数",
                f"每日 {allowed.calls_per_day:,}，每秒 {allowed.calls_per_second:,}",
            ),
            ("处置要求", part.disposal, "full"),
        ]
    return out


def _case_context(viewer: Any, found: Any, **more: Any) -> dict[str, Any]:
    parts = queries.parts_of(viewer, found)
    resource, asked = parts[0].resource, parts[0].asked
    columns = {p.number: services.fields(viewer, p.resource) for p in parts}
    titles = {n: {f.name: f.title for f in listed} for n, listed in columns.items()}
    to_do = []
    for item in queries.mine_to_do(viewer, found):
        entry: dict[str, Any] = {"item": item, "outcomes": item.declared.outcomes}
        if item.step.startswith("answer_"):
            entry["allow"] = [
                (
                    p.resource.title,
                    forms.AllowForm(
                        request=p.asked,
                        titles=titles[p.number],
                        prefix=_first_or(p.number, "allow"),
                    ),
                )
                for p in parts
            ]
            used = found.items.filter(outcome="supplement").exists()
            entry["outcomes"] = [
                o for o in item.declared.outcomes if not (used and o.name == "supplement")
            ]
        if item.step == "supplement":
            entry["request_forms"] = [
                (
                    p.resource.title,
                    forms.RequestForm(
                        columns=columns[p.number],
                        initial=forms.initial_of(p.asked),
                        prefix=f"part{p.number + 1}" if p.number else None,
                    ),
                )
                for p in parts
            ]
            entry["outcomes"] = [o for o in item.declared.outcomes if o.name != "submit"]
        to_do.append(entry)
    given = [
        (g, queries.stands(g), services.client_of(viewer, g), services.service_of(viewer, r))
        for g in queries.grants_of(viewer, found)
        if (r := g.resource) is not None
    ]
    extension = queries.extension_of(viewer, found)
    extension_items = queries.mine_to_do(viewer, extension) if extension else []
    waiting = queries.waiting_answer(found)
    steps, current, failed = _path_steps(found)
    return {
        "case": found,
        "resource": resource,
        "asked": asked,
        "pairs": [
            ("提供部门", str(found.department)),
            ("申请部门", str(found.applicant)),
            ("共享属性", rules.SHARE_TYPES[found.data["share_type"]]),
            ("使用时限", f"至 {asked.until}"),
            ("使用依据", asked.basis, "full"),
            ("使用场景", asked.scene, "full"),
            ("用途", asked.purpose, "full"),
            ("使用方式", _operations(asked), "full"),
            ("共享方式", asked.method),
            ("调用次数", f"每日 {asked.calls_per_day:,}，每秒 {asked.calls_per_second:,}"),
            ("允许的网段", "、".join(asked.networks) or "不限"),
            ("请求签名", rules.SIGNATURES[asked.signature]),
        ],
        "parts": [(p, _part_pairs(p, titles[p.number])) for p in parts],
        "steps": steps,
        "current": current,
        "failed": failed,
        "items": queries.steps(viewer, found),
        "to_do": to_do,
        "outcome_title": OUTCOMES.get(found.outcome, found.outcome),
        "outcome_tone": TONES.get(found.outcome, "grey"),
        "timeline": queries.timeline(viewer, found),
        "given": [
            {
                "grant": g,
                "state": state,
                "client": client,
                "service": service,
                "may_collect": bool(
                    client
                    and client.collected_at is None
                    and found.outcome == "delivered"
                    and viewer.may("services.use", g.grantee)
                ),
            }
            for g, state, client, service in given
        ],
        "extension": extension,
        "extension_items": extension_items,
        "may_extend": waiting is not None
        and extension is None
        and viewer.may("sharing.answer", found.department),
        "extension_form": forms.ExtensionForm(),
        **more,
    }


def _first_or(number: int, name: str) -> str:
    return name if number == 0 else f"{name}{number + 1}"


def _sent(viewer: Any, case: Any, item: Any, outcome: str, post: Any) -> dict[str, Any]:
    """What the forms of an answer or a supplement say, by the datasets' names."""
    answer = item.step.startswith("answer_") and outcome == "agree"
    if not answer and not (item.step == "supplement" and outcome == "submit"):
        return {}
    each: dict[str, Any] = {}
    for part in queries.parts_of(viewer, case):
        columns = services.fields(viewer, part.resource)
        form: Any
        if answer:
            form = forms.AllowForm(
                post,
                request=part.asked,
                titles={f.name: f.title for f in columns},
                prefix=_first_or(part.number, "allow"),
            )
        else:
            prefix = f"part{part.number + 1}" if part.number else None
            form = forms.RequestForm(post, columns=columns, prefix=prefix)
        if not form.is_valid():
            raise UserError("；".join(str(t) for errors in form.errors.values() for t in errors))
        each[part.resource.name] = form.allowed() if answer else form.request
    return {"allowed_each": each} if answer else {"requests": each}


@page(permission="sharing.read")
@require_POST
def step(request: ActorRequest, number: int) -> HttpResponse:
    """Do one step of a sharing case."""
    viewer = request.actor
    item = queries.item(viewer, number)
    if item is None:
        raise Http404
    if item.case.path.key in queries.MATTERS:
        return _matter_step(request, item)
    code = item.case.data.get("case") or item.case.code
    found = queries.request(viewer, code)
    if found is None:
        raise Http404
    if not once(request):
        return redirect("sharing:case", code)
    outcome, note = request.POST.get("outcome", "done"), request.POST.get("note", "")
    data = _sent(viewer, found, item, outcome, request.POST)
    actions.do_step(item=item, outcome=outcome, note=note, data=data, by=viewer)
    messages.success(request, f"“{item.title}”已办理")
    return redirect("sharing:case", code)


def _matter_step(request: ActorRequest, item: Any) -> HttpResponse:
    viewer, code = request.actor, item.case.code
    if queries.matter(viewer, code) is None:
        raise Http404
    if not once(request):
        return redirect("sharing:matter", code)
    data: dict[str, Any] = {}
    form = matter_forms.form_of(viewer, item.case, item.step, request.POST)
    if form is not None:
        if not form.is_valid():
            raise UserError("；".join(str(t) for errors in form.errors.values() for t in errors))
        data = matter_forms.sent(form)
    outcome, note = request.POST.get("outcome", "done"), request.POST.get("note", "")
    actions.do_step(item=item, outcome=outcome, note=note, data=data, by=viewer)
    messages.success(request, f"“{item.title}”已办理")
    return redirect("sharing:matter", code)


@page(permission="sharing.answer")
@require_POST
def extension(request: ActorRequest, code: str) -> HttpResponse:
    """Ask the bureau for more time to answer."""
    found = queries.request(request.actor, code)
    if found is None:
        raise Http404
    form = forms.ExtensionForm(request.POST)
    if not form.is_valid():
        raise UserError("；".join(str(t) for errors in form.errors.values() for t in errors))
    if once(request):
        actions.ask_extension(
            case=found,
            days=form.cleaned_data["days"],
            reason=form.cleaned_data["reason"],
            by=request.actor,
        )
        messages.success(request, "延期申请已送数据主管部门审核")
    return redirect("sharing:case", code)


@never_cache
@sensitive_variables("shown")
@page(permission="services.use")
@require_POST
def secret(request: ActorRequest, code: str) -> HttpResponse:
    """Collect the secret of a grant's credential: shown this once."""
    viewer = request.actor
    found = queries.request(viewer, code)
    wanted = request.POST.get("grant", "")
    given = queries.grants_of(viewer, found) if found else []
    grant = next((g for g in given if not wanted or g.code == wanted), None)
    client = services.client_of(viewer, grant) if grant else None
    if found is None or client is None:
        raise Http404
    shown = services.collect_secret(client=client, by=viewer)
    return render(request, "sharing/secret.html", {"case": found, "grant": grant, "token": shown})
