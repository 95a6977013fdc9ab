"""Entry actions: draw up, edit, revise, discard, withdraw; and register lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import ProtectedError

from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, Resource
from lianyun.kernel.resource import move

from ..models import Edge, Entry
from ..queries import contents, findings, world
from ..rules.entries import ERROR
from ..rules.sheets import from_declared
from . import store
from .origins import refuse_foreign

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

STRUCTURAL = {"class", "code", "name", "provider", "title", "level", "share.type", "open.type"}
"""What even a draft must have right, because columns and codes are made from it."""


def _owner(*, resource: Resource, **_: Any) -> Party:
    return resource.owner


def locked(resource: Resource) -> Entry:
    """The entry with its row locked for this transaction."""
    return (
        Entry.objects.select_for_update(of=("self",))
        .select_related("case", "resource__owner")
        .get(resource_id=resource.pk)
    )


def in_review(entry: Entry) -> bool:
    """Whether a review of this entry is running."""
    return entry.case is not None and entry.case.state != Case.CLOSED


def _sound(content: dict[str, Any], by: Actor) -> None:
    """Refuse a draft that could not even be stored; all else may wait until it is submitted."""
    wrong = [
        f
        for f in findings(by, content)
        if f.severity == ERROR
        and (f.field in STRUCTURAL or f.field.endswith((".name", ".type", ".format")))
        and "个人信息" not in f.message
    ]
    if wrong:
        raise UserError("；".join(f.text for f in wrong[:5]))


@action("catalogue.edit", department=lambda *, provider, **_: provider)
def draft_resource(*, provider: Party, content: Mapping[str, Any], by: Actor) -> Resource:
    """Draw up a new entry for a department; without a code the next of its class is given.

    `content` has the keys of an entry (title, class, summary, format, share, open, cycle, level,
    items …). What is missing may follow before it is submitted; what is written must be well formed.
    """
    full = from_declared({**content, "provider": provider.slug}, world(by))
    if not full["code"]:
        full["code"] = store.new_code(full["class"])
    elif Resource.objects.filter(code=full["code"]).exists():
        raise UserError(f"资源代码 {full['code']} 已经使用，请另取顺序码或留空由系统编号")
    _defaults(full)
    _sound(full, by)
    full["name"] = full["name"] or store.default_name(full)
    row = store.put([full], publish=False, by=by)[0]
    record("resource.created", row, by=by, data={"title": "编制目录草稿", "code": row.code})
    return row


def _defaults(content: dict[str, Any]) -> None:
    content["level"] = content["level"] or 1
    content["share"]["type"] = content["share"]["type"] or 2
    content["open"]["type"] = content["open"]["type"] or 0


@action("catalogue.edit", department=_owner)
def edit_resource(*, resource: Resource, content: Mapping[str, Any], by: Actor) -> Resource:
    """Change a draft, or the copy in work of a published entry; the published one stays as it is.

    A draft that changes its class gets a code of the new class; a published code never changes.
    """
    entry = locked(resource)
    row = entry.resource
    refuse_foreign(row)
    if in_review(entry):
        raise UserError("正在审核中，不能修改；如需修改，请审核人退回")
    new = from_declared({**content, "provider": row.owner.slug}, world(by))
    if row.state != Resource.DRAFT:
        if entry.draft is None:
            raise UserError("已发布的目录不能直接修改，请先建立修订稿")
        new["code"], new["class"], new["name"] = row.code, row.data["class"], row.name
        _defaults(new)
        _sound(new, by)
        entry.draft = new
        entry.save(update_fields=["draft"])
    else:
        if new["class"] and new["class"] != row.data["class"]:
            new["code"] = store.new_code(new["class"])
            Resource.objects.filter(pk=row.pk).update(code=new["code"])
        else:
            new["code"], new["class"] = row.code, row.data["class"]
        new["name"] = new["name"] or row.name
        _defaults(new)
        _sound(new, by)
        row = store.put([new], publish=False, by=by)[0]
    record("resource.changed", row, by=by, data={"title": "修改目录"})
    return row


@action("catalogue.edit", department=_owner)
def new_version(*, resource: Resource, by: Actor) -> Resource:
    """Begin the next version of a published entry as a copy in work; everybody still sees the old one."""
    entry = locked(resource)
    row = entry.resource
    refuse_foreign(row)
    if row.state not in (Resource.PUBLISHED, Resource.WITHDRAWN):
        raise UserError("只有已发布或已撤销的目录才需要建立修订稿")
    if entry.draft is not None:
        raise UserError("已经有一份修订稿，请继续修改它")
    entry.draft = {**contents(by, [row])[0], "published_on": ""}
    entry.save(update_fields=["draft"])
    record("resource.revised", row, by=by, data={"title": f"建立第 {row.version + 1} 版修订稿"})
    return row


@action("catalogue.edit", department=_owner)
def discard_draft(*, resource: Resource, by: Actor) -> None:
    """Throw away a copy in work, or a draft that was never published."""
    entry = locked(resource)
    row = entry.resource
    if in_review(entry):
        raise UserError("正在审核中，不能删除")
    if entry.draft is not None:
        entry.draft = None
        entry.save(update_fields=["draft"])
        record("resource.changed", row, by=by, data={"title": "放弃修订稿"})
        return
    if row.state != Resource.DRAFT or row.version:
        raise UserError("发布过的目录不能删除，只能撤销")
    record("resource.discarded", row, by=by, data={"title": "删除草稿", "code": row.code})
    try:
        row.delete()
    except ProtectedError as error:
        raise UserError("这份草稿已有数据批次或授权，不能删除") from error


@action("catalogue.withdraw", department=_owner)
def withdraw_resource(*, resource: Resource, reason: str, by: Actor) -> None:
    """Take a published entry out of the catalogue; its versions stay."""
    entry = locked(resource)
    row = entry.resource
    refuse_foreign(row)
    if not reason.strip():
        raise UserError("撤销目录须写明理由")
    if row.state != Resource.PUBLISHED:
        raise UserError(f"目录当前为“{row.get_state_display()}”，不能撤销")
    if in_review(entry):
        raise UserError("修订稿正在审核中，请先办结")
    move(row, Resource.WITHDRAWN)
    resource.state = row.state
    record("resource.withdrawn", row, by=by, data={"title": "撤销目录", "reason": reason})


@action("catalogue.edit", department=lambda *, provider, **_: provider)
def register_dataset(*, provider: Party, content: Mapping[str, Any], by: Actor) -> Resource:
    """A dataset that can be loaded at once: a draft with items, or an existing draft replaced.

    For a proposal drawn from a file; `content` may give `code` or `name` of a draft to replace.
    """
    wanted = content.get("code") or ""
    found = Resource.objects.filter(code=wanted).first() if wanted else None
    if found is None and content.get("name"):
        found = Resource.objects.filter(name=content["name"]).first()
    if found is None:
        return draft_resource(provider=provider, content=content, by=by)
    if found.state != Resource.DRAFT:
        raise UserError(f"资源 {found.code} 已经发布，请建立修订稿后修改")
    return edit_resource(resource=found, content=content, by=by)


@action(None)
def register_lineage(
    *, origin: str, edges: Iterable[tuple[str, str, str, str, str]], by: Actor
) -> int:
    """Replace what `origin` says of lineage by these edges; returns how many.

    An edge is (source ref, source title, target ref, target title, note).
    """
    rows = {
        (s, t): Edge(
            origin=origin,
            source=s,
            source_title=st[:300],
            target=t,
            target_title=tt[:300],
            note=note[:500],
        )
        for s, st, t, tt, note in edges
    }
    Edge.objects.filter(origin=origin).delete()
    Edge.objects.bulk_create(rows.values())
    record("lineage.registered", f"lineage:{origin}", by=by, data={"edges": len(rows)})
    return len(rows)
