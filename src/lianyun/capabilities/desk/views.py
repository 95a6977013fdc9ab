"""Views: the pool by lamp, one application, like cases together, the archive."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Bulk, Column, Empty, Filter, Table

from . import actions, queries, rules

LAMP_CHOICES = [(k, v) for k, v in rules.LAMPS.items() if k != rules.UNTIMED]
STEPS = [
    ("receive", "收件与受理"),
    ("recheck", "补正后受理"),
    ("settle", "当场审查决定"),
    ("review", "审查"),
    ("opinion", "部门意见"),
    ("decide", "决定"),
    ("deliver", "制证送达"),
]
FREE_ROWS = 3
_NARROWS = ("q", "item", "department", "since", "until", "state", "result")


def _lamp_words(item: Any) -> str:
    return rules.lamp_words(item.days_left, paused=queries.lamp_of(item) == rules.PAUSED)


def _lamp_tone(item: Any) -> str:
    return rules.TONES[queries.lamp_of(item)]


@page(permission="desk.read")
def home(request: ActorRequest) -> HttpResponse:
    """The pool: what waits, by lamp; claim, or decide like cases together."""
    viewer = request.actor
    rows = queries.queue(viewer)
    own = request.GET.get("whose", "")
    table = Table(
        request,
        queries.with_urges(viewer, rows),
        columns=[
            Column(
                "case.title", "办件", primary=True,
                link=lambda i: reverse("desk:case", args=[i.case.code]),
                sub=lambda i: f"{i.case.code}　已催办" if i.urged else i.case.code,
            ),
            Column("title", "环节"),
            Column("department.short", "部门", cell=lambda i: str(i.department or "")),
            Column("due_on", "时限", kind="badge", cell=_lamp_words, tone=_lamp_tone),
            Column("assignee.name", "认领人", cell=lambda i: i.assignee.name if i.assignee else "待认领"),
            Column("opened_at", "到达", kind="stamp", phone=False),
        ],
        filters=[
            Filter("q", "标题或编号", lookup="case__title__icontains|case__code__icontains"),
            Filter("item", "事项", "select", choices=queries.item_choices(viewer), lookup="case__subject"),
            Filter("lamp", "灯号", "select", choices=LAMP_CHOICES, apply=queries.with_lamp),
            Filter("step", "环节", "select", choices=STEPS, lookup="step"),
            Filter(
                "whose", "认领", "select", choices=[("mine", "我认领的"), ("free", "待认领")],
                apply=lambda found, value: found.filter(
                    pk__in=queries.mine(viewer).values("pk")
                ) if value == "mine" else found.filter(assignee=None),
            ),
        ],
        caption="待办池",
        export_name="待办办件",
        bulk=[
            Bulk("认领", reverse("desk:claim_many")),
            Bulk("批量办理", reverse("desk:batch")),
        ],
        empty=Empty(
            "没有待办的办件",
            "群众和企业提交的申请会按事项和时限出现在这里；也可以换一个筛选条件。",
            reverse("desk:archive"), "查看办件库", "inbox",
        ),
    )  # fmt: skip
    counts = queries.counts(rows)
    return table.respond(
        request,
        "desk/home.html",
        {
            "counts": counts,
            "mine": queries.mine(viewer).count(),
            "own": own,
            "settings": queries.settings(),
        },
    )


@page(permission="desk.read")
def archive(request: ActorRequest) -> HttpResponse:
    """All applications of the viewer's departments: by item, department, time and end, with figures."""
    viewer = request.actor
    latest = queries.newest(viewer)
    table = Table(
        request,
        queries.archived(viewer),
        columns=[
            Column(
                "title", "办件", primary=True,
                link=lambda c: reverse("desk:case", args=[c.code]), sub=lambda c: c.code,
            ),
            Column("department.short", "牵头部门", cell=lambda c: str(c.department or "")),
            Column("path.title", "办理方式", phone=False),
            Column("opened_at", "申请时间", kind="stamp"),
            Column("closed_at", "办结时间", kind="stamp", phone=False),
            Column(
                "outcome", "结果", kind="badge",
                cell=lambda c: rules.RESULTS.get(c.outcome, (c.get_state_display(), ""))[0],
                tone=lambda c: rules.RESULTS.get(c.outcome, ("", "blue"))[1],
            ),
        ],
        filters=[
            Filter("q", "标题或编号", lookup="title__icontains|code__icontains"),
            Filter("item", "事项", "select", choices=lambda: queries.archived_items(viewer, latest), lookup="subject"),
            Filter(
                "department", "牵头部门", "select", lookup="department__slug",
                choices=lambda: queries.archived_departments(viewer, latest),
            ),
            Filter("since", "申请自", "date", apply=queries.since_day),
            Filter("until", "申请至", "date", apply=queries.until_day),
            Filter(
                "state", "状态", "select", lookup="state",
                choices=[("open", "办理中"), ("suspended", "中止"), ("closed", "办结")],
            ),
            Filter(
                "result", "结果", "select", lookup="outcome",
                choices=[(k, v[0]) for k, v in rules.RESULTS.items()],
            ),
        ],
        caption="办件库",
        export_name="办件库",
        keyset="-id",
        empty=Empty("没有这样的办件", "群众和企业提交申请后，办件会保存在这里；也可以换一个查询条件。", icon="folder"),
    )  # fmt: skip
    narrowed = any(request.GET.get(name) for name in _NARROWS)
    rows = queries.newest(viewer, table.filtered) if narrowed else latest
    return table.respond(
        request,
        "desk/archive.html",
        {
            "counted": queries.COUNTED,
            "figures": queries.figures(viewer, rows),
            "items": queries.by_item(viewer, rows),
        },
    )


def _told(event: Any) -> Any:
    """An event as the timeline shows it: those that need it in words of the desk's own."""
    words = rules.happened(event.kind, event.data)
    if words is None:
        return event
    return {"when": event.at, "what": words[0], "who": event.by_name, "more": words[1]}


@page(permission="desk.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """One application: materials and evidence, the steps, and what the viewer may do now."""
    viewer = request.actor
    found = queries.folder(viewer, code)
    may_reveal = viewer.may("forms.reveal", found.case.department)
    clear = {}
    if request.method == "POST" and may_reveal and found.application is not None:
        clear = queries.clear(viewer, found.case)
    todo = [
        {
            "item": i,
            "lamp": _lamp_words(i),
            "tone": _lamp_tone(i),
            "outcomes": i.declared.outcomes,
            "supplement": any(o.name in actions.LISTED for o in i.declared.outcomes),
            "holding": queries.holding(viewer, i),
            "may_hand": queries.holding(viewer, i) != queries.OTHER
            or viewer.may("desk.assign", i.department),
            "colleagues": queries.colleagues(viewer, i),
            "extend": i.declared.clock == "decision" and viewer.may("desk.decide", i.department),
        }
        for i in found.to_do
    ]
    materials = found.case.data.get("materials") or []
    return render(
        request,
        "desk/case.html",
        {
            "folder": found,
            "case": found.case,
            "todo": todo,
            "materials": materials,
            "free_rows": range(FREE_ROWS),
            "result": rules.RESULTS.get(found.case.outcome),
            "decision": found.case.data.get("resolution"),
            "supplement": found.case.data.get("supplement"),
            "settings": queries.settings(),
            "leads": viewer.may("desk.review", found.case.department),
            "rows": [
                (i, _lamp_words(i), _lamp_tone(i), found.stood_in.get(i.pk, ""))
                for i in found.items
            ],
            "mark": queries.mark(viewer, found.case),
            "events": [_told(e) for e in found.events],
            "clear": clear,
            "may_reveal": may_reveal and found.application is not None and not clear,
        },
    )


def _missing(request: ActorRequest) -> list[dict[str, str]]:
    """The list of what is missing, as the form posts it: known materials, then free rows."""
    out = []
    for key, what in request.POST.items():
        if key.startswith("what-") and str(what).strip():
            ident = key.removeprefix("what-")
            name = request.POST.get(f"name-{ident}", "")
            out.append({"material": ident, "name": name, "what": str(what)})
    return out


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


@page(permission="desk.read")
def step(request: ActorRequest, number: int) -> HttpResponse:
    """Do one step."""
    viewer = request.actor
    item = queries.item_of(viewer, number)
    back = redirect("desk:case", code=item.case.code)
    if request.method != "POST" or not once(request):
        return back
    elements = {
        k.removeprefix("element-"): str(v)
        for k, v in request.POST.items()
        if k.startswith("element-")
    }
    try:
        done = actions.work(
            item,
            request.POST.get("outcome", ""),
            note=request.POST.get("note", ""),
            missing=_missing(request),
            elements=elements,
            seen=_number(request.POST.get("seen", "")),
            by=viewer,
        )
    except UserError as wrong:
        messages.error(request, str(wrong))
        return back
    told = rules.RESULTS.get(done.outcome)
    messages.success(request, f"已办理。结果：{told[0]}。" if told else "已办理，转入下一环节。")
    return back


@page(permission="desk.read")
def claim(request: ActorRequest, number: int) -> HttpResponse:
    """Claim a step, put it back, or hand it over."""
    viewer = request.actor
    item = queries.item_of(viewer, number)
    if request.method == "POST":
        try:
            match request.POST.get("do", "claim"):
                case "claim":
                    actions.claim(item, by=viewer)
                    messages.success(request, "已认领。")
                case "release":
                    actions.release(item, by=viewer)
                    messages.success(request, "已放回待办池。")
                case "hand":
                    chosen = request.POST.get("to", "")
                    to = next(
                        (p for p in queries.colleagues(viewer, item) if str(p.pk) == chosen), None
                    )
                    if to is None:
                        raise UserError("请选择接手的同事")
                    actions.hand_over(item, to, request.POST.get("reason", ""), by=viewer)
                    messages.success(request, f"已交给{to.name}。")
        except UserError as wrong:
            messages.error(request, str(wrong))
    return redirect("desk:case", code=item.case.code)


def _picked(request: ActorRequest) -> list[Any]:
    numbers = [n for n in request.POST.getlist("pick") if n.isdecimal() and len(n) < 19][:200]
    return [queries.item_of(request.actor, int(n)) for n in numbers]


@page(permission="desk.read")
def claim_many(request: ActorRequest) -> HttpResponse:
    """Claim all ticked steps."""
    if request.method == "POST":
        had, why = 0, ""
        for item in _picked(request):
            try:
                actions.claim(item, by=request.actor)
                had += 1
            except UserError as wrong:
                why = str(wrong)
        messages.success(request, f"已认领 {had} 件。")
        if why:
            messages.error(request, f"有的没有认领成功：{why}")
    return redirect("desk:home")


@page(permission="desk.read")
def batch(request: ActorRequest) -> HttpResponse:
    """Like cases together: look once more, one note, one press; each its own decision."""
    viewer = request.actor
    if request.method != "POST":
        return redirect("desk:home")
    items = _picked(request)
    if not items:
        messages.error(request, "请先勾选要批量办理的办件。")
        return redirect("desk:home")
    if not rules.alike([(i.case.subject, i.step) for i in items]):
        messages.error(request, "只能批量办理同一事项、同一环节的办件，请用筛选缩小范围。")
        return redirect("desk:home")
    outcome = request.POST.get("outcome", "")
    outcomes = [o for o in items[0].declared.outcomes if o.name not in actions.LISTED]
    context: dict[str, Any] = {"items": items, "outcomes": outcomes}
    if outcome:
        if not once(request):
            return redirect("desk:home")
        seen = {
            i.pk: mark
            for i in items
            if (mark := _number(request.POST.get(f"seen-{i.pk}", ""))) is not None
        }
        note = request.POST.get("note", "")
        told = actions.decide_together(items, outcome, note=note, seen=seen, by=viewer)
        context["left_out"] = [t for t in told if t[1]]
        context["done"] = [i for i, why in told if not why]
        context["what"] = next((o.title for o in outcomes if o.name == outcome), "")
    else:
        context["marked"] = list(zip(items, queries.marks(viewer, items), strict=True))
    return render(request, "desk/batch.html", context)


@page(permission="desk.review")
def clock(request: ActorRequest, code: str) -> HttpResponse:
    """Stop the clock, let it run on, or extend the limit."""
    viewer = request.actor
    found = queries.case_of(viewer, code)
    if request.method == "POST" and once(request):
        try:
            match request.POST.get("do", ""):
                case "suspend":
                    actions.suspend_case(
                        found, request.POST.get("cause", ""), request.POST.get("reason", ""),
                        by=viewer,
                    )  # fmt: skip
                    messages.success(request, "已中止计时，依据和说明已告知申请人。")
                case "resume":
                    actions.resume_case(found, by=viewer)
                    messages.success(request, "已恢复计时。")
                case "extend":
                    item = queries.item_of(viewer, _number(request.POST.get("item", "")) or 0)
                    days = _number(request.POST.get("days", ""))
                    if days is None:
                        raise UserError("请填写延长的工作日数")
                    actions.extend_limit(item, request.POST.get("reason", ""), days, by=viewer)
                    messages.success(request, "已延长期限，理由已告知申请人。")
        except UserError as wrong:
            messages.error(request, str(wrong))
    return redirect("desk:case", code=code)
