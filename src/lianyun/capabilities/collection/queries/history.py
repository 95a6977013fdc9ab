"""History: what a batch changed, how a dataset stood, what differs between two states, taking back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.kernel.access import UserError
from lianyun.kernel.models import Batch, Resource
from lianyun.lake import history, merge
from lianyun.lake.shelves import LakeError

from .. import adapters, rules
from .rows import masked, masks
from .spec import content

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


MOST_CHANGES = 500
"""Changed rows that are shown of a batch; the number of all is told."""


@dataclass(frozen=True)
class Changed:
    """One changed row of a batch, masked: what happened to which row."""

    pk: int
    op: str
    key: str
    words: str


def changed(found: Batch, viewer: Actor) -> tuple[list[Changed], int]:
    """The first changed rows of a batch, masked, and how many there are in all."""
    if found.state != Batch.SUCCEEDED:
        return [], 0
    outcome = found.outcome
    total = sum(int(outcome.get(n) or 0) for n in ("inserted", "updated", "deleted"))
    rows = merge.changes(adapters.lake(), found.resource.name, found.code, MOST_CHANGES).to_pylist()
    return _told(found.resource, rows, outcome.get("key") or []), total


def _told(resource: Resource, rows: Sequence[dict[str, Any]], key: Sequence[str]) -> list[Changed]:
    """Changed rows (op, before, after) in words, masked."""
    hide = masks(resource)
    items = content(resource).get("items") or ()
    titles = {i["name"]: i.get("title") or i["name"] for i in items}
    secret = resource.level >= 3

    def shown(row: dict[str, Any] | None, name: str) -> str:
        mask = hide.get(name, "all" if secret and name not in titles else "none")
        value = masked(mask, (row or {}).get(name))
        return "—" if value is None else str(value)

    def words(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
        names = [n for n in (after or before or {}) if not n.startswith("_") and n not in key]
        if before is None or after is None:
            row = after or before
            told = [f"{titles.get(n, n)} {shown(row, n)}" for n in names if (row or {}).get(n)]
        else:
            told = [
                f"{titles.get(n, n)}：{shown(before, n)} → {shown(after, n)}"
                for n in names
                if before.get(n) != after.get(n)
            ]
        return "；".join(told)

    made = []
    for number, row in enumerate(rows):
        before, after = row["before"], row["after"]
        name = "，".join(shown(after or before, k) for k in key) or "—"
        made.append(Changed(number, row["op"], name, words(before, after)))
    return made


# ---- former states ---------------------------------------------------------------------------

MOST_STATES = 200
"""Former states that one may choose from, newest first; older ones are found by their date."""


@dataclass(frozen=True)
class State:
    """A dataset as it stood after a batch: the batch, when, how many rows."""

    code: str
    at: dt.datetime
    rows: int

    @property
    def title(self) -> str:
        """As it is offered for choice."""
        return f"{timezone.localtime(self.at):%Y-%m-%d %H:%M}　{self.rows:,} 行　{self.code}"


def states(resource: Resource, viewer: Actor, rows: int) -> list[State]:
    """The states of a dataset after each of its batches, newest first; `rows` is how many it has now."""
    found = Batch.objects.filter(resource=resource, state=Batch.SUCCEEDED)
    made = []
    for batch in found.order_by("-finished_at", "-id"):
        made.append(State(batch.code, batch.finished_at or batch.started_at, rows))
        rows -= int(batch.outcome.get("inserted") or 0) - int(batch.outcome.get("deleted") or 0)
    return made


def state_on(known: Sequence[State], day: dt.date) -> State | None:
    """The state at the end of a day; None before the first batch."""
    return next((s for s in known if timezone.localtime(s.at).date() <= day), None)


def differing(
    resource: Resource, first: str, last: str, viewer: Actor
) -> tuple[list[Changed], dict[str, int]]:
    """The net difference between two states: the first rows of it, masked, and how many by kind.

    Raises UserError where the lake knows no such batch, or the first comes after the last.
    """
    place = adapters.lake()
    try:
        counts = history.difference_counts(place, resource.name, first, last)
        rows = history.difference(place, resource.name, first, last, MOST_CHANGES).to_pylist()
        done = merge.outcome_of(place, last)
    except LakeError as error:
        raise UserError(str(error)) from error
    return _told(resource, rows, done.key if done else ()), counts


def undone_by(found: Batch, viewer: Actor) -> str:
    """The code of the batch that took this one back, or nothing."""
    return (
        Batch.objects.filter(
            resource=found.resource, mode=rules.UNDO, source_ref=f"undo:{found.code}"
        )
        .exclude(state=Batch.FAILED)
        .values_list("code", flat=True)
        .first()
        or ""
    )


def may_undo(found: Batch, viewer: Actor) -> bool:
    """Whether this viewer may take the batch back now."""
    return (
        found.state == Batch.SUCCEEDED
        and found.mode != rules.UNDO
        and viewer.may("collection.run", found.resource.owner)
        and not undone_by(found, viewer)
    )


def undo_plan(found: Batch, viewer: Actor) -> history.Undone:
    """What taking the batch back would do; raises Denied, and UserError where it cannot be."""
    viewer.require("collection.run", found.resource.owner)
    if found.state != Batch.SUCCEEDED:
        raise UserError("只有已完成的批次才能撤回")
    try:
        return history.preview_undo(adapters.lake(), found.resource.name, found.code)
    except LakeError as error:
        raise UserError(str(error)) from error
