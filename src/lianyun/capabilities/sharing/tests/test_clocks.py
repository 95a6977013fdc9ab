"""Clocks: what is stored is what the events say, on whatever history; and the report counts its lists."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable

import pytest
import time_machine
from django.utils import timezone

from lianyun.capabilities.sharing import actions, queries, rules
from lianyun.capabilities.sharing.actions.terms import set_term
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.clock import calendar
from lianyun.kernel.models import Case, Party, Resource, WorkItem

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]
DAY = dt.timedelta(days=1)


def live(chance: random.Random, path: str) -> Case:
    """One case with a random life: steps, pauses, extensions and set terms on random days."""
    at = dt.datetime(2025, 8, 1, 2, tzinfo=dt.UTC) + DAY * chance.randrange(200)
    parties = list(Party.objects.filter(kind="department").order_by("pk")[:6])
    user, provider = chance.sample(parties, 2)
    with time_machine.travel(at, tick=False):
        case = cases.open_case(
            path,
            title="随机办件",
            applicant=user,
            department=provider,
            data={"share_type": chance.choice([1, 2])},
            by=SYSTEM,
        )
    for _ in range(chance.randrange(1, 14)):
        at += DAY * chance.choice([0, 0, 1, 2, 3, 7, 12, 30])
        with time_machine.travel(at, tick=False):
            case.refresh_from_db()
            if case.state == Case.CLOSED:
                break
            if case.state == Case.SUSPENDED:
                cases.resume(case, by=SYSTEM)
                continue
            item = case.items.filter(done_at=None).last()
            assert item is not None
            what = chance.random()
            if what < 0.2:
                cases.suspend(case, article="条例第二十一条", reason="补正", by=SYSTEM)
            elif what < 0.35 and item.due_on:
                cases.extend(
                    item, chance.randrange(1, 11), article="条例", reason="复杂", by=SYSTEM
                )
            elif what < 0.45 and item.due_on:
                days = chance.randrange(1, 40)
                set_term(item, days, most=60, article="条例", reason="限期", by=SYSTEM)
            else:
                way = chance.choice(item.declared.outcomes)
                cases.step(item, way.name, note="理由充分", by=SYSTEM)
    return case


@pytest.mark.parametrize("seed", range(6))
def test_events_alone_make_the_same_clocks(db: None, seed: int) -> None:
    chance = random.Random(seed)
    for path in ("share_request", "misuse", "dispute", "need", "stop", "disposal", "correction"):
        case = live(chance, path)
        listed = queries.compared(SYSTEM, case)
        wrong = [(c.item.step, c.item.due_on, c.run) for c in listed if not c.agrees]
        assert not wrong, (path, seed, wrong)
        assert len(listed) == case.items.count()
        assert [queries.used_days(SYSTEM, c.item) for c in listed] == [c.used for c in listed]


def test_a_changed_day_is_found(db: None) -> None:
    case = live(random.Random(3), "share_request")
    while not case.items.exclude(due_on=None).exists():
        case = live(random.Random(4), "share_request")
    item = case.items.exclude(due_on=None).first()
    assert item is not None
    WorkItem.objects.filter(pk=item.pk).update(due_on=item.due_on + DAY)
    found = queries.check_clocks(SYSTEM, queries.clocked(SYSTEM))
    assert found["differing"] == [case.code]


def test_working_days_used_leave_out_what_stood_still() -> None:
    begun, since, until = dt.date(2025, 9, 1), dt.date(2025, 9, 3), dt.date(2025, 9, 10)
    events = [
        rules.Happened("opened", begun, opens=("a",)),
        rules.Happened("suspended", since, article="第二十一条"),
        rules.Happened("resumed", until),
        rules.Happened("stepped", dt.date(2025, 9, 12), step="a"),
    ]
    between = calendar().working_days_between
    (run,) = rules.recompute({"a": rules.Limit(5)}, events, calendar().add_working_days, between)
    assert run.due == calendar().add_working_days(begun, 5 + between(since, until))
    assert run.used(dt.date(2025, 9, 30), between) == 4
    assert rules.verdict(run, dt.date(2025, 9, 30), False) == "按时办结"


def test_numbers_are_the_lengths_of_their_lists(residents: Resource, officer: Officer) -> None:
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    provider, provider_head = officer("ga", "data_officer"), officer("ga", "share_head")
    bureau = officer("sjj", "bureau_operator")

    def do(case: Case, step: str, outcome: str, by: Actor, note: str = "") -> Case:
        item = case.items.get(step=step, done_at=None)
        return actions.do_step(item=item, outcome=outcome, note=note, by=by)

    def ask() -> Case:
        told = rules.Request(
            basis="《社会救助暂行办法》第十二条",
            scene="低保申请家庭成员核对",
            purpose="低保核对",
            fields=("citizen_number",),
            until=timezone.localdate() + dt.timedelta(days=300),
        )
        case = actions.request_share(resource=residents, request=told, by=asker)
        return do(case, "consent", "agree", asker_head)

    refused = ask()
    do(refused, "answer_conditional", "refuse", provider, "与用途不符")
    do(refused, "approve_refusal", "refuse", provider_head, "同意经办意见")
    agreed = ask()
    do(agreed, "answer_conditional", "agree", provider)
    do(agreed, "approve", "agree", provider_head)
    year = timezone.localdate().year
    told = {y.department.slug: y for y in queries.yearly(bureau, year)}
    assert told["ga"].counts["provided"] == told["mz"].counts["received"] == 1
    assert told["ga"].counts["asked_of"] == 2
    assert told["ga"].rate == 1.0
    assert "与用途不符" in told["ga"].reasons[0]
    for slug, row in told.items():
        for what, number in row.counts.items():
            assert len(queries.behind_figure(bureau, what, year, slug)) == number, (slug, what)
    assert {y.department.slug for y in queries.yearly(asker, year)} == {"mz"}
    assert queries.behind_figure(asker, "provided", year, "ga") == []
    rows = queries.clocked(bureau)
    for standing, number in queries.counts(rows).items():
        assert queries.narrowed_to(rows, standing).count() == number
    assert sum(queries.counts(rows).values()) == rows.count()
    rank = {r.department.slug: r for r in queries.ranking(bureau)}
    assert (rank["ga"].users, rank["ga"].datasets) == (1, 1)
    assert rank["ga"].punctuality == 1.0


def test_repeated_collection_is_listed_and_decided(residents: Resource, officer: Officer) -> None:
    from lianyun.capabilities.catalogue.models import Item
    from lianyun.capabilities.sharing.models import Overlap
    from lianyun.kernel.access import UserError

    bureau = officer("sjj", "bureau_operator")
    other = Resource.objects.exclude(owner=residents.owner).filter(kind="dataset").first()
    assert other is not None
    Item.objects.filter(resource=other).delete()
    for item in Item.objects.filter(resource=residents):
        item.pk, item.resource = None, other
        item.save()
    assert actions.find_overlaps(by=SYSTEM) >= 1
    actions.find_overlaps(by=SYSTEM)
    pair = Overlap.objects.get(resource__in=[other, residents], other__in=[other, residents])
    assert pair.shared == pair.total == len(pair.items)
    with pytest.raises(UserError, match="理由"):
        actions.decide_overlap(overlap=pair, repeated=True, reason="是", by=bureau)
    actions.decide_overlap(overlap=pair, repeated=True, reason="应当共享户籍数据", by=bureau)
    with pytest.raises(UserError, match="已经认定"):
        actions.decide_overlap(overlap=pair, repeated=False, reason="再想一想吧", by=bureau)
    actions.find_overlaps(by=SYSTEM)
    pair.refresh_from_db()
    assert pair.state == Overlap.REPEATED, "what was decided stays decided"
