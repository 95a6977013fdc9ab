"""Views: requests, the desk, one request with its steps and clocks, grants, the bureau's overview."""

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
from lianyun.ui import charts
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Bulk, Column, Empty, Filter, Table

from .. import actions, queries, rules
from . import forms, matter_forms

OUTCOMES = {"delivered": "已开通", "refused": "不同意", "withdrawn": "已撤回", "": "办理中"}
TONES = {"delivered": "green", "refused": "red", "withdrawn": "grey", "": "blue"}


def _current(case: Any) -> str:
    waiting = [i.title for i in case.items.all() if i.done_at is None]
    return "、".join(waiting) if waiting else "—"


def _due(case: Any) -> Any:
    dues = [i.due_on for i in case.items.all() if i.done_at is None and i.due_on]
    return min(dues) if dues else None


@page(permission="sharing.read")
def listing(request: ActorRequest) -> HttpResponse:
    """Requests: what one's own department asked, what it was asked, or all."""
    viewer = request.actor
    side = request.GET.get("side", "")
    side = side if side in ("asked", "received") else ""
    rows = queries.requests(viewer, side).prefetch_related("items")
    table = Table(
        request,
        rows,
        columns=[
            Column(
                "title",
                "申请",
                primary=True,
                link=lambda c: reverse("sharing:case", args=[c.code]),
                sub=lambda c: c.code,
            ),
            Column("applicant.short", "申请部门", cell=lambda c: str(c.applicant)),
            Column("department.short", "提供部门", cell=lambda c: str(c.department), phone=False),
            Column("now", "当前环节", cell=_current),
            Column("due", "法定时限", kind="lamp", cell=_due),
            Column(
                "outcome",
                "结果",
                kind="badge",
                cell=lambda c: OUTCOMES.get(c.outcome, c.outcome),
                tone=lambda c: TONES.get(c.outcome, "grey"),
            ),
            Column("opened_at", "申请时间", kind="stamp", sort=True, phone=False),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|code__icontains"),
            Filter(
                "outcome",
                "结果",
                "select",
                choices=[
                    ("open", "办理中"),
                    ("delivered", "已开通"),
                    ("refused", "不同意"),
                    ("withdrawn", "已撤回"),
                ],
                apply=lambda r, v: r.filter(outcome="" if v == "open" else v),
            ),
        ],
        caption="共享申请",
        export_name="共享申请",
        empty=Empty(
            "还没有共享申请",
            "在数据目录中找到需要的数据，说明使用依据和场景即可申请。",
            reverse("sharing:choose") if viewer.may("sharing.request") else "",
            "申请共享",
        ),
    )
    base = reverse("sharing:list")
    tabs = [
        ("全部", base),
        ("本部门申请的", f"{base}?side=asked"),
        ("申请本部门数据的", f"{base}?side=received"),
    ]
    return table.respond(
        request, "sharing/list.html", {"tab_list": tabs, "notices": queries.notices(viewer)}
    )


@page(permission="sharing.read")
def desk(request: ActorRequest) -> HttpResponse:
    """Steps that wait for the viewer, the most urgent first."""
    table = Table(
        request,
        queries.desk(request.actor).select_related("case__applicant", "case__department"),
        columns=[
            Column(
                "title",
                "环节",
                primary=True,
                link=lambda i: reverse(
                    "sharing:case", args=[i.case.data.get("case") or i.case.code]
                ),
                sub=lambda i: i.case.title,
            ),
            Column("applicant", "申请部门", cell=lambda i: str(i.case.applicant)),
            Column("provider", "提供部门", cell=lambda i: str(i.case.department), phone=False),
            Column("basis", "依据", phone=False),
            Column("due_on", "时限", kind="lamp"),
            Column("opened_at", "到达时间", kind="stamp", phone=False),
        ],
        filters=[Filter("q", "关键词", lookup="case__title__icontains|case__code__icontains")],
        caption="共享待办",
        row_class=lambda i: "overdue" if i.overdue else "",
        empty=Empty("没有待办", "需要您办理的共享申请会出现在这里。", icon="check"),
    )
    return table.respond(request, "sharing/desk.html")


@page(permission="sharing.request")
def choose(request: ActorRequest) -> HttpResponse:
    """Which data to ask for."""
    table = Table(
        request,
        queries.requestable(request.actor),
        columns=[
            Column("title", "数据", primary=True, sub=lambda r: r.code),
            Column("owner.short", "提供部门", cell=lambda r: str(r.owner)),
            Column(
                "share",
                "共享属性",
                kind="badge",
                cell=lambda r: rules.SHARE_TYPES[rules.share_type(r.terms)],
                tone=lambda r: {1: "green", 2: "blue", 3: "grey"}[rules.share_type(r.terms)],
            ),
            Column(
                "ask",
                "操作",
                kind="actions",
                cell=lambda r: "不予共享" if rules.share_type(r.terms) == 3 else "申请",
                link=lambda r: reverse("sharing:new", args=[r.name]),
                export=False,
            ),
        ],
        filters=[
            Filter(
                "q",
                "数据名称、代码或部门",
                lookup="title__icontains|code__icontains|owner__name__icontains",
            )
        ],
        caption="可申请的数据",
        bulk=[Bulk("加入选数车", reverse("sharing:put_many"), tone="primary")],
        pick=lambda r: r.name,
        empty=Empty("没有找到数据", "换个关键词再试。", icon="search"),
    )
    return table.respond(request, "sharing/choose.html")


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


@page(permission="sharing.read")
def grants(request: ActorRequest) -> HttpResponse:
    """Grants given and held."""
    viewer = request.actor
    table = Table(
        request,
        queries.grants(viewer),
        columns=[
            Column(
                "code",
                "授权",
                primary=True,
                link=lambda g: reverse("sharing:grant", args=[g.code]),
                sub=lambda g: g.resource.title if g.resource else "",
            ),
            Column("grantee.short", "使用部门", cell=lambda g: str(g.grantee)),
            Column("grantor.short", "提供部门", cell=lambda g: str(g.grantor), phone=False),
            Column("purpose", "用途", cell=lambda g: g.terms.get("purpose", ""), phone=False),
            Column("calls", "每日次数", kind="number", cell=lambda g: g.terms.get("calls_per_day")),
            Column("valid_to", "到期", kind="date", sort=True),
            Column("state", "状态", kind="state", cell=queries.stands),
        ],
        filters=[
            Filter(
                "q",
                "关键词",
                lookup="code__icontains|resource__title__icontains|grantee__name__icontains",
            ),
            Filter(
                "state",
                "状态",
                "select",
                choices=[("active", "有效"), ("suspended", "暂停"), ("revoked", "撤销")],
                lookup="state",
            ),
        ],
        caption="共享授权",
        export_name="共享授权",
        empty=Empty(
            "还没有授权", "共享申请经提供部门负责人同意后，授权会出现在这里。", icon="grant"
        ),
    )
    return table.respond(request, "sharing/grants.html")


@page(permission="sharing.read")
def grant(request: ActorRequest, code: str) -> HttpResponse:
    """One grant: what it allows, its use, and how it may be stopped or ended."""
    viewer = request.actor
    found = queries.grant(viewer, code)
    if found is None or found.resource is None:
        raise Http404
    columns = {f.name: f.title for f in services.fields(viewer, found.resource)}
    terms = found.terms
    masks = terms.get("masks") or {}
    stands = queries.stands(found)
    bureau = viewer.may("sharing.supervise")
    provider = viewer.may("sharing.approve", found.grantor)
    user = viewer.may("sharing.request", found.grantee)
    disposal = queries.disposal_of(viewer, found)
    waiting = queries.mine_to_do(viewer, disposal) if disposal else []
    return render(
        request,
        "sharing/grant.html",
        {
            "grant": found,
            "stands": stands,
            "pairs": [
                ("数据", found.resource.title),
                ("提供部门", str(found.grantor)),
                ("使用部门", str(found.grantee)),
                ("用途", terms.get("purpose", ""), "full"),
                ("使用依据", terms.get("basis", ""), "full"),
                ("有效期", f"{timezone.localtime(found.valid_from):%Y-%m-%d} 起"),
                (
                    "到期",
                    f"{timezone.localtime(found.valid_to):%Y-%m-%d %H:%M}"
                    if found.valid_to
                    else "长期",
                ),
                (
                    "使用方式",
                    "、".join(rules.OPERATIONS.get(o, o) for o in terms.get("operations", ()))
                    or terms.get("method", ""),
                    "full",
                ),
                (
                    "调用次数",
                    f"每日 {terms.get('calls_per_day', 0):,}"
                    + (f"，每秒 {s:,}" if (s := terms.get("calls_per_second")) else ""),
                ),
                ("允许的网段", "、".join(terms.get("networks") or ()) or "不限"),
                ("请求签名", rules.SIGNATURES.get(terms.get("signature", "none"), "")),
                ("今日已用", f"{services.used_today(viewer, [found]).get(found.pk, 0):,}"),
                (
                    "限定范围",
                    "；".join(
                        f"{columns.get(k, k)}：{'、'.join(v)}"
                        for k, v in (terms.get("scope") or {}).items()
                    )
                    or "不限定",
                    "full",
                ),
                ("处置要求", terms.get("disposal", ""), "full"),
                ("原因", found.reason, "full"),
            ],
            "fields": [(columns.get(f, f), f, f in masks) for f in terms.get("fields", ())],
            "timeline": queries.grant_timeline(viewer, found),
            "may_stop": (bureau or provider) and stands in ("active", "suspended"),
            "may_resume": (bureau or provider) and found.state == "suspended",
            "needs_filing": provider and not bureau,
            "may_finish": user and stands in ("active", "suspended"),
            "may_report": (bureau or provider or viewer.may("sharing.answer", found.grantor))
            and stands in ("active", "suspended"),
            "may_dispose": user
            and stands in ("revoked", "expired")
            and (disposal is None or any(i.step == "dispose" for i in waiting)),
            "disposal_form": matter_forms.form_of_disposal(viewer),
            "disposal": disposal,
            "disposed": (disposal.data.get("disposed") or {}) if disposal else {},
            "matters": queries.about_grant(viewer, found),
            "stop_form": forms.StopForm(),
            "service": services.service_of(viewer, found.resource),
            "reportable": found.resource.kind == "dataset" and viewer.may("quality.report"),
            "may_dispute": user or viewer.may("sharing.answer", found.grantor),
            "may_renew": user,
            "uses": queries.use_records(viewer, found)[:20],
            "use_form": forms.UseRecordForm() if user else None,
        },
    )


@page(permission="sharing.read")
@require_POST
def change_grant(request: ActorRequest, code: str, verb: str) -> HttpResponse:
    """Suspend, resume, revoke, finish or confirm the disposal of a grant."""
    viewer = request.actor
    found = queries.grant(viewer, code)
    if found is None:
        raise Http404
    if not once(request):
        return redirect("sharing:grant", code)
    reason = request.POST.get("reason", "")
    if verb in ("suspend", "revoke"):
        if not viewer.may("sharing.supervise"):
            asked = actions.ask_stop(grant=found, verb=verb, reason=reason, by=viewer)
            messages.success(request, "已送使用部门协商，备案后停止")
            return redirect("sharing:matter", asked.code)
        stop = actions.suspend_share if verb == "suspend" else actions.revoke_share
        stop(grant=found, reason=reason, by=viewer)
    elif verb == "resume":
        actions.resume_share(grant=found, reason=reason, by=viewer)
    elif verb == "finish":
        actions.finish_use(grant=found, note=reason, by=viewer)
    elif verb == "dispose":
        form = matter_forms.DisposedForm({**request.POST.dict(), "how": reason})
        if not form.is_valid():
            raise UserError("；".join(str(t) for errors in form.errors.values() for t in errors))
        actions.confirm_disposal(grant=found, how=reason, more=matter_forms.sent(form), by=viewer)
    else:
        raise Http404
    messages.success(request, "已办理，立即生效")
    return redirect("sharing:grant", code)


@page(permission="sharing.read")
def misuse(request: ActorRequest, code: str) -> HttpResponse:
    """Say what looks like misuse of a grant, and why."""
    viewer = request.actor
    found = queries.grant(viewer, code)
    if found is None:
        raise Http404
    form = forms.MisuseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("sharing:grant", code)
        try:
            made = actions.open_misuse(grant=found, evidence=form.evidence(), by=viewer)
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, "已送数据主管部门核实")
            return redirect("sharing:matter", made.code)
    return render(request, "sharing/misuse.html", {"grant": found, "form": form})


@page(permission="sharing.supervise")
def overview(request: ActorRequest) -> HttpResponse:
    """The bureau's view: what is overdue, and how each department keeps its legal clocks."""
    viewer = request.actor
    by_step, by_department = queries.clocks(viewer)
    late = [c for c in by_department if c.overdue or c.late]
    figure = (
        charts.one(
            "bars", "逾期环节最多的部门", [(c.title, c.overdue + c.late) for c in late[:10]], "个"
        )
        if late
        else None
    )
    table = Table(
        request,
        by_department,
        columns=[
            Column("title", "部门", primary=True),
            Column("done", "已办环节", kind="number", sort=True),
            Column("waiting", "在办", kind="number", sort=True),
            Column(
                "overdue",
                "逾期未办",
                kind="badge",
                sort=True,
                tone=lambda c: "red" if c.overdue else "grey",
            ),
            Column("late", "逾期办结", kind="number", sort=True),
            Column(
                "on_time",
                "按时率",
                cell=lambda c: "—" if c.on_time is None else f"{c.on_time * 100:.1f}%",
            ),
            Column(
                "average",
                "平均用时（工作日）",
                cell=lambda c: "—" if c.average is None else f"{c.average:.1f}",
                phone=False,
            ),
        ],
        caption="法定时限执行情况",
        export_name="共享法定时限报告",
        page_size=60,
        empty=Empty("还没有计时的环节", icon="clock"),
    )
    return table.respond(
        request,
        "sharing/overview.html",
        {
            "figures": queries.figures(viewer),
            "by_step": by_step,
            "overdue": queries.overdue(viewer).select_related("case__applicant"),
            "figure": figure,
        },
    )
