"""Order: who is called next, fair between appointments, privileged persons and whoever walked in.

The rule, as people are told it: whoever has an appointment is due at its time; persons of a declared
group (老年人、军人、残疾人) are due when they come; after `run` of these in a row the person who has
waited longest without either is called. Nobody is passed for ever, and no appointment waits behind a
full hall. Who comes before the time of an appointment waits for it, unless nobody else waits.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BOOKED, FIRST, ORDINARY = "booked", "first", "ordinary"
LANES = {BOOKED: "预约", FIRST: "优先", ORDINARY: "现场"}


@dataclass(frozen=True)
class Waiting:
    """One ticket that waits: `since` is its place in its lane, for an appointment the time it is due."""

    id: int
    lane: str
    since: dt.datetime
    wanted: bool = False
    """Sent on to this very counter by another: it goes before all."""


def lane_of(group: str, booked: bool, late: bool) -> str:
    """The lane of a ticket: an appointment kept in time, a declared group, or as anybody."""
    if booked and not late:
        return BOOKED
    return FIRST if group else ORDINARY


def line(waiting: Iterable[Waiting], *, called: int, run: int, now: dt.datetime) -> list[Waiting]:
    """All who wait in the order in which they will be called.

    `called` is how many of the two privileged lanes were called in a row just before.
    """
    rows = sorted(waiting, key=lambda w: (w.since, w.id))
    sent = [w for w in rows if w.wanted]
    early = [w for w in rows if not w.wanted and w.lane == BOOKED and w.since > now]
    ready = [w for w in rows if not w.wanted and w not in early]
    before = [w for w in ready if w.lane != ORDINARY]
    after = [w for w in ready if w.lane == ORDINARY]
    out = list(sent)
    while before or after:
        if before and (called < run or not after):
            out.append(before.pop(0))
            called += 1
        else:
            out.append(after.pop(0))
            called = 0
    return out + early


def in_a_row(lanes: Sequence[str]) -> int:
    """How many privileged ones were called last, of the lanes called, newest first."""
    for count, lane in enumerate(lanes):
        if lane == ORDINARY:
            return count
    return len(lanes)


def back_at(queue: Sequence[Waiting], back: int, now: dt.datetime) -> dt.datetime:
    """The place of somebody who missed the call and comes back: behind the next `back` that wait."""
    ordinary = sorted(w.since for w in queue if w.lane == ORDINARY)[:back]
    return ordinary[-1] + dt.timedelta(microseconds=1) if len(ordinary) == back else now


__all__ = [
    "BOOKED",
    "FIRST",
    "LANES",
    "ORDINARY",
    "Waiting",
    "back_at",
    "in_a_row",
    "lane_of",
    "line",
]
