"""Making: a workbook is begun, saved part by part, brought back to an earlier save, imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.capabilities.items import api as items
from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from .. import queries
from ..models import Revision, Workbook
from ..rules import archive, layout
from ..rules import content as parts

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

CODE = re.compile(r"[a-z][a-z0-9_]{2,39}")
MOST_REVISIONS = 2000


def _owner(row: Workbook, *_: Any, **__: Any) -> Party:
    return row.department


@dataclass(frozen=True)
class Saved:
    """What became of a save: the workbook, the keys in which another said something else, and where
    one's own words were laid aside."""

    row: Workbook
    clashes: tuple[str, ...] = ()
    aside: Revision | None = None
    merged: bool = False


def _locked(row: Workbook) -> Workbook:
    """The row locked for this transaction, read after the lock."""
    Workbook.objects.select_for_update().get(pk=row.pk)
    return Workbook.objects.select_related("department", "case").get(pk=row.pk)


def _keep(row: Workbook, content: Mapping[str, Any], part: str, note: str, by: Actor) -> None:
    """Write a content as the next revision of a locked workbook."""
    try:
        whole = parts.vetted(content)
    except parts.BadContent as wrong:
        raise UserError(str(wrong)) from wrong
    if row.number >= MOST_REVISIONS:
        raise UserError("修订次数过多，请导出后另建草案")
    row.number += 1
    row.content, row.changed_at = whole, timezone.now()
    row.title = (str(whole[parts.ITEM].get("name") or "").strip() or row.title)[:200]
    row.save()
    Revision.objects.create(
        workbook=row, number=row.number, part=part, content=whole, note=note[:300], by=by.party
    )


def _editable(row: Workbook) -> None:
    if queries.in_review(row):
        raise UserError("正在审核中，不能修改；如需修改，请先收回或请审核人退回")


@action("builder.edit", department=lambda department, *_, **__: department)
def begin_workbook(
    department: Party,
    code: str,
    name: str,
    *,
    content: Mapping[str, Any] | None = None,
    note: str = "新建草案",
    by: Actor,
) -> Workbook:
    """Begin a service of a department, empty or with a content. Raises UserError."""
    if not CODE.fullmatch(code):
        raise UserError("标识应为 3 至 40 位小写字母、数字和下划线，以字母开头")
    if not name.strip():
        raise UserError("请填写服务名称")
    if Workbook.objects.filter(code=code).exists():
        raise UserError(f"标识 {code} 已经有草案")
    if items.declared_by_pack(code):
        raise UserError(f"标识 {code} 已由行业包使用，请换一个")
    if items.listed(code):
        raise UserError(f"标识 {code} 已在事项清单中，请换一个")
    row = Workbook(code=code, title=name.strip()[:200], department=department, made_by=by.party)
    told = dict(content) if content is not None else parts.empty(name.strip())
    _keep(row, told, parts.ITEM, note, by)
    record("workbook.begun", row, by=by, data={"title": note})
    return row


def copy_item(department: Party, code: str, name: str, sample: str, *, by: Actor) -> Workbook:
    """Begin a service as a copy of one that packs declare: its form, path, table, licence are used or taken over."""
    declared: dict[str, dict[str, Any]] = {}
    found = _declared("items", sample)
    if found is None:
        raise UserError("没有可以照着做的这个事项")
    declared[parts.ITEM] = {k: v for k, v in found.items() if k != "implementing_code"}
    form = _declared("forms", str(found.get("form") or ""))
    if form is not None:
        declared[parts.FORM] = form
    content = parts.taken_apart(declared | {parts.ITEM: {**declared[parts.ITEM], "code": sample}})
    if form is not None:
        content[parts.FORM] = {k: v for k, v in form.items() if k != "code"}
    content[parts.ITEM] |= {"name": name.strip(), "basic_code": ""}
    return begin_workbook(
        department, code, name, content=content, note=f"照“{found.get('name')}”建立", by=by
    )


def _declared(kind: str, code: str) -> dict[str, Any] | None:
    return next((d.data for d in packs.declarations(kind) if d.file.stem == code), None)


@action("builder.edit", department=_owner)
def save_part(
    row: Workbook,
    part: str,
    told: Mapping[str, Any],
    *,
    base: int,
    keys: tuple[str, ...] | None = None,
    note: str = "",
    by: Actor,
) -> Saved:
    """Save one part, written on revision `base`; what another saved meanwhile stays.

    `keys` are those that stood on the page (None: the whole part). Where both changed the same key
    the later one's words are laid aside, whole, and he is told. Nothing new: nothing is written.
    """
    if part not in parts.PARTS:
        raise UserError("没有这一部分")
    fresh = _locked(row)
    _editable(fresh)
    now = dict(fresh.content)
    before = now if base == fresh.number else queries.content_at(by, fresh, base)
    try:
        mine = parts.vetted({part: told})[part]
    except parts.BadContent as wrong:
        raise UserError(str(wrong)) from wrong
    made = parts.merged(before.get(part) or {}, now.get(part) or {}, mine, keys)
    aside = None
    if made.clashes:
        scope = set(keys) if keys is not None else set(mine) | set(now.get(part) or {})
        own = {k: v for k, v in (now.get(part) or {}).items() if k not in scope} | mine
        since = f"与第 {fresh.number} 次修订" if base + 1 == fresh.number else f"与第 {base + 1} 至 {fresh.number} 次修订"  # fmt: skip
        aside = Revision.objects.create(
            workbook=fresh, number=fresh.number, part=part, content={**now, part: own}, aside=True,
            note=f"{since}同时改了：{'、'.join(map(layout.label, made.clashes))}"[:300],
            by=by.party,
        )  # fmt: skip
        record("workbook.met", fresh, by=by, data={"part": part, "keys": list(made.clashes)})
    if made.part != (now.get(part) or {}):
        _keep(fresh, {**now, part: made.part}, part, note, by)
        told_of = {"part": part, "revision": fresh.number, "title": f"修改{parts.PARTS[part]}"}
        record("workbook.saved", fresh, by=by, data=told_of)
    elif not made.clashes:
        record("workbook.unchanged", fresh, by=by, data={"part": part})
    return Saved(fresh, made.clashes, aside, base != row.number)


@action("builder.edit", department=_owner)
def settle(row: Workbook, aside: Revision, *, mine: bool, by: Actor) -> Workbook:
    """Decide between one's own words that were laid aside and what stands: the aside stays in the history."""
    fresh = _locked(row)
    _editable(fresh)
    if mine:
        part = aside.part
        _keep(
            fresh, {**fresh.content, part: aside.content[part]}, part,
            "用自己的内容覆盖了同时的修改", by,
        )  # fmt: skip
    record("workbook.settled", fresh, by=by, data={"part": aside.part, "mine": mine})
    return fresh


@action("builder.edit", department=_owner)
def restore(row: Workbook, number: int, *, by: Actor) -> Workbook:
    """Make an earlier revision the newest again; nothing in between is lost."""
    fresh = _locked(row)
    _editable(fresh)
    old = queries.content_at(by, fresh, number)
    _keep(fresh, old, parts.ITEM, f"恢复到第 {number} 次修订", by)
    record("workbook.saved", fresh, by=by, data={"title": f"恢复到第 {number} 次修订"})
    return fresh


def import_pack(department: Party, data: bytes, *, by: Actor) -> Workbook:
    """Begin a workbook of a pack in a zip, or put it into the workbook of that code as a new revision.

    Nothing of it is installed or run: it is a draft to be checked. Raises UserError.
    """
    try:
        declared = archive.unpacked(data)
        item = declared[parts.ITEM]
        content = parts.vetted(parts.taken_apart(declared))
    except (archive.BadArchive, parts.BadContent) as wrong:
        raise UserError(str(wrong)) from wrong
    except (AttributeError, TypeError, ValueError) as wrong:
        raise UserError(f"压缩包里的声明写法有误：{wrong}") from wrong
    code, name = str(item.get("code") or ""), str(item.get("name") or "")
    before = queries.rows(by).filter(code=code, department=department).first()
    if before is None:
        return begin_workbook(department, code, name, content=content, note="由行业包导入", by=by)
    return _replace(before, content, by=by)


@action("builder.edit", department=_owner)
def _replace(row: Workbook, content: Mapping[str, Any], *, by: Actor) -> Workbook:
    fresh = _locked(row)
    _editable(fresh)
    _keep(fresh, content, parts.ITEM, "由行业包导入", by)
    record("workbook.saved", fresh, by=by, data={"title": "由行业包导入"})
    return fresh
