"""Desk: a department's licences, drafts and reviews, bulk issues, figures; the counter that scans."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import UserError
from lianyun.kernel.element import domain_choices
from lianyun.ui import charts
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import actions
from ..adapters import values
from ..queries import desk, kinds, licences
from ..queries.figures import Line
from ..queries.figures import figures as all_figures
from ..rules import types
from .wallet import saved

ENDINGS = [
    ("suspend", "暂扣"), ("resume", "恢复"), ("annulled", "注销"), ("revoked", "吊销"),
    ("withdrawn", "撤销"),
]  # fmt: skip


def _title(row: Any) -> str:
    found = kinds.kinds().get(row.kind)
    return found.title if found else str(row.kind)


def _number(row: Any) -> str:
    kind = kinds.kind(row.kind)
    item = kind.item(kind.number)
    if not item.personal:
        return str(row.number)
    return values.masked(kind, {kind.number: row.number})[kind.number]


def _holder(row: Any) -> str:
    kind = kinds.kind(row.kind)
    name = str(row.grant.grantee.name)
    return name[0] + "*" * max(len(name) - 1, 1) if kind.for_people else name


@page(permission="licences.read")
def listing(request: ActorRequest) -> HttpResponse:
    """The licences that the viewer's departments issued."""
    viewer = request.actor
    table = Table(
        request,
        licences.issued(viewer),
        columns=[
            Column(
                "kind",
                "证照",
                primary=True,
                cell=_title,
                sub=_number,
                link=lambda r: reverse("licences:detail", args=[r.identifier]),
            ),
            Column("holder", "持证主体", cell=_holder),
            Column("issued_on", "发证日期", kind="date", sort=True),
            Column("ends_on", "有效期止", cell=lambda r: r.ends_on or "长期"),
            Column("trust", "可信等级", kind="badge", tone=lambda r: {"A": "green", "B": "blue"}.get(r.trust, "grey")),
            Column(
                "state", "状态", kind="badge",
                cell=lambda r: licences.standing(r)[1], tone=lambda r: licences.standing(r)[2],
            ),
        ],
        filters=[
            Filter("q", "证照编号或标识", lookup="number__icontains|identifier__icontains"),
            Filter(
                "kind", "类型", "select", lookup="kind",
                choices=[(k.name, k.title) for k in kinds.issued_by(viewer, "licences.read").values()],
            ),
            Filter(
                "ending", "终止", "select", lookup="ending",
                choices=[("replaced", "已换发"), ("revoked", "吊销"), ("withdrawn", "撤销"), ("annulled", "注销")],
            ),
        ],
        caption="电子证照",
        keyset="-id",
        page_size=20,
        empty=Empty(
            "还没有电子证照",
            "从本部门的登记簿批量签发，或者逐件拟制、由另一位同事审核签发。",
            icon="card",
        ),
    )  # fmt: skip
    mine = kinds.issued_by(viewer, "licences.issue")
    context = {
        "kinds": mine.values(),
        "registers": [k for k in mine.values() if k.register],
        "drafts": desk.drafts(viewer).exclude(state="closed")[:10],
        "left": sum(licences.left_by_kind(viewer).values()),
        "runs": [(r, _title(r)) for r in licences.runs(viewer)[:6]],
    }
    return table.respond(request, "licences/list.html", context)


def _case_at(case: Any) -> str:
    """Where the case stands that a licence came of: a draft here, an application at its desk."""
    if case is None:
        return ""
    own = case.path.key == actions.PATH
    return address_of("licences:case" if own else "desk:case", case.code)


@page(permission="licences.read")
def detail(request: ActorRequest, identifier: str) -> HttpResponse:
    """One licence; its elements masked, in clear only with a purpose that goes on record."""
    viewer = request.actor
    row = licences.one(viewer, identifier)
    kind = kinds.kind(row.kind)
    told = licences.elements(row)
    clear = False
    if request.method == "POST":
        viewer.require("licences.reveal", row.grant.grantor)
        purpose = request.POST.get("purpose", "").strip()
        if len(purpose) < 2:
            raise UserError("请写明查阅用途")
        audit.record_reading(
            by=viewer, resource=f"电子证照·{kind.title}", people=[told[kind.holder_number]],
            purpose=purpose,
        )  # fmt: skip
        if (form := request.POST.get("file")) in kind.files:
            make = actions.original_ofd if form == "ofd" else actions.original
            document, data = make(row, by=viewer)
            return saved(data, f"licence-{document.digest[:12]}", form)
        clear = True
    spoken = kinds.spoken(kind, told if clear else values.masked(kind, told))
    code, words, tone = licences.standing(row)
    case = row.grant.case
    return render(
        request,
        "licences/detail.html",
        {
            "licence": row,
            "kind": kind,
            "pairs": [(i.title, spoken[i.name]) for i in kind.items if i.name in spoken],
            "clear": clear,
            "may_reveal": viewer.may("licences.reveal", row.grant.grantor),
            "may_end": viewer.may("licences.end", row.grant.grantor) and not row.ending,
            "may_change": viewer.may("licences.issue", row.grant.grantor) and not row.ending,
            "endings": [e for e in ENDINGS if (e[0] == "resume") == (code == "suspended") or e[0] in ("annulled", "revoked", "withdrawn")],
            "state": words,
            "tone": tone,
            "grade": types.GRADES[row.trust],
            "history": licences.history(viewer, row),
            "case": case,
            "case_at": _case_at(case),
            "library": "/workbench/libraries/licences/" if viewer.may("libraries.read") else "",
        },
    )  # fmt: skip


@page(permission="licences.end")
def end(request: ActorRequest, identifier: str) -> HttpResponse:
    """Suspend, give back or end."""
    row = licences.one(request.actor, identifier)
    if request.method == "POST":
        what, reason = request.POST.get("what", ""), request.POST.get("reason", "")
        if what == "suspend":
            actions.suspend_licence(row, reason=reason, by=request.actor)
        elif what == "resume":
            actions.resume_licence(row, reason=reason, by=request.actor)
        else:
            actions.end_licence(row, ending=what, reason=reason, by=request.actor)
        messages.success(request, "已登记，核验从现在起按新状态答复。")
    return redirect("licences:detail", identifier=identifier)


class ElementsForm(Styled):
    """The elements of a type, with the reason for issuing."""

    def __init__(self, kind: types.LicenceType, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for item in kind.items:
            given = bool(kind.numbering) and item.name in (kind.number, kind.issued)
            options: dict[str, Any] = {
                "label": item.title,
                "required": item.required and not given,
                "help_text": "不填则签发时自动编写。" if given else "",
            }
            if item.domain:
                choices = [("", "请选择"), *domain_choices(item.domain)]
                self.fields[item.name] = forms.ChoiceField(choices=choices, **options)
            elif item.type == "D":
                widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
                self.fields[item.name] = forms.DateField(widget=widget, **options)
            elif item.wide:
                area = forms.Textarea(attrs={"rows": 2})
                self.fields[item.name] = forms.CharField(max_length=2000, widget=area, **options)
            else:
                self.fields[item.name] = forms.CharField(max_length=200, **options)
        self.fields["why"] = forms.CharField(
            label="签发依据或理由", max_length=200, help_text="如：窗口受理编号、变更事由。"
        )


@page(permission="licences.issue")
def draw(request: ActorRequest, kind: str) -> HttpResponse:
    """Draw up a licence, or the next version of one (`?licence=`), for a second officer."""
    viewer = request.actor
    one = kinds.kind(kind)
    viewer.require("licences.issue", kinds.issuer_of(one))
    old = request.GET.get("licence", "")
    row = licences.one(viewer, old) if old else None
    start = licences.elements(row) if row is not None else {}
    if row is not None:
        audit.record_reading(
            by=viewer, resource=f"电子证照·{one.title}", people=[start[one.holder_number]],
            purpose="拟制延续或变更",
        )  # fmt: skip
    form = ElementsForm(one, request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        told = dict(form.cleaned_data)
        why = told.pop("why")
        try:
            case = actions.draw_up(
                kind, told, why=why, once=request.POST.get("once", "") or str(hash(str(told))),
                licence=row, by=viewer,
            )  # fmt: skip
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "已提交，等待另一位工作人员审核签发。")
            return redirect("licences:case", code=case.code)
    return render(request, "licences/draw.html", {"form": form, "kind": one, "licence": row})


@page(permission="licences.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """A draft with its elements, for the officer who decides."""
    viewer = request.actor
    found, item, made = desk.one(viewer, code)
    kind = kinds.kind(found.data["kind"])
    told = desk.draft(found)
    if request.method == "POST" and item is not None:
        if not once(request):
            return redirect("licences:case", code=code)
        actions.decide_draft(
            item, outcome=request.POST.get("outcome", ""), note=request.POST.get("note", ""),
            by=viewer,
        )  # fmt: skip
        messages.success(request, "已办理。")
        return redirect("licences:case", code=code)
    if item is not None:
        audit.record_reading(
            by=viewer, resource=f"电子证照·{kind.title}", people=[told[kind.holder_number]],
            purpose=f"审核签发（办件 {found.code}）",
        )  # fmt: skip
    spoken = kinds.spoken(kind, told if item is not None else values.masked(kind, told))
    return render(
        request,
        "licences/case.html",
        {
            "case": found,
            "item": item,
            "made": made,
            "kind": kind,
            "pairs": [(i.title, spoken[i.name]) for i in kind.items if i.name in spoken],
            "waits": found.items.filter(done_at=None).exists(),
        },
    )


@page(permission="licences.issue")
def run(request: ActorRequest, kind: str) -> HttpResponse:
    """Issue in bulk from the register, now."""
    if request.method == "POST":
        made = actions.issue_from_register(kind, by=request.actor)
        messages.success(
            request,
            f"登记簿 {made.rows} 行：新签发 {made.issued}，已有 {made.known}，未通过 {made.refused}，"
            f"登记簿中不再有 {made.left}。",
        )
    return redirect("licences:list")


@page(permission="licences.issue")
def files(request: ActorRequest, kind: str) -> HttpResponse:
    """Make the files that licences of a type lack, some hundred at a press."""
    if request.method == "POST":
        made = actions.make_files(kind, by=request.actor)
        words = f"已制作并签章 {made} 份文件。" if made else "这类证照的文件都已制作。"
        messages.success(request, words)
    return redirect("licences:list")


@page(permission="licences.read")
def left(request: ActorRequest) -> HttpResponse:
    """Licences whose registration left the register; the officer annuls them, with a reason."""
    viewer = request.actor
    counted = licences.left_by_kind(viewer)
    if request.method == "POST" and once(request):
        ended = actions.end_left(
            request.POST.get("kind", ""), reason=request.POST.get("reason", ""), by=viewer
        )
        messages.success(request, f"已注销 {ended} 本，持证人的证照包和核验结果即时更新。")
        return redirect("licences:left")
    table = Table(
        request,
        licences.left(viewer),
        columns=[
            Column(
                "kind", "证照", primary=True, cell=_title, sub=_number,
                link=lambda r: reverse("licences:detail", args=[r.identifier]),
            ),
            Column("holder", "持证主体", cell=_holder),
            Column("left_on", "登记簿中不再有", kind="date"),
            Column("issued_on", "发证日期", kind="date"),
        ],
        caption="登记簿中不再有的证照",
        keyset="-id",
        page_size=20,
        empty=Empty(
            "没有需要核实的证照",
            "每次批量签发都会核对登记簿；登记注销或删除后，相应的证照会列在这里，由您核实后注销。",
            icon="check",
        ),
    )  # fmt: skip
    mine = kinds.issued_by(viewer, "licences.end")
    choices = [(n, kinds.kind(n).title, many) for n, many in counted.items() if n in mine]
    return table.respond(request, "licences/left.html", {"choices": choices})


def _rate(name: str) -> Any:
    """A rate of a line in per cent, 0 to 100 with one digit; '—' where nothing was counted."""

    def cell(line: Line) -> str:
        value = getattr(line, name)
        return "—" if value is None else f"{100 * value:.1f}%"

    return cell


def _figure_columns(first: str, title: str) -> list[Column]:
    named = [Column(first, title, primary=True)]
    if first == "title":
        named.append(Column("department", "颁发机关"))
    return [
        *named,
        Column("registered", "登记", kind="number"),
        Column("covered", "已有证照的登记", kind="number", phone=False),
        Column("held", "在册", kind="number"),
        Column("coverage", "覆盖率", cell=_rate("coverage")),
        Column("completeness", "完整率", cell=_rate("completeness")),
        Column("pass_rate", "合格率", cell=_rate("pass_rate")),
    ]


@page(permission="licences.figures")
def figures(request: ActorRequest) -> HttpResponse:
    """Coverage, completeness and pass rate by department and type, with a picture and files."""
    found = all_figures(request.actor)
    by_kind = Table(
        request, found.types, columns=_figure_columns("title", "证照"), name="kinds",
        caption="按证照类型", export_name="证照指标（按类型）", page_size=50,
        empty=Empty("没有声明证照类型", "证照类型在行业包中声明。", icon="card"),
    )  # fmt: skip
    by_department = Table(
        request, [*found.departments, found.city],
        columns=_figure_columns("department", "部门"), name="departments", page_size=50,
        caption="按部门", export_name="证照指标（按部门）",
    )  # fmt: skip
    wanted = request.GET.get("export", "")
    if wanted.endswith("-departments"):
        return by_department.respond(request, "")
    counted = [d for d in found.departments if d.registered or d.held]

    def percent(name: str) -> charts.Series:
        told = [getattr(d, name) for d in counted]
        titles = {"coverage": "覆盖率", "completeness": "完整率", "pass_rate": "合格率"}
        return charts.Series(titles[name], [None if v is None else round(100 * v, 1) for v in told])

    chart = charts.Chart(
        "bars", "各部门覆盖率、完整率、合格率", [d.title for d in counted],
        [percent(n) for n in ("coverage", "completeness", "pass_rate")], "%",
        first_column="部门",
    )  # fmt: skip
    kinds_chart = charts.one(
        "bar", "各类证照在册数量", [(t.title, t.held) for t in found.types], "本"
    )
    context = {
        "figures": found,
        "chart": chart,
        "kinds_chart": kinds_chart,
        "departments": by_department,
        "note": "" if found.per_thousand is None else f"每千人 {found.per_thousand:.0f} 本",
    }
    return by_kind.respond(request, "licences/figures.html", context)


class AskForm(Styled):
    """A scanned show code and what it is asked for."""

    code = forms.CharField(
        label="亮证码",
        max_length=200,
        help_text="用扫码枪扫持证人手机上的码，或用手机打开后粘贴地址。",
    )
    purpose = forms.CharField(label="核验用途", max_length=200)


@page(permission="licences.verify")
def counter(request: ActorRequest) -> HttpResponse:
    """The counter: scan, ask, wait for the holder's word, see, with everything on record."""
    viewer = request.actor
    form = AskForm(request.POST or None, initial={"code": request.GET.get("code", "")})
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["code"].strip()
        code = parse_qs(urlsplit(text).query).get("code", [text])[0]
        try:
            made = actions.ask(
                code, purpose=form.cleaned_data["purpose"],
                wanted=request.POST.getlist("wanted"), by=viewer,
            )  # fmt: skip
        except UserError as error:
            form.add_error("code", str(error))
        else:
            return redirect("licences:asked", number=made.pk)
    table = Table(
        request,
        licences.asked(viewer),
        columns=[
            Column("asked_at", "时间", kind="stamp"),
            Column("kind", "证照", primary=True, cell=lambda s: _title(s.licence)),
            Column("purpose", "用途"),
            Column("asker.name", "经办"),
            Column(
                "agreed", "结果", kind="badge",
                cell=lambda s: "已查看" if s.seen_at else "同意" if s.agreed else "拒绝" if s.agreed is False else "未答复",
                tone=lambda s: "green" if s.agreed else "red" if s.agreed is False else "grey",
            ),
        ],
        caption="本部门扫码核验记录",
        export_name="证照核验记录",
        keyset="-id",
        page_size=10,
        empty=Empty("还没有核验记录", "能用证照核验的，不再要复印件。", icon="shield"),
    )  # fmt: skip
    return table.respond(
        request, "licences/counter.html", {"form": form, "proofs": types.PROOFS.items()}
    )


@page(permission="licences.verify")
def asked(request: ActorRequest, number: int) -> HttpResponse:
    """What became of a question: waits (polled), refused, or shown."""
    row = licences.showing_of(request.actor, number)
    context: dict[str, Any] = {"showing": row, "title": _title(row.licence)}
    if row.agreed and row.asker == request.actor.party:
        try:
            context["pairs"] = actions.see(row, by=request.actor)
            context["issuer"] = row.licence.grant.grantor
            context["grade"] = types.GRADES[row.licence.trust]
        except UserError as error:
            context["problem"] = str(error)
    context["waits"] = row.waits()
    name = "licences/_asked.html" if request.htmx else "licences/asked.html"
    return render(request, name, context)
