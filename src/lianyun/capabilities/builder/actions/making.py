"""Making: a workbook is begun, saved part by part, brought back to an earlier save, imported."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
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
from ..rules import archive, telling
from ..rules import content as parts
from ..rules.meeting import Met, Place, chosen, met, same

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
    clashes: tuple[Place, ...] = ()
    aside: Revision | None = None
    merged: bool = False


@dataclass(frozen=True)
class Imported:
    """What became of a pack: the workbook, what to tell, and where both sides said something else."""

    row: Workbook
    words: str
    asides: tuple[Revision, ...] = ()


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
    made = met(before.get(part) or {}, now.get(part) or {}, mine, keys)
    aside = None
    if made.clashes:
        since = f"与第 {fresh.number} 次修订" if base + 1 == fresh.number else f"与第 {base + 1} 至 {fresh.number} 次修订"  # fmt: skip
        aside = _aside(fresh, part, made, mine, f"{since}同时改了", by)
    if not same(made.part, now.get(part) or {}):
        _keep(fresh, {**now, part: made.part}, part, note, by)
        told_of = {"part": part, "revision": fresh.number, "title": f"修改{parts.PARTS[part]}"}
        record("workbook.saved", fresh, by=by, data=told_of)
    elif not made.clashes:
        record("workbook.unchanged", fresh, by=by, data={"part": part})
    touched = not same(before.get(part) or {}, now.get(part) or {})
    return Saved(fresh, made.clashes, aside, touched and not made.clashes)


def _aside(
    row: Workbook, part: str, made: Met, mine: Mapping[str, Any], why: str, by: Actor
) -> Revision:
    """Keep beside what stands: the same part with mine wherever both said something else."""
    words = "、".join(dict.fromkeys(telling.place_words(part, c[:1]) for c in made.clashes))
    aside = Revision.objects.create(
        workbook=row,
        number=row.number,
        part=part,
        content={**row.content, part: chosen(made.part, mine, made.clashes)},
        aside=True,
        places=[list(place) for place in made.clashes],
        note=f"{why}：{words}"[:300],
        by=by.party,
    )
    record("workbook.met", row, by=by, data={"part": part, "places": aside.places})
    return aside


@action("builder.edit", department=_owner)
def settle(row: Workbook, aside: Revision, *, mine: Collection[int], by: Actor) -> Workbook:
    """Decide, place by place, between the words that were laid aside (`mine`: their numbers) and what stands.

    What others have saved elsewhere stays. Raises UserError where it is decided already.
    """
    fresh = _locked(row)
    _editable(fresh)
    told = Revision.objects.select_for_update().get(pk=aside.pk)
    if told.settled_at is not None:
        raise UserError("这几处已经选定，不用再选；各次内容都在修订记录里")
    part = told.part
    places = [tuple(map(str, p)) for n, p in enumerate(told.places) if n in mine]
    now = dict(fresh.content.get(part) or {})
    content = chosen(now, told.content[part], places)
    if not same(content, now):
        _keep(
            fresh, {**fresh.content, part: content}, part, f"{len(places)} 处用了未并入的内容", by
        )
    told.settled_at = timezone.now()
    told.save(update_fields=["settled_at"])
    record("workbook.settled", fresh, by=by, data={"part": part, "mine": len(places)})
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


def import_pack(department: Party, data: bytes, *, by: Actor) -> Imported:
    """Begin a workbook of a pack in a zip, or merge it into the workbook of that code.

    Nothing of it is installed or run: it is a draft to be checked. What both sides changed since
    they were last the same is laid aside and told. Raises UserError.
    """
    try:
        declared = archive.unpacked(data)
        item, lineage = declared[parts.ITEM], archive.lineage_of(data)
        content = parts.vetted(parts.taken_apart(declared))
    except (archive.BadArchive, parts.BadContent) as wrong:
        raise UserError(str(wrong)) from wrong
    except (AttributeError, TypeError, ValueError) as wrong:
        raise UserError(f"压缩包里的声明写法有误：{wrong}") from wrong
    code, name = str(item.get("code") or ""), str(item.get("name") or "")
    before = queries.rows(by).filter(code=code, department=department).first()
    if before is None:
        row = begin_workbook(department, code, name, content=content, note="由行业包导入", by=by)
        return Imported(row, "已导入为草案，请先检查")
    return _take_in(before, content, lineage, by=by)


@action("builder.edit", department=_owner)
def _take_in(
    row: Workbook, content: Mapping[str, Any], lineage: Sequence[str], *, by: Actor
) -> Imported:
    """Merge what a pack says into a workbook, on the newest revision that the pack was made from."""
    fresh = _locked(row)
    _editable(fresh)
    own = queries.digests(by, fresh)
    number = own.get(parts.digest(content, fresh.code))
    if number is not None:
        record("workbook.unchanged", fresh, by=by, data={"title": "导入的行业包没有新内容"})
        return Imported(fresh, f"压缩包与第 {number} 次修订相同，没有新的修改")
    common = max((own[d] for d in lineage if d in own), default=0)
    base = queries.content_at(by, fresh, common) if common else {}
    now, found, asides = dict(fresh.content), {}, []
    for part in parts.PARTS:
        mine = dict(content.get(part) or {})
        made = met(base.get(part) or {}, now.get(part) or {}, mine)
        found[part] = made.part
        if made.clashes:
            asides.append((part, made, mine))
    since = f"自第 {common} 次修订以来" if common else "与本草案没有共同的来历，"
    if not same(found, {p: now.get(p) or {} for p in parts.PARTS}):
        _keep(fresh, found, parts.ITEM, "由行业包导入，并入本草案", by)
    kept = tuple(
        _aside(fresh, part, made, mine, f"{since}行业包和本草案都改了", by)
        for part, made, mine in asides
    )
    record("workbook.saved", fresh, by=by, data={"title": "由行业包导入", "clashes": len(kept)})
    words = "已并入本草案，请先检查"
    if kept:
        many = sum(len(a.places) for a in kept)
        words = f"已导入；有 {many} 处两边都改过，本草案的内容暂时保留，请逐处选定"
    return Imported(fresh, words, kept)
