"""Editing: draw up an item, change its copy in work, throw it away, stop offering it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party

from .. import queries
from ..models import Listing
from ..queries.around import around
from ..rules.content import EMPTY, digest, spelled
from ..rules.item import BadItem, Item, read
from . import store

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


class Changed(UserError):
    """Somebody else has saved since the editor opened the page; the message says who and when."""


def _owner(*, listing: Listing, **_: Any) -> Party:
    return listing.department


def locked(listing: Listing) -> Listing:
    """The row locked for this transaction, read after the lock: who waited sees what was done."""
    Listing.objects.select_for_update().get(pk=listing.pk)
    return Listing.objects.select_related("department", "case").get(pk=listing.pk)


def in_review(row: Listing) -> bool:
    """Whether a review of this item is running."""
    return row.case is not None and row.case.state != Case.CLOSED


def _read(content: Mapping[str, Any], by: Actor) -> tuple[Item, dict[str, Any], int]:
    parties = queries.departments(by)
    lean = around(parties)
    try:
        whole = spelled(content, lean)
        item = read(whole, lean)
    except (BadItem, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"内容不能保存：{error}") from error
    return item, whole, store.errors(item, queries.known(by, parties))


@action("items.edit", department=lambda *, department, **_: department)
def draft_item(*, department: Party, code: str, name: str, by: Actor) -> Listing:
    """Draw up a new item of a department; its basic code is to be filled in before it is submitted."""
    if Listing.objects.filter(code=code).exists():
        raise UserError(f"标识 {code} 已经使用")
    if not name.strip():
        raise UserError("请填写事项名称")
    content = {
        **EMPTY,
        "code": code,
        "name": name.strip(),
        "department": department.slug,
        "basic_code": "000000000000",
    }
    item, whole, faults = _read(content, by)
    (row,) = store.put(
        [store.Ready(item, whole, faults=faults)],
        publish=False,
        by=by,
        parties={department.slug or "": department},
    )
    record("item.drafted", row, by=by, data={"title": "编制事项"})
    return row


@action("items.edit", department=_owner)
def edit_item(
    *, listing: Listing, content: Mapping[str, Any], seen: str = "", by: Actor
) -> Listing:
    """Change the copy in work (begun here if there is none); the published version stays as it is.

    `seen` is the mark (`content.digest`) of what the editor had before him: where somebody has
    saved meanwhile, nothing is written and Changed says who.
    """
    row = locked(listing)
    if in_review(row):
        raise UserError("正在审核中，不能修改；如需修改，请审核人退回")
    if seen and seen != digest(queries.content_of(row)):
        last = queries.last_saved(by, row)
        who = f"{last.by_name}于 {timezone.localtime(last.at):%H:%M} " if last is not None else ""
        raise Changed(f"您打开后，{who}保存了新的内容，您的修改还没有保存")
    told = {**content, "code": row.code, "department": row.department.slug}
    item, whole, faults = _read(told, by)
    (row,) = store.put(
        [store.Ready(item, whole, faults=faults)],
        publish=False,
        by=by,
        parties={row.department.slug or "": row.department},
    )
    record("item.changed", row, by=by, data={"title": "修改事项"})
    return row


@action("items.edit", department=_owner)
def discard_draft(*, listing: Listing, by: Actor) -> None:
    """Throw away a copy in work, or an item that was never published."""
    row = locked(listing)
    if in_review(row):
        raise UserError("正在审核中，不能删除")
    if row.draft is None:
        raise UserError("没有修订稿")
    if row.version:
        row.draft, row.faults = None, 0
        row.save(update_fields=["draft", "faults"])
        record("item.changed", row, by=by, data={"title": "放弃修订稿"})
        return
    record("item.discarded", row, by=by, data={"title": "删除草稿", "name": row.name})
    row.delete()


@action("items.retire", department=_owner)
def retire_item(*, listing: Listing, reason: str, by: Actor) -> None:
    """Stop offering an item: nobody can ask for it any more, cases under way go on."""
    row = locked(listing)
    if not reason.strip():
        raise UserError("停办事项须写明理由")
    if not row.public:
        raise UserError("事项没有发布，或已经停办")
    if in_review(row):
        raise UserError("修订稿正在审核中，请先办结")
    row.retired_on, row.retired_why = timezone.localdate(), reason.strip()[:300]
    row.save(update_fields=["retired_on", "retired_why"])
    record("item.retired", row, by=by, data={"title": "停办事项", "reason": reason})


@action("items.retire", department=_owner)
def resume_item(*, listing: Listing, by: Actor) -> None:
    """Offer a retired item again as it was published last."""
    row = locked(listing)
    if row.retired_on is None:
        raise UserError("事项没有停办")
    row.retired_on, row.retired_why = None, ""
    row.save(update_fields=["retired_on", "retired_why"])
    record("item.resumed", row, by=by, data={"title": "恢复办理"})
