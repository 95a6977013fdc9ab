"""Exchange: every figure equals the list behind it, and what looks like misuse is found and taken up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lianyun.capabilities.exchange import actions, queries, rules
from lianyun.capabilities.exchange.models import Hour, Suspicion
from lianyun.capabilities.exchange.rules import Day
from lianyun.kernel import grant as grants
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Batch, Case, Event, Grant, Resource

Officer = Callable[..., Actor]
Called = Callable[..., None]
Given = Callable[..., Grant]
NOON = dt.datetime(2026, 9, 16, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=8)))


@pytest.fixture(autouse=True)
def at_noon() -> object:
    """A working day, whatever the day of the run."""
    with time_machine.travel(NOON, tick=False):
        yield


def office(calls: int) -> list[int]:
    """24 counts with calls in office hours only."""
    return [calls if 8 <= h < 18 else 0 for h in range(24)]


# ---- rules ---------------------------------------------------------------------------------


def found(day: Day) -> set[str]:
    return {f.rule for f in rules.findings(day)}


def test_a_usual_day_raises_nothing() -> None:
    usual = Day(office(20), [20 * n for n in office(20)], [200] * 20, keys=180, empty=6)
    assert found(usual) == set()
    assert found(Day([0] * 24)) == set()


def test_each_rule_speaks_when_it_should() -> None:
    past, days = [20 * n for n in office(20)], [200] * 20
    night = [60 if h in (2, 3) else n for h, n in enumerate(office(20))]
    assert found(Day(night, past, days, keys=100)) == {"hours"}
    assert "2–4 时" in rules.findings(Day(night, past, days))[0].summary
    assert found(Day(office(120), past, days, keys=300)) == {"surge"}
    assert found(Day(office(20), past, days, keys=195, empty=80)) == {"sweep"}
    assert found(Day(office(20), past, days, keys=20, empty=120)) == {"empties"}
    assert found(Day(office(20), past, days, keys=20, refused=150)) == {"refused"}
    assert found(Day(office(20), past, days, keys=20, refused=9, ended=9)) == {"ended"}
    # Somebody new has no usual hours yet.
    assert found(Day(night, [0] * 24, [], keys=100)) == set()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(
    st.lists(st.integers(0, 10_000), min_size=24, max_size=24),
    st.lists(st.integers(0, 100_000), min_size=24, max_size=24),
    st.lists(st.integers(0, 100_000), max_size=28),
    *[st.integers(0, 50_000)] * 4,
)
def test_rules_take_any_counts(
    hours: list[int],
    past: list[int],
    days: list[int],
    keys: int,
    empty: int,
    refused: int,
    ended: int,
) -> None:
    for one in rules.findings(Day(hours, past, days, keys, empty, refused, 0, ended)):
        assert one.rule in rules.RULES
        data = one.as_data()
        assert len(data["hours"]) == len(data["usual"]) == 24
        assert data["summary"]


# ---- counting ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_counting_twice_changes_nothing(grant: Given, called: Called) -> None:
    mz, today = grant("mz"), timezone.localdate()
    called(mz, today, 9, 30)
    called(mz, today, 9, 4, outcome="empty")
    called(mz, today, 9, 3, outcome="forbidden")
    called(mz, today, 10, 2, outcome="failed")
    assert actions.tally() == 2
    first = list(Hour.objects.order_by("hour").values())
    assert actions.tally() == 0
    # Late calls (a journal read after a crash) of an hour that was counted already.
    called(mz, today, 9, 5)
    assert actions.tally() == 1
    nine = Hour.objects.get(hour=first[0]["hour"])
    assert (nine.calls, nine.answered, nine.empty, nine.failed) == (42, 35, 4, 0)
    assert nine.keys == 5 + 4 + 3
    assert Hour.objects.count() == 2
    Hour.objects.all().delete()
    actions.Mark.objects.update(last=0)
    assert actions.tally() == 2
    assert Hour.objects.get(hour=first[0]["hour"]).calls == 42


# ---- the page and its lists ----------------------------------------------------------------


@pytest.mark.django_db
def test_every_figure_equals_its_list(grant: Given, called: Called, officer: Officer) -> None:
    today = timezone.localdate()
    mz, gjj, old = grant("mz"), grant("gjj"), grant("jy", "rs_insured")
    for day in range(1, 11):
        called(mz, today - dt.timedelta(days=day), 10, 20)
    called(mz, today, 9, 25)
    called(gjj, today, 10, 15)
    called(gjj, today, 10, 2, outcome="overload")
    called(mz, today, 9, 7, channel="workbench")  # reading in the workbench is no exchange
    Grant.objects.filter(pk=old.pk).update(issued_at=timezone.now() - dt.timedelta(days=40))
    Batch.objects.create(
        code="B1", resource=Resource.objects.get(name="rs_insured"), mode="full",
        state=Batch.FAILED, message="连接超时", started_at=timezone.now(),
    )  # fmt: skip
    actions.tally()
    boss = officer("sjj", "bureau_operator")
    volume = queries.volume(boss)
    flows = queries.flows(boss, *queries.span(1))
    assert volume.calls == sum(f.calls for f in flows) == 42
    assert volume.usual == volume.usual_by_now == 20
    assert volume.days[-1] == (today, 42)
    pairs = queries.between(queries.flows(boss, *queries.span(7)), "calls")
    assert [(f.giver, f.taker, n) for f, n in pairs] == [
        (str(mz.grantor), str(mz.grantee), 25 + 6 * 20),
        (str(gjj.grantor), str(gjj.grantee), 17),
    ]
    dead = queries.dead(boss)
    assert [n.kind for n in dead] == ["授权"]
    assert old.code in dead[0].title
    assert {n.kind for n in queries.failed(boss)} == {"归集", "数据服务"}
    assert queries.overdue(boss) == []
    # A department sees what it gives and what it gets, and nothing of others.
    police, fund = officer("ga", "data_officer"), officer("gjj", "data_officer")
    assert sum(f.calls for f in queries.flows(police, *queries.span(1))) == 42
    assert sum(f.calls for f in queries.flows(fund, *queries.span(1))) == 17
    assert queries.volume(fund).calls == 17
    assert queries.volume(officer("rs", "data_officer")).calls == 0
    assert [n.kind for n in queries.failed(officer("rs", "data_officer"))] == ["归集"]
    with pytest.raises(Denied):
        queries.flows(ANONYMOUS, *queries.span(1))


@pytest.mark.django_db
def test_the_pages_show_the_same(
    client: Client, grant: Given, called: Called, officer: Officer
) -> None:
    mz, today = grant("mz"), timezone.localdate()
    called(mz, today, 9, 25)
    actions.tally()
    from django.contrib.auth import get_user_model

    boss = officer("sjj", "bureau_operator")
    client.force_login(get_user_model().objects.create(username="boss", party=boss.party))
    page = client.get(reverse("exchange:home"))
    assert page.status_code == 200
    assert "市公安局 → 市民政局" in page.content.decode()
    listed = client.get(reverse("exchange:flows"), {"days": 1, "provider": "ga"})
    assert "25" in listed.content.decode()
    for name in ("overdue", "dead", "failed", "suspicions"):
        assert client.get(reverse(f"exchange:{name}")).status_code == 200
    assert client.get(reverse("exchange:suspicion", args=[9])).status_code == 404
    assert client.get(reverse("exchange:home"), {"days": "x", "by": "rows"}).status_code == 200


# ---- misuse --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_from_the_records_to_a_case(grant: Given, called: Called, officer: Officer) -> None:
    mz, today = grant("mz"), timezone.localdate()
    for day in range(1, 15):
        called(mz, today - dt.timedelta(days=day), 10, 20)
    called(mz, today, 3, 40, keys=40, outcome="empty")
    called(mz, today, 3, 40, keys=40)
    actions.tally()
    new = actions.watch()
    assert {s.rule for s in new} == {"hours", "sweep"}
    sweep = next(s for s in new if s.rule == "sweep")
    assert "80 个不同对象" in sweep.summary
    assert sweep.evidence["hours"][3] == 80
    # Looking again finds the same ones; more calls bring them up to date.
    assert actions.watch() == []
    called(mz, today, 4, 40, keys=40, outcome="empty")
    actions.tally()
    assert actions.watch() == []
    sweep.refresh_from_db()
    assert "120 个不同对象" in sweep.summary
    boss, other = officer("sjj", "bureau_operator"), officer("ga", "data_officer")
    assert queries.suspicions(boss, waiting=True).count() == 2
    assert queries.suspicions(other).count() == 2
    assert queries.suspicions(officer("mz", "data_officer")).count() == 0
    with pytest.raises(Denied):
        actions.open_case(suspicion=sweep, by=other)
    case = actions.open_case(suspicion=sweep, by=boss)
    assert actions.open_case(suspicion=sweep, by=boss) == case
    assert Case.objects.filter(path__key="misuse").count() == 1
    assert case.data["evidence"][0]["rule"] == "批量试探"
    assert case.data["grant"] == mz.code
    hours = next(s for s in new if s.rule == "hours")
    with pytest.raises(UserError, match="写明"):
        actions.settle(suspicion=hours, note=" ", by=boss)
    actions.settle(suspicion=hours, note="夜间集中年检，已电话核实", by=boss)
    assert queries.suspicions(boss, waiting=True).count() == 0
    with pytest.raises(UserError, match="已经立案"):
        actions.settle(suspicion=sweep, note="夜间集中年检", by=boss)
    # What was looked into stays as it was seen.
    before = Suspicion.objects.get(pk=sweep.pk).evidence
    called(mz, today, 5, 20, keys=20, outcome="empty")
    actions.tally()
    actions.watch()
    assert Suspicion.objects.get(pk=sweep.pk).evidence == before
    assert Event.objects.filter(kind="misuse.suspected").count() == 2


@pytest.mark.django_db
def test_use_after_the_end(grant: Given, called: Called) -> None:
    mz, today = grant("mz"), timezone.localdate()
    with time_machine.travel(NOON - dt.timedelta(hours=4), tick=False):
        grants.revoke(mz, reason="用途已经结束", by=SYSTEM)
    called(mz, today, 7, 50)
    called(mz, today, 10, 6, outcome="forbidden")
    actions.tally()
    assert [s.rule for s in actions.watch()] == ["ended"]
    assert "结束后仍调用 6 次" in Suspicion.objects.get().summary
