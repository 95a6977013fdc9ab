"""Desk views: the list of my department's items, one with its checks, its edit form, its review."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from .. import adapters, queries
from ..actions import (
    discard_draft,
    draft_item,
    edit_item,
    resume_item,
    retire_item,
    review_item,
    submit_item,
)
from ..actions.editing import Changed
from ..rules import sheets
from ..rules.content import digest
from ..rules.item import KINDS, REACHES, SCOPES, Item, handling_code
from .imports import XLSX

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

STATES = (
    ("published", "已发布"),
    ("draft", "草稿"),
    ("changed", "有修订稿"),
    ("retired", "已停办"),
)
_STATE_Q = {
    "published": Q(version__gt=0, retired_on=None),
    "draft": Q(version=0),
    "changed": Q(version__gt=0, draft__isnull=False),
    "retired": Q(retired_on__isnull=False),
}


def _state(row: Any) -> str:
    if row.retired_on is not None:
        return "已停办"
    if not row.version:
        return "草稿"
    return "有修订稿" if row.draft is not None else "已发布"


TONES = {"已停办": "grey", "草稿": "amber", "有修订稿": "violet", "已发布": "green"}


@page(permission="items.read")
def listing(request: ActorRequest) -> HttpResponse:
    """The items of my department with their state and what the checks find."""
    rows = queries.rows(request.actor)
    state = request.GET.get("state", "")
    if state in _STATE_Q:
        rows = rows.filter(_STATE_Q[state])
    if request.GET.get("faults") == "1":
        rows = rows.filter(faults__gt=0)
    table = Table(
        request,
        rows.defer("content", "search", "text"),
        columns=[
            Column(
                "name",
                "事项名称",
                primary=True,
                sort=True,
                link=lambda r: reverse("items:detail", args=[r.code]),
                sub=lambda r: r.implementing_code,
            ),
            Column("department.short", "实施主体", sort="department__short"),
            Column("kind", "办件类型", cell=lambda r: KINDS.get(r.kind, r.kind), sort=True),
            Column(
                "promised_days",
                "承诺／法定（天）",
                sort=True,
                cell=lambda r: f"{r.promised_days}／{r.legal_days or '—'}",
            ),
            Column("state", "状态", kind="badge", cell=_state, tone=lambda r: TONES[_state(r)]),
            Column(
                "faults",
                "检查",
                kind="badge",
                sort=True,
                cell=lambda r: f"{r.faults} 处问题" if r.faults else "通过",
                tone=lambda r: "red" if r.faults else "green",
            ),
        ],
        filters=[
            Filter("q", "名称或编码", lookup="name__icontains|implementing_code__icontains"),
            Filter("kind", "办件类型", "select", choices=list(KINDS.items()), lookup="kind"),
        ],
        caption="事项清单",
        export_name="事项清单",
        order="code",
        empty=Empty(
            "还没有事项", "新建一个事项，或用 Excel 模板导入。", reverse("items:import"), "导入事项"
        ),
    )
    context = {
        "states": STATES,
        "state": state,
        "faults": request.GET.get("faults") == "1",
        "may_edit": request.actor.may("items.edit"),
    }
    return table.respond(request, "items/list.html", context)


def _names(actor: Actor) -> sheets.Names:
    parties = queries.departments(actor)
    return sheets.Names(
        {n: queries.names_of(n) for n in queries.CODE_LISTS},
        {slug: (p.code or "", p.name) for slug, p in parties.items()},
    )


def workbook_for(viewer: Actor) -> bytes:
    """The viewer's items as a workbook with the 64 elements, in the columns that an import reads."""
    names = _names(viewer)
    items: list[Item] = list(queries.to_export(viewer))
    return adapters.write_workbook(
        (sheets.item_row(i, names, reverse("items:item", args=[i.code])) for i in items),
        (row for i in items for row in sheets.material_rows(i, names)),
        (row for i in items for row in sheets.situation_rows(i)),
    )


@page(permission="items.read")
def export(request: ActorRequest) -> HttpResponse:
    """The viewer's items as a workbook."""
    answer = HttpResponse(workbook_for(request.actor), content_type=XLSX)
    answer["Content-Disposition"] = 'attachment; filename="items.xlsx"'
    return answer


@page(permission="items.edit")
def new(request: ActorRequest) -> HttpResponse:
    """Draw up a new item."""
    departments = queries.for_department(request.actor)
    problem = ""
    if request.method == "POST":
        code, name = request.POST.get("code", "").strip(), request.POST.get("name", "").strip()
        try:
            party = next((p for p in departments if p.slug == request.POST.get("department")), None)
            if party is None:
                raise UserError("请选择实施主体")
            if not re.fullmatch(r"[a-z][a-z0-9_]{1,59}", code):
                raise UserError("标识应为小写英文字母开头，可含数字和下划线")
            if once(request):
                draft_item(department=party, code=code, name=name, by=request.actor)
            return redirect("items:edit", code=code)
        except UserError as mistake:
            problem = str(mistake)
    context = {"departments": departments, "problem": problem, "posted": request.POST}
    return render(request, "items/new.html", context, status=400 if problem else 200)


@page(permission="items.read")
def detail(request: ActorRequest, code: str) -> HttpResponse:
    """One item as its officers see it: checks, the 64 elements, materials, versions, history."""
    found = queries.detail(request.actor, code)
    names = _names(request.actor)
    elements = []
    if found.item is not None:
        row = sheets.item_row(found.item, names, reverse("items:item", args=[code]))
        elements = [
            (number, title, fmt, row[title])
            for number, title, fmt in sheets.ELEMENTS
            if number < 56
        ]
    context = {
        "v": found,
        "r": found.row,
        "i": found.item,
        "elements": elements,
        "handling": []
        if found.item is None
        else [
            (handling_code(found.item, n), name)
            for n, (_, name) in enumerate(found.item.handling, 1)
        ],
        "own": [(t, row[t]) for t in sheets.OWN] if found.item is not None else [],
        "names": {slug: name for slug, (_, name) in names.departments.items()},
        "state_title": _state(found.row),
        "state_tone": TONES[_state(found.row)],
        "changes": _changes(found.published, found.item),
    }
    return render(request, "items/detail.html", context)


def _changes(before: Item | None, now: Item | None) -> list[tuple[str, str, str]]:
    """What differs between two versions, in the standard's elements."""
    if before is None or now is None:
        return []
    bare = sheets.Names({n: queries.names_of(n) for n in queries.CODE_LISTS}, {})
    old, new = sheets.item_row(before, bare), sheets.item_row(now, bare)
    out = [(t, str(old[t]), str(new[t])) for t in old if old[t] != new[t]]
    listed = [
        "\n".join(f"{m.name}（{'必备' if m.required else '非必备'}）" for m in x.materials)
        for x in (before, now)
    ]
    if listed[0] != listed[1]:
        out.append(("申请材料", *listed))  # type: ignore[arg-type]
    return out


TEXTS = (
    "name", "basic_code", "basis", "power", "content", "legal_note", "promised_note", "agency",
    "intermediary", "quota", "visits_reason", "form", "path", "decision", "hours", "consult",
    "consult_phone", "complaint",
)  # fmt: skip
NUMBERS = ("legal_days", "promised_days", "visits", "proof")
FLAGS = ("appointment", "online_payment", "courier", "online")
LISTS = ("channels", "life", "reach", "special")
LINES = ("conditions", "keywords")
STRUCTURED = ("situations", "materials", "stages", "faq", "fee", "result", "places")


def posted(request: ActorRequest, before: dict[str, Any]) -> dict[str, Any]:
    """The content that a posted edit form holds. Raises UserError naming the part that is no YAML."""
    post, out = request.POST, dict(before)
    for key in TEXTS:
        if key in post:
            out[key] = post[key].strip()
    for key in NUMBERS:
        told = post.get(key, "").strip()
        if told:
            if not told.isdigit():
                raise UserError(f"“{told}”不是数字")
            out[key] = int(told)
    for key in ("type", "kind", "level", "body_nature", "scope"):
        if post.get(key):
            out[key] = post[key]
    for key in FLAGS:
        out[key] = key in post
    for key in (*LISTS, "objects"):
        out[key] = post.getlist(key)
    out["themes"] = {
        "person": post.getlist("person_themes"),
        "entity": post.getlist("entity_themes"),
    }
    for key in LINES:
        out[key] = [line.strip() for line in post.get(key, "").splitlines() if line.strip()]
    for key in STRUCTURED:
        text = post.get(key, "").strip()
        if not text:
            out.pop(key, None)
            continue
        try:
            out[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"第 {mark.line + 1} 行" if mark else ""
            raise UserError(f"“{PARTS[key][0]}”{where}写法有误，请对照示例") from error
        if not isinstance(out[key], dict if key in ("fee", "result") else list):
            raise UserError(f"“{PARTS[key][0]}”写法有误，请对照示例")
    return out


PARTS = {
    "situations": ("情形", "- {id: vehicle, question: 车辆属于谁？, options: [{id: own, title: 本人}, {id: firm, title: 单位}]}"),
    "materials": ("申请材料", "- id: driving_licence\n  name: 机动车驾驶证\n  issuer: ga\n  when: \"vehicle == 'own'\"\n  grounds: [{by: licence, type: driving_licence}]"),
    "stages": ("办理流程", "- {title: 受理, days: 1, note: 窗口}"),
    "faq": ("常见问题", "- {q: 可以代办吗, a: 可以，凭委托书。}"),
    "fee": ("收费", "charged: true\nbasis: 苏价费〔…〕号\nitems: [{name: 工本费, standard: 10 元/本}]"),
    "result": ("办理结果", "name: 货车禁区通行证\nlicence: freight_permit\ndays: 365"),
    "places": ("办理地点", "- {name: 市政务服务中心, address: …}"),
}  # fmt: skip


_FIRST = ("id", "name", "title", "question", "q", "a", "by", "when", "options", "grounds")


def _ordered(value: Any) -> Any:
    """Keys as people write them; PostgreSQL keeps them by their length."""
    if isinstance(value, list):
        return [_ordered(v) for v in value]
    if not isinstance(value, dict):
        return value
    keys = [k for k in _FIRST if k in value] + sorted(k for k in value if k not in _FIRST)
    return {k: _ordered(value[k]) for k in keys}


def _yaml(value: Any) -> str:
    if not value:
        return ""
    return yaml.safe_dump(_ordered(value), allow_unicode=True, sort_keys=False, width=1000)


def _form(
    request: ActorRequest,
    row: Any,
    content: dict[str, Any],
    problem: str = "",
    theirs: list[tuple[str, str, str]] | None = None,
) -> HttpResponse:
    _, findings = queries.faults_of(request.actor, content)
    item, _ = queries.faults_of(request.actor, content)
    themes = content.get("themes") or {}

    def options(code_list: str) -> list[tuple[str, str]]:
        return list(queries.names_of(code_list).items())

    context = {
        "r": row,
        "c": content,
        "i": item,
        "problem": problem,
        "theirs": theirs,
        "seen": digest(queries.content_of(row)),
        "findings": findings,
        "types": options("item_type"),
        "levels": options("exercise_level"),
        "natures": options("body_nature"),
        "channels": options("service_channel"),
        "person_theme_options": options("person_theme"),
        "entity_theme_options": options("entity_theme"),
        "life_options": options("life_event"),
        "kinds": KINDS.items(),
        "scopes": SCOPES.items(),
        "reaches": REACHES.items(),
        "person_themes": themes.get("person") or [],
        "entity_themes": themes.get("entity") or [],
        "conditions": "\n".join(content.get("conditions") or []),
        "keywords": "\n".join(content.get("keywords") or []),
        "parts": [
            (key, title, request.POST.get(key) or _yaml(content.get(key)), example)
            for key, (title, example) in PARTS.items()
        ],
    }
    status = 400 if problem and theirs is None else 200
    return render(request, "items/edit.html", context, status=status)


@page(permission="items.edit")
def edit(request: ActorRequest, code: str) -> HttpResponse:
    """Edit the copy in work; the published version stays until the review has agreed."""
    found = queries.detail(request.actor, code)
    if not found.may_edit:
        raise UserError("正在审核中，或不属于您的部门，不能修改")
    before = dict(queries.content_of(found.row))
    if request.method != "POST":
        return _form(request, found.row, before)
    content = before
    try:
        content = posted(request, before)
        if once(request):
            seen = request.POST.get("seen", "")
            edit_item(listing=found.row, content=content, seen=seen, by=request.actor)
    except Changed as other:
        now, mine = (queries.faults_of(request.actor, c)[0] for c in (before, content))
        return _form(request, found.row, content, str(other), _changes(now, mine))
    except UserError as mistake:
        return _form(request, found.row, content, str(mistake))
    if "submit" not in request.POST:
        messages.success(request, "已保存")
        return redirect("items:detail", code=code)
    try:
        submit_item(listing=found.row, by=request.actor)
        messages.success(request, "已保存并提交审核")
    except UserError as mistake:
        messages.error(request, f"已保存。{mistake}")
        return redirect("items:edit", code=code)
    return redirect("items:detail", code=code)


def _do(request: ActorRequest, code: str, what: Any, said: str) -> HttpResponse:
    row = queries.detail(request.actor, code).row
    try:
        what(row)
        messages.success(request, said)
    except UserError as mistake:
        messages.error(request, str(mistake))
    return redirect("items:detail", code=code)


@page(permission="items.edit")
def submit(request: ActorRequest, code: str) -> HttpResponse:
    """Send the copy in work to be reviewed."""
    return _post(request, code, lambda r: submit_item(listing=r, by=request.actor), "已提交审核")


@page(permission="items.edit")
def discard(request: ActorRequest, code: str) -> HttpResponse:
    """Throw the copy in work away."""
    row = queries.detail(request.actor, code).row
    fresh = not row.version
    answer = _post(
        request, code, lambda r: discard_draft(listing=r, by=request.actor), "已放弃修订稿"
    )
    gone = fresh and request.method == "POST" and not queries.exists(request.actor, code)
    return redirect("items:list") if gone else answer


@page(permission="items.retire")
def retire(request: ActorRequest, code: str) -> HttpResponse:
    """Stop offering an item."""
    reason = request.POST.get("reason", "")
    return _post(
        request,
        code,
        lambda r: retire_item(listing=r, reason=reason, by=request.actor),
        "已停办，正在办理的不受影响",
    )


@page(permission="items.retire")
def resume(request: ActorRequest, code: str) -> HttpResponse:
    """Offer a retired item again."""
    return _post(request, code, lambda r: resume_item(listing=r, by=request.actor), "已恢复办理")


def _post(request: ActorRequest, code: str, what: Any, said: str) -> HttpResponse:
    if request.method != "POST":
        return redirect("items:detail", code=code)
    return _do(request, code, what, said)


@page(permission="items.read")
def reviews(request: ActorRequest) -> HttpResponse:
    """Items waiting for this officer's decision, and those of the own department under way."""
    context = {
        "waiting": queries.review_desk(request.actor),
        "under_way": queries.cases_of(request.actor),
    }
    return render(request, "items/desk.html", context)


@page(permission="items.read")
def review(request: ActorRequest, number: int) -> HttpResponse:
    """One review step: the item as submitted, its checks, what changed, the decision."""
    found = queries.review(request.actor, number)
    problem = ""
    if request.method == "POST":
        try:
            review_item(
                item=number,
                outcome=request.POST.get("outcome", ""),
                note=request.POST.get("note", ""),
                by=request.actor,
            )
            messages.success(request, f"“{found.item.name}”：{found.work.title}已办理")
            return redirect("items:desk")
        except UserError as mistake:
            problem = str(mistake)
    context = {
        "v": found,
        "i": found.item,
        "r": found.row,
        "problem": problem,
        "note": request.POST.get("note", ""),
        "changes": _changes(found.before, found.item),
        "names": {s: p.name for s, p in queries.departments(request.actor).items()},
    }
    return render(request, "items/review.html", context, status=400 if problem else 200)


@page(permission="items.read")
def case(request: ActorRequest, code: str) -> HttpResponse:
    """From a case's code to its open step if it is the viewer's to do, else to the item."""
    number, item = queries.place_of_case(request.actor, code)
    if number is not None:
        return redirect("items:review", number=number)
    return redirect("items:detail", code=item)
