"""Store: items become rows (list, versions, what they are found by), many at once or one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.catalogue.api import words
from lianyun.kernel.models import Party

from ..models import ItemVersion, Listing
from ..queries.around import names_of
from ..rules.checks import ERROR, Known, check
from ..rules.item import Item

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

LOCK = 0x6C79_0501
BATCH = 500
_FOUND_BY = (
    "name", "department", "implementing_code", "version", "content", "draft", "case",
    "retired_on", "retired_why", "type", "kind", "objects_served", "legal_days", "promised_days",
    "visits", "online", "person_themes", "entity_themes", "life", "reach", "hot", "faults",
    "generated", "heading", "text", "search", "pack", "declared", "changed_at",
)  # fmt: skip


@dataclass(frozen=True)
class Ready:
    """One item that was read and is ready to be kept; `number` overrides nothing but the faults."""

    item: Item
    content: dict[str, Any]
    pack: str = ""
    declared: str = ""
    faults: int | None = None


def lock() -> None:
    """One writer of many items at a time; released at the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def errors(item: Item, known: Known) -> int:
    """How many findings keep this item from being published."""
    return sum(f.severity == ERROR for f in check(item, known))


def fill(row: Listing, item: Item, party: Party) -> None:
    """Bring what pages find a row by in line with the item."""
    themes = [
        *(names_of("person_theme").get(t, "") for t in item.person_themes),
        *(names_of("entity_theme").get(t, "") for t in item.entity_themes),
        *(names_of("life_event").get(t, "") for t in item.life),
    ]
    row.name = item.name[:200]
    row.department = party
    row.implementing_code = item.implementing_code[:33]
    row.type, row.kind, row.objects_served = item.type[:2], item.kind, list(item.objects)
    row.legal_days, row.promised_days = max(item.legal_days, 0), max(item.promised_days, 0)
    row.visits, row.online = max(item.visits, 0), item.online
    row.person_themes, row.entity_themes = list(item.person_themes), list(item.entity_themes)
    row.life, row.reach, row.hot = list(item.life), list(item.reach), max(item.hot, 0)
    row.generated = item.generated
    words_of = [*item.keywords, item.result.name]
    row.heading = words.fold(" ".join([item.name, *item.keywords]))[:300]
    row.text = words.fold(" ".join([item.name, *words_of, party.name, party.short, *themes]))
    vector = words.vector(
        item.name,
        [*words_of, party.short or party.name],
        [*themes, item.implementing_code, item.basic_code, *(m.name for m in item.materials)],
        " ".join(item.conditions[:2])[:200],
    )
    row.search = vector


def put(
    ready: Iterable[Ready],
    *,
    publish: bool,
    by: Actor,
    parties: Mapping[str, Party],
    note: str = "",
) -> list[Listing]:
    """Keep items: with `publish` each gets its next version, otherwise a draft or a copy in work.

    A retired item that is published again is taken up again.
    """
    entries = list(ready)
    if not entries:
        return []
    now = timezone.now()
    known = {
        row.code: row
        for row in Listing.objects.select_for_update(of=("self",)).filter(
            code__in=[e.item.code for e in entries]
        )
    }
    rows, versions = [], []
    for entry in entries:
        row = known.get(entry.item.code) or Listing(code=entry.item.code)
        party = parties[entry.item.department]
        row.changed_at = now
        if entry.faults is not None:
            row.faults = entry.faults
        if publish:
            fill(row, entry.item, party)
            row.version += 1
            row.content, row.draft, row.case = entry.content, None, None
            row.retired_on, row.retired_why = None, ""
            row.pack, row.declared = entry.pack or row.pack, entry.declared
            versions.append((row, entry.content))
        else:
            if not row.version:
                fill(row, entry.item, party)
            row.draft = entry.content
        rows.append(row)
    fields = list(_FOUND_BY)
    Listing.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=fields,
    )
    ids = dict(Listing.objects.filter(code__in=[r.code for r in rows]).values_list("code", "pk"))
    for row in rows:
        row.pk = ids[row.code]
    ItemVersion.objects.bulk_create(
        [
            ItemVersion(
                listing_id=row.pk, number=row.version, content=content, by=by.party, note=note[:300]
            )
            for row, content in versions
        ],
        batch_size=BATCH,
    )
    return rows
