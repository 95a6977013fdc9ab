"""Entry actions: our published entries are told to other nodes; theirs appear here, or wait for an officer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Resource

from .. import rules
from ..models import Announced, Link, Mirror
from .outbox import note_crossing, post

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Event

_TOLD = (
    "code", "name", "title", "summary", "class", "format", "share", "open", "cycle", "level",
    "published_on",
)  # fmt: skip
_ITEM = ("name", "title", "element", "type", "format", "required", "key", "note")


def content_of(resource: Resource) -> dict[str, Any]:
    """An entry as other nodes are told of it."""
    told = catalogue.dataset_spec(resource)
    share, opened = told.get("share") or {}, told.get("open") or {}
    return {
        **{k: told.get(k) or "" for k in _TOLD},
        "share": {k: share.get(k) or "" for k in ("type", "conditions", "basis", "method")},
        "open": {"type": int(opened.get("type") or 0), "conditions": opened.get("conditions", "")},
        "level": int(told.get("level") or 1),
        "items": [{k: i.get(k) for k in _ITEM} for i in told["items"]],
        "rules": [
            {k: r.get(k) for k in ("code", "title", "sql", "severity")}
            for r in told.get("rules") or ()
        ],
        "department": resource.owner.name,
        "department_slug": resource.owner.slug or "",
    }


def _own() -> Any:
    return Resource.objects.filter(
        kind=Resource.DATASET, entry__isnull=False, data__origin__isnull=True
    ).select_related("owner")


def _tell(link: Link, resource: Resource, before: Announced | None) -> bool:
    """Tell one entry to one node as it now stands; returns whether there was anything new."""
    topic = f"entry:{resource.code}"
    content = content_of(resource) if resource.state == Resource.PUBLISHED else None
    if content is None or not rules.crosses(content, link.side):
        if resource.state not in (Resource.WITHDRAWN, Resource.PUBLISHED):
            return False
        if before is None or not before.digest:
            return False
        post(link, "entry.withdrawn", topic, {"code": resource.code, "title": resource.title})
        before.digest = ""
        before.save(update_fields=["digest"])
        return True
    mark = rules.digest(rules.canonical(content))
    if before is not None and before.digest == mark:
        return False
    post(link, "entry.published", topic, content)
    Announced.objects.update_or_create(link=link, resource=resource, defaults={"digest": mark})
    return True


def announce_all(code: str) -> int:
    """Tell a node every entry of ours that it does not know as it now stands; how many were told."""
    link = Link.objects.filter(code=code, enabled=True).first()
    if link is None:
        return 0
    known = {a.resource_id: a for a in Announced.objects.filter(link=link)}
    count = 0
    for resource in _own().order_by("code"):
        with transaction.atomic():
            count += _tell(link, resource, known.get(resource.pk))
    return count


def announce_resource(event: Event) -> None:
    """An entry was published or withdrawn: every node above and below is told."""
    kind, _, name = event.subject.partition(":")
    links = list(Link.objects.filter(enabled=True))
    if kind != Resource.DATASET or not links:
        return
    resource = _own().filter(name=name).first()
    if resource is None:
        return
    for link in links:
        with transaction.atomic():
            _tell(link, resource, Announced.objects.filter(link=link, resource=resource).first())


def announce_synced(event: Event) -> None:
    """The packs' declarations were brought in: nodes are told of what changed."""
    if event.data.get("created") or event.data.get("updated"):
        for link in Link.objects.filter(enabled=True):
            announce_all(link.code)


# ---- theirs ------------------------------------------------------------------------------


def take_entry(link: Link, body: dict[str, Any]) -> None:
    """Another node published an entry, or changed one."""
    code, name = str(body["code"]), str(body["name"])
    if not body.get("items"):
        raise UserError(f"目录 {code} 没有数据项")
    mirror, _ = Mirror.objects.select_for_update().get_or_create(
        link=link, code=code, defaults={"content": {}, "name": name}
    )
    mirror.name, mirror.title = name[:63], str(body["title"])[:300]
    mirror.department = str(body.get("department") or "")[:200]
    mirror.content, mirror.withdrawn, mirror.changed_at = body, False, timezone.now()
    mirror.save()
    note_crossing(
        link,
        f"{link.code}:{code}:{rules.digest(rules.canonical(body))[:12]}",
        "目录",
        mirror.title,
        sending=False,
    )
    if link.side == rules.LOWER:
        _settle(mirror)


def take_withdrawal(link: Link, body: dict[str, Any]) -> None:
    """Another node withdrew an entry: it leaves our catalogue too."""
    mirror = Mirror.objects.select_for_update().filter(link=link, code=str(body["code"])).first()
    if mirror is None:
        return
    mirror.withdrawn, mirror.conflict, mirror.changed_at = True, "", timezone.now()
    mirror.save()
    if mirror.resource is not None:
        catalogue.retire_entry(
            resource=mirror.resource, reason=f"{link.name}撤销了该目录", by=SYSTEM
        )
        mirror.version = mirror.resource.version
        mirror.save(update_fields=["version"])


def conflict_of(mirror: Mirror) -> tuple[str, Resource | None]:
    """What stands in the way of a lower node's entry here, and which of our entries that is."""
    if mirror.resource is not None:
        mine = mirror.resource
        return (rules.BOTH_EDITED, mine) if mine.version != mirror.version else ("", None)
    if mirror.decision == rules.BOTH:
        return "", None
    own = _own()
    found = own.filter(code=mirror.code).exclude(state=Resource.DRAFT).first()
    if found is not None:
        return rules.SAME_CODE, found
    found = own.filter(state=Resource.PUBLISHED, title=mirror.title).first()
    return (rules.SAME_ENTRY, found) if found is not None else ("", None)


def _settle(mirror: Mirror) -> None:
    """Bring an entry into our catalogue, or list it as a conflict for an officer."""
    if mirror.decision == rules.KEEP:
        return
    conflict, against = conflict_of(mirror)
    if conflict:
        mirror.conflict, mirror.against, mirror.decision = conflict, against, ""
        mirror.save(update_fields=["conflict", "against", "decision"])
        record(
            "entry.conflicted",
            mirror,
            by=SYSTEM,
            data={"title": mirror.title, "conflict": rules.CONFLICTS[conflict]},
        )
        return
    _adopt(mirror)


def _free_name(mirror: Mirror) -> str:
    wanted = rules.adopted_name(mirror.link.code, mirror.name)
    taken = Resource.objects.filter(name=wanted).exists()
    return f"{wanted[:50]}_{mirror.pk}" if taken else wanted


def _adopt(mirror: Mirror) -> None:
    link = mirror.link
    assert link.party is not None
    code = mirror.resource.code if mirror.resource else mirror.code
    if mirror.resource is None and Resource.objects.filter(code=code).exists():
        code = rules.adopted_code(link.code, mirror.code)
    area = rules.area_column(mirror.content["items"])
    checks = [r for r in mirror.content.get("rules") or () if r.get("sql")]
    if area:
        checks.append(rules.area_rule(area, link.code, link.name))
    row = catalogue.adopt_entry(
        owner=link.party,
        content={
            **mirror.content,
            "code": code,
            "name": mirror.resource.name if mirror.resource else _free_name(mirror),
            "rules": checks,
        },
        origin={
            "name": link.name,
            "node": link.code,
            "code": mirror.code,
            "department": mirror.department,
        },
        by=SYSTEM,
    )
    mirror.resource, mirror.version = row, row.version
    mirror.conflict, mirror.against = "", None
    mirror.save(update_fields=["resource", "version", "conflict", "against"])


@action("cascade.decide")
def decide_conflict(*, mirror: Mirror, decision: str, note: str, by: Actor) -> Mirror:
    """An officer decides on a conflict: ours alone, both, or theirs over our change."""
    row = (
        Mirror.objects.select_for_update(of=("self",))
        .select_related("link__party", "resource")
        .get(pk=mirror.pk)
    )
    if not row.conflict:
        raise UserError("该目录没有待处理的冲突")
    if decision not in rules.decisions_for(row.conflict):
        raise UserError("该冲突不能这样处理")
    if len(note.strip()) < 2:
        raise UserError("请写明处理理由")
    conflict = row.get_conflict_display()
    row.decision, row.decided_by, row.note = decision, by.name, note.strip()[:300]
    row.conflict, row.against = "", None
    row.save()
    if decision == rules.KEEP and row.resource is not None:
        # Our edited entry stays as it is; their next change asks again.
        row.version, row.decision = row.resource.version, ""
        row.save(update_fields=["version", "decision"])
    elif decision != rules.KEEP:
        _adopt(row)
        if decision == rules.THEIRS:
            row.decision = ""
            row.save(update_fields=["decision"])
    record(
        "entry.decided",
        row,
        by=by,
        data={
            "title": row.title,
            "conflict": conflict,
            "decision": rules.DECISIONS[decision],
            "note": note.strip(),
        },
    )
    return row
