"""Grants: the list, one grant with its use, how it ends, and what looks like misuse of it."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions, queries, rules
from . import forms, matter_forms


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
