"""Points counted and explained; rankings anybody can recompute; allotments stable, best, the same."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.capabilities.enrolment import adapters, api
from lianyun.capabilities.enrolment.rules import calendar, points
from lianyun.capabilities.enrolment.rules.allot import (
    Entrant,
    Unit,
    allot,
    list_digest,
    lot,
    ranking,
    seed_of,
    unstable,
)
from lianyun.capabilities.enrolment.rules.scheme import BadScheme, read
from lianyun.decision import compile_decision, load
from lianyun.kernel.packs import declaration

DAY = dt.date(2026, 8, 31)


def model() -> object:
    return load(
        compile_decision("enrolment_points", declaration("decisions", "enrolment_points").data)
    )


def count(**known: object) -> points.Sheet:
    scheme = adapters.schemes()["primary_points"]
    facts = {
        name: points.Known(name, value, points.KNOWN, "市人社局 参保信息", "2026-08-01")
        for name, value in known.items()
    }
    return points.count(scheme, model(), facts, DAY)  # type: ignore[arg-type]


def test_packs_are_whole() -> None:
    assert list(api.pack_faults()) == []
    whole = dict(declaration("enrolment", "primary_points").data)
    for wrong in (
        {"areas": "x"},
        {"ties": [{"title": "t", "line": "no"}]},
        {"more": 1},
        {"next": ""},
    ):
        with pytest.raises(BadScheme):
            read({**whole, **wrong})


def test_every_line_says_whence_and_why_not_more() -> None:
    sheet = count(household=1, insured_on="2021-03-01", paid_months=6, skill="3")
    assert not sheet.faults
    by_id = {line.id: line for line in sheet.lines}
    assert by_id["household"].more == "已达到本项上限 20 分"
    insurance = by_id["insurance"]
    assert insurance.points == Decimal("20.00")
    assert insurance.rule == "参保满五年且近期正常缴费"
    assert insurance.rests[0] == (
        "职工养老保险参保", "65 个月（自 2021-03-01 起）", "市人社局 参保信息，2026-08-01",
    )  # fmt: skip
    assert "下一档 25 分" in insurance.more
    assert "还差 55 个月" in insurance.more
    assert by_id["skill"].points == 6
    assert by_id["home"].rests[0][1] == "没有查到记录"
    assert by_id["honours"].rests == (("表彰奖励", "没有提交材料，或者尚未核对", ""),)
    assert sheet.points == Decimal("46.00")
    assert points.Line.of(insurance.told) == insurance


def test_what_was_refused_or_down_is_told_and_papers_count_when_looked_at() -> None:
    scheme = adapters.schemes()["primary_points"]
    facts = {
        "skill": points.Known("skill", how=points.REFUSED),
        "homes": points.Known("homes", how=points.DOWN, source="市自然资源局 不动产登记信息"),
        "honours": points.Known("honours", 2, points.PAPER, "市教育局核对材料", "2026-09-01"),
    }
    sheet = points.count(scheme, model(), facts, DAY)  # type: ignore[arg-type]
    by_id = {line.id: line for line in sheet.lines}
    assert by_id["skill"].rests[0][1] == "您没有同意查询这一来源"
    assert by_id["home"].rests[0][1] == "来源暂时没有答复"
    assert (by_id["honours"].points, by_id["honours"].by_officer) == (8, True)
    assert sheet.ties[1] == dt.date.max.toordinal()


def test_days_ages_and_doors() -> None:
    born = (dt.date(2018, 9, 1), dt.date(2020, 8, 31))
    assert calendar.age_problem(dt.date(2020, 8, 31), *born) == ""
    assert "未达到" in calendar.age_problem(dt.date(2027, 1, 1), *born)
    assert "已超过" in calendar.age_problem(dt.date(2010, 1, 1), *born)
    days = {
        d.key: dt.datetime(2026, 6, n + 1, 9, tzinfo=dt.UTC) for n, d in enumerate(calendar.DAYS)
    }
    assert calendar.faults(days) == []
    assert calendar.faults({**days, "allot_on": days["register_from"]})
    assert calendar.faults({k: v for k, v in days.items() if k != "choose_until"})
    minute = dt.timedelta(minutes=1)
    for phase, now, word in (
        (calendar.REGISTER, days["register_until"] + minute, "截止"),
        (calendar.REGISTER, days["register_from"] - minute, "开始"),
        (calendar.APPROVE, days["register_from"] + minute, "没有开放"),
        (calendar.CHECK, days["register_from"] + minute, "截止"),
    ):
        assert word in calendar.registering(phase, days, now)
    assert not calendar.registering(calendar.REGISTER, days, days["register_from"] + minute)


def test_anybody_can_recompute_the_ranking() -> None:
    rows = [Entrant(1, "26P000001", 6250, (-2000, 5)), Entrant(2, "26P000002", 6250, (-2000, 4)),
            Entrant(3, "26P000003", 7000), *(Entrant(n, f"26P{n:06d}", 100) for n in range(4, 40))]  # fmt: skip
    seed = seed_of("secret", list_digest(rows))
    order = [e.id for e in ranking(rows, seed)]
    assert order[:3] == [3, 2, 1]
    mixed = random.Random(1).sample(rows, len(rows))
    assert [e.id for e in ranking(mixed, seed_of("secret", list_digest(mixed)))] == order
    by_lot = sorted(range(4, 40), key=lambda n: lot(seed, f"26P{n:06d}"))
    assert order[3:] == by_lot
    assert [e.id for e in ranking(rows, seed_of("another", list_digest(rows)))][3:] != by_lot


@st.composite
def towns(draw: st.DrawFn, most: int = 14, sizes: int = 3) -> tuple[list[Unit], dict[int, int]]:
    """Units of one to three children, schools with few places, some catchments."""
    schools = draw(st.integers(1, 5))
    places = {s: draw(st.integers(0, 4)) for s in range(1, schools + 1)}
    units = []
    for n in range(draw(st.integers(0, most))):
        wishes = draw(st.lists(st.integers(1, schools + 1), max_size=4, unique=True))
        first = draw(st.frozensets(st.integers(1, schools), max_size=2))
        size = draw(st.integers(1, sizes))
        units.append(Unit(n + 1, tuple(range(size)), n + 1, tuple(wishes), first))
    return units, places


@settings(max_examples=120, deadline=None, derandomize=True)
@given(towns(), st.randoms(use_true_random=False))
def test_an_allotment_is_stable_and_the_same_in_any_order(
    town: tuple[list[Unit], dict[int, int]], chance: random.Random
) -> None:
    units, places = town
    result = allot(units, places)
    assert unstable(units, places, result.schools) == []
    mixed = units[:]
    chance.shuffle(mixed)
    again = allot(mixed, places)
    assert (again.schools, again.lines, again.waits) == (result.schools, result.lines, result.waits)
    for unit in units:
        got = result.schools[unit.id]
        assert got == 0 or got in unit.wishes
    for school, line in result.lines.items():
        kept = [u for u in units if result.schools[u.id] == school]
        assert line.taken == sum(u.size for u in kept)
        assert line.full == (line.taken >= places[school])
        # Never over by more than what keeps the last unit together.
        assert not kept or line.taken - max(u.size for u in kept) < max(places[school], 1)
    assert all(bool(result.waits.get(u.id)) <= (result.schools[u.id] == 0) for u in units)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(towns(most=5, sizes=2))
def test_nobody_could_do_better_in_any_stable_allotment(
    town: tuple[list[Unit], dict[int, int]],
) -> None:
    units, places = town
    best = allot(units, places).schools

    def place(unit: Unit, school: int) -> int:
        return unit.wishes.index(school) if school else len(unit.wishes)

    offers = [[s for s in u.wishes if s in places] + [0] for u in units]
    for chosen in product(*offers):
        schools = {u.id: s for u, s in zip(units, chosen, strict=True)}
        if _fits(units, places, schools) and not unstable(units, places, schools):
            assert all(place(u, best[u.id]) <= place(u, schools[u.id]) for u in units)


def _fits(units: list[Unit], places: dict[int, int], schools: dict[int, int]) -> bool:
    """Whether every school keeps only those before whom a place is left."""
    outside = len(units) + 1
    for unit in units:
        school = schools[unit.id]
        if not school:
            continue

        def key(u: Unit, s: int = school) -> int:
            return u.rank if s in u.first else u.rank + outside

        before = sum(u.size for u in units if schools[u.id] == school and key(u) < key(unit))
        if before >= places[school]:
            return False
    return True


@settings(max_examples=60, deadline=None, derandomize=True)
@given(towns(sizes=1), st.data())
def test_truth_is_the_best_wish_list(
    town: tuple[list[Unit], dict[int, int]], data: st.DataObject
) -> None:
    units, places = town
    if not units:
        return
    liar = data.draw(st.sampled_from(units))
    told = data.draw(st.lists(st.integers(1, len(places)), max_size=4, unique=True))
    honest = allot(units, places).schools[liar.id]
    lied = [Unit(u.id, u.members, u.rank, tuple(told), u.first) if u is liar else u for u in units]
    got = allot(lied, places).schools[liar.id]
    order = {s: at for at, s in enumerate(liar.wishes)}
    assert got not in order or (honest in order and order[honest] <= order[got])
