"""Allotting: a turn's allotment computed in one transaction; pressed again it is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.rows import pour

from ..models import Allotment, Registration, Round, School, Seat
from ..queries import own, rounds
from ..rules import allot as allotting
from ..rules import calendar


def locked(found: Round) -> Round:
    """The round's row, held until the transaction ends: of two who press one waits for the other."""
    return (
        Round.objects.select_for_update(of=("self",))
        .select_related("department", "case")
        .get(pk=found.pk)
    )


@dataclass(frozen=True)
class Inputs:
    """What an allotment rests on: units, places by school, and the digest of both."""

    units: tuple[allotting.Unit, ...]
    places: dict[int, int]
    digest: str


def inputs(found: Round, by: Actor) -> Inputs:
    """Units of who has no place yet, with the places that nobody keeps; digest over all of it."""
    scheme = rounds.scheme_of(found)
    schools = list(found.schools.order_by("pk"))
    kept = rounds.left(by, found) if found.turn > 1 else {s.pk: s.places for s in schools}
    rows = list(
        rounds.entered(by, found)
        .filter(rank__isnull=False, school=None)
        .order_by("rank")
        .values_list("pk", "guardian_id", "rank", "wishes", "together", "town")
    )
    inside = _areas(schools, {town for *_, town in rows}) if scheme.areas != "none" else {}
    groups: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
    for row in rows:
        whose = (0, row[1]) if row[4] and scheme.together else (1, row[0])
        groups.setdefault(whose, []).append(row)
    units = []
    for members in groups.values():
        same = [m for m in members if m[3] == members[0][3]]
        # Who changed the wishes of one only has parted them.
        for part in [same] if len(same) == len(members) else [[m] for m in members]:
            units.append(
                allotting.Unit(
                    id=part[0][0],
                    members=tuple(m[0] for m in part),
                    rank=max(m[2] for m in part),
                    wishes=tuple(part[0][3]),
                    first=frozenset.intersection(*(inside.get(m[5], frozenset()) for m in part)),
                )
            )
    told = json.dumps(
        [
            found.code,
            found.turn,
            sorted(kept.items()),
            [(u.members, u.rank, u.wishes, sorted(u.first & set(u.wishes))) for u in units],
        ],
        separators=(",", ":"),
    )
    return Inputs(tuple(units), kept, hashlib.sha256(told.encode()).hexdigest())


def _areas(schools: Sequence[School], towns: set[str]) -> dict[str, frozenset[int]]:
    return {t: frozenset(s.pk for s in schools if own.in_area(s, t)) for t in towns}


@action("enrolment.allot", department=lambda found, **_: found.department)
def allot(found: Round, *, by: Actor) -> Allotment:
    """Compute the turn's allotment, or find it where nothing has changed since; nothing is published.

    All or nothing: a process that dies leaves none of it. Raises UserError where the ranking is not
    published or the wishes are still open.
    """
    held = locked(found)
    if not held.ranked_at or rounds.phase(by, held) != calendar.ALLOT:
        raise UserError("位次还没有公布，或者志愿还没有截止，不能派位")
    given = inputs(held, by)
    there = Allotment.objects.filter(round=held, turn=held.turn).first()
    if there is not None and there.inputs == given.digest:
        record("enrolment.allotted_again", held, by=by, data={"digest": there.digest})
        return there
    result = allotting.allot(given.units, given.places)
    if there is not None:
        there.seats.all().delete()
    row = there or Allotment(round=held, turn=held.turn)
    row.made_by, row.made_at, row.inputs = by.party, timezone.now(), given.digest
    row.units = sum(u.size for u in given.units)
    row.placed = sum(u.size for u in given.units if result.schools[u.id])
    row.lines = _lines(held, result, by)
    seats = _seats(given, result)
    row.digest = _digest(seats)
    row.save()
    pour(
        Seat,
        ("allotment_id", "registration_id", "school_id", "wish", "wishes", "waits"),
        ((row.pk, *seat) for seat in seats),
    )
    told = {"turn": row.turn, "units": row.units, "placed": row.placed, "digest": row.digest}
    record("enrolment.allotted", held, by=by, case=held.case, data=told)
    return row


def _lines(found: Round, result: allotting.Result, by: Actor) -> list[dict[str, Any]]:
    ranks = [line.rank for line in result.lines.values() if line.rank]
    points = dict(
        Registration.objects.filter(round=found, rank__in=ranks).values_list("rank", "points")
    )
    areas = rounds.scheme_of(found).areas == "first"
    having = set(found.schools.exclude(towns=[]).values_list("pk", flat=True))
    return [
        {
            "school": s,
            "places": line.places,
            "taken": line.taken,
            "full": line.full,
            "outside": line.outside and areas and s in having,
            "areas": areas and s in having,
            "rank": line.rank,
            "points": f"{(points[line.rank] or Decimal(0)).normalize():f}" if line.rank else None,
        }
        for s, line in sorted(result.lines.items())
    ]


def _seats(given: Inputs, result: allotting.Result) -> list[tuple[Any, ...]]:
    """(registration, school, which wish, wishes, waits) of every member of every unit."""
    out: list[tuple[Any, ...]] = []
    for unit in given.units:
        school = result.schools[unit.id]
        wish = unit.wishes.index(school) + 1 if school else None
        waits = json.dumps({str(s): n for s, n in result.waits.get(unit.id, {}).items()})
        wishes = json.dumps(list(unit.wishes))
        out += [(member, school or None, wish, wishes, waits) for member in unit.members]
    return out


def _digest(seats: Sequence[tuple[Any, ...]]) -> str:
    told = sorted((seat[0], seat[1] or 0, seat[2] or 0) for seat in seats)
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


__all__ = ["allot", "inputs", "locked"]
