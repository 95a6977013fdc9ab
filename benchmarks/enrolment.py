"""Enrolment: ranking and allotting a city's children, beside a library's solver.

``python benchmarks/enrolment.py [--children N] [--schools N] [--peer N] [--growth K] [--rows N]``: N children with
points, ties and five wishes each over so many schools with nine places for ten children; a third of
the schools take their catchment first. Timed: the ranking with its lots, then the allotment. The peer
is `matching` (PyPI), HospitalResident with residents proposing, on the same preferences; it wants every
school's whole list of children and is run on fewer children (--peer), where the results must be equal.
K times fewer children show how it grows. Last the actions themselves on registrations in PostgreSQL (--rows,
0 leaves them out): ranked, allotted and published with all rows and events, each in its one transaction.
Targets: no slower than the peer on the same children; ranking with allotting 50,000 within 5 s in memory;
each action within 15 s for 10,000 rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from installation import installation

from lianyun.capabilities.enrolment.rules.allot import (
    Entrant,
    Unit,
    allot,
    list_digest,
    ranking,
    seed_of,
    unstable,
)

TARGET, ROWS_TARGET = 5.0, 15.0


def city(
    children: int, schools: int
) -> tuple[list[Entrant], dict[int, tuple[Any, ...]], dict[int, int]]:
    """Children with points, their wishes and catchments, and places by school; the same every time."""
    chance = random.Random(20260901)
    places = {s: max(children * 9 // (10 * schools), 1) for s in range(1, schools + 1)}
    entrants, wishes = [], {}
    for n in range(1, children + 1):
        points = 50 * chance.randint(0, 160)
        entrants.append(Entrant(n, f"26P{n:06d}", points, (-50 * chance.randint(0, 40),)))
        home = chance.randint(1, schools)
        near = [1 + (home + int(chance.gauss(0, 6))) % schools for _ in range(12)]
        wanted = tuple(dict.fromkeys([home, *near]))[:5]
        wishes[n] = (wanted, frozenset({home}) if home % 3 == 0 else frozenset())
    return entrants, wishes, places


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time, and what came of it."""
    began = time.process_time()
    made = work()
    return time.process_time() - began, made


def ours(children: int, schools: int) -> tuple[float, float, list[Unit], Any, dict[int, int]]:
    """Ranking and allotment of so many children: seconds of each, units, result, places."""
    entrants, wishes, places = city(children, schools)
    first, order = timed(lambda: ranking(entrants, seed_of("secret", list_digest(entrants))))
    units = [Unit(e.id, (e.id,), at, *wishes[e.id]) for at, e in enumerate(order, 1)]
    second, result = timed(lambda: allot(units, places))
    return first, second, units, result, places


def peer(units: list[Unit], places: dict[int, int]) -> tuple[float, float, dict[int, int]]:
    """The library on the same children: seconds to read the preferences, to solve, and the schools."""
    from matching.games import HospitalResident  # type: ignore[import-untyped]

    outside = len(units) + 1
    by_school: dict[int, list[tuple[int, int]]] = {s: [] for s in places}
    for unit in units:
        for school in unit.wishes:
            key = unit.rank if school in unit.first else unit.rank + outside
            by_school[school].append((key, unit.id))
    residents = {f"c{u.id}": [f"s{s}" for s in u.wishes] for u in units}
    hospitals = {
        f"s{s}": [f"c{child}" for _, child in sorted(listed)]
        for s, listed in by_school.items()
        if listed
    }
    capacities = {f"s{s}": places[s] for s, listed in by_school.items() if listed}
    read, game = timed(
        lambda: HospitalResident.create_from_dictionaries(residents, hospitals, capacities)
    )
    took, solved = timed(lambda: game.solve(optimal="resident"))
    got = dict.fromkeys((u.id for u in units), 0)
    for hospital, kept in solved.items():
        for child in kept:
            got[int(str(child)[1:])] = int(str(hospital)[1:])
    return read, took, got


def measure(children: int, schools: int, small: int, growth: int) -> bool:
    """Run all, print, and say whether the target is met."""
    before = 0.0
    for count in (children // growth, children):
        rank, place, _, result, _ = ours(count, schools)
        placed = sum(1 for s in result.schools.values() if s)
        told = f"，比 {count // growth:,} 个慢 {(rank + place) / before:.1f} 倍" if before else ""
        before = rank + place
        print(
            f"{count:>7,} 个孩子、{schools} 所学校  排名（含抽签）{rank:6.2f} 秒  派位 {place:6.2f} 秒"
            f"  录取 {placed:,}{told}"
        )
    met = before <= TARGET
    _own_rank, own, units, result, places = ours(small, max(schools * small // children, 5))
    wrong = unstable(units, places, result.schools) if small <= 3000 else []
    read, took, got = peer(units, places)
    same = got == dict(result.schools)
    print(
        f"{small:>7,} 个孩子、{len(places)} 所学校  派位 {own * 1000:8.1f} 毫秒   matching 读入"
        f" {read:6.2f} 秒、求解 {took:6.2f} 秒   比 {own / took:.4f}（含读入 {own / (read + took):.4f}）"
        f"   结果{'相同' if same else '不同'}，不稳定的对 {len(wrong)}"
    )
    return met and same and not wrong and own <= took


def rows(children: int, schools: int) -> bool:
    """The actions on rows: ranking published, allotment computed; both as an officer's press does it."""
    from django.utils import timezone

    from lianyun.capabilities.enrolment import actions
    from lianyun.capabilities.enrolment.models import Registration, Round
    from lianyun.capabilities.enrolment.rules.calendar import DAYS
    from lianyun.kernel import case as cases
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Party
    from lianyun.kernel.rows import numbers, pour

    entrants, wishes, places = city(children, schools)
    now = timezone.now()
    hours = (-9, -8, -7, -1, -0.5, 300, 400, 500)
    days = {d.key: now + dt.timedelta(hours=n) for d, n in zip(DAYS, hours, strict=True)}
    listed: list[tuple[str, str, int, list[str]]] = [
        (f"{s:010d}", f"第{s}小学", places[s], []) for s in places
    ]
    ahead = {k: v + dt.timedelta(days=9) for k, v in days.items()}
    found = actions.make_round(
        "primary_points", year=now.year, title="", days=ahead, schools=listed, by=SYSTEM
    )
    assert found.case is not None
    for step, outcome in (("prepare", "submit"), ("approve", "approve")):
        actions.move(found, step, outcome, by=SYSTEM)
    pks = {int(code): pk for code, pk in found.schools.values_list("code", "pk")}
    parties = numbers(Party, children)
    pour(Party, ("id", "kind", "name", "created_at"), ((n, "person", "孩子", now) for n in parties))
    pour(
        Registration,
        ("code", "round_id", "child_id", "guardian_id", "number", "points", "ties", "wishes", "filed_at"),
        (
            (
                f"B{e.id}", found.pk, who, who, e.number, e.points / 100, json.dumps(list(e.ties)),
                json.dumps([pks[s] for s in wishes[e.id][0]]), now,
            )
            for e, who in zip(entrants, parties, strict=True)
        ),
    )  # fmt: skip
    # The steps between are other people's; the days are set so that they have passed.
    Round.objects.filter(pk=found.pk).update(
        days={k: v.isoformat() for k, v in days.items()},
        objections_until=now.date() - dt.timedelta(days=1),
    )
    for step in ("register", "check"):
        item = found.case.items.get(done_at=None, step=step)
        cases.step(item, {"register": "close", "check": "publish"}[step], by=SYSTEM)
    began = time.perf_counter()
    actions.move(found, "object", "rank", by=SYSTEM)
    ranked = time.perf_counter() - began
    actions.move(found, "choose", "close", by=SYSTEM)
    began = time.perf_counter()
    made = actions.allot(found, by=SYSTEM)
    took = time.perf_counter() - began
    began = time.perf_counter()
    again = actions.allot(found, by=SYSTEM)
    repeated = time.perf_counter() - began
    actions.move(found, "allot", "submit", by=SYSTEM)
    began = time.perf_counter()
    actions.move(found, "sign", "publish", by=SYSTEM)
    published = time.perf_counter() - began
    print(
        f"{children:>7,} 行登记（PostgreSQL，含事件）  公布位次 {ranked:5.1f} 秒  派位 {took:5.1f} 秒"
        f"  再按一次 {repeated:5.1f} 秒（摘要{'相同' if again.digest == made.digest else '不同'}）"
        f"  公布结果 {published:5.1f} 秒  录取 {made.placed:,}"
    )
    return max(ranked, took, published) <= ROWS_TARGET and again.digest == made.digest


def on_rows(children: int, schools: int) -> bool:
    """Prepare a new installation and measure the actions in it."""
    with installation():
        met = rows(children, schools)
    return met


def main() -> int:
    """0 where every target is met."""
    parser = argparse.ArgumentParser(description="积分入学的排名和派位")
    parser.add_argument("--children", type=int, default=50_000)
    parser.add_argument("--schools", type=int, default=300)
    parser.add_argument("--peer", type=int, default=1_500)
    parser.add_argument("--growth", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000)
    told = parser.parse_args()
    met = measure(told.children, told.schools, told.peer, told.growth)
    if told.rows:
        met = on_rows(told.rows, max(told.schools * told.rows // told.children, 5)) and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
