"""Cases: desks, clocks, branches, pauses, and two officers who press at once."""

import datetime as dt
import threading

import pytest
import time_machine
from django.db import connection, transaction

from lianyun.kernel import case as cases
from lianyun.kernel.access import Denied, UserError
from lianyun.kernel.case import Case, WorkItem, extend, open_case, resume, step, suspend
from lianyun.kernel.event import timeline
from lianyun.kernel.party import Party
from lianyun.kernel.path import compile_path, declare

from .conftest import officer

pytestmark = pytest.mark.django_db

STEPS = [
    {"id": "take", "title": "受理", "permission": "x.take", "days": 5, "clock": "main"},
    {
        "id": "both",
        "parallel": [
            [{"id": "plan", "title": "规划", "permission": "x.plan", "department": "asker"}],
            [
                {
                    "id": "fire",
                    "title": "消防",
                    "permission": "x.fire",
                    "outcomes": {
                        "pass": {"title": "通过"},
                        "again": {"title": "整改", "go": "fire", "reason": True},
                    },
                }
            ],
        ],
    },
    {
        "id": "decide",
        "title": "决定",
        "permission": "x.decide",
        "clock": "main",
        "outcomes": {
            "yes": {"title": "准予", "end": "granted"},
            "no": {"title": "不予", "end": "refused", "reason": True},
        },
    },
]
ALL = ("x.take", "x.plan", "x.fire", "x.decide")


@pytest.fixture
def path(db: None) -> None:
    declare("joint", "联审", compile_path("joint", "联审", STEPS))


def item(case: Case, name: str) -> WorkItem:
    return case.items.get(step=name, done_at=None)


def opened(giver: Party, asker: Party) -> tuple[Case, object]:
    clerk = officer("甲", giver, *ALL)
    return open_case("joint", title="一号", applicant=asker, department=giver, by=clerk), clerk


@time_machine.travel(dt.datetime(2024, 9, 29, 9, tzinfo=dt.UTC), tick=False)
def test_branches_join_and_clocks_are_shared(path: None, giver: Party, asker: Party) -> None:
    case, clerk = opened(giver, asker)
    other = officer("乙", asker, *ALL)
    first = item(case, "take")
    assert first.due_on == dt.date(2024, 10, 11)
    step(first, by=clerk)
    assert {i.step for i in case.items.filter(done_at=None)} == {"plan", "fire"}
    with pytest.raises(UserError, match="理由"):
        step(item(case, "fire"), "again", by=clerk)
    step(item(case, "fire"), "again", note="缺喷淋", by=clerk)
    step(item(case, "fire"), "pass", by=clerk)
    with pytest.raises(Denied):
        step(item(case, "plan"), by=clerk)
    step(item(case, "plan"), by=other)
    decide = item(case, "decide")
    assert decide.due_on == first.due_on, "one legal limit over both steps"
    case = step(decide, "yes", by=clerk)
    assert (case.state, case.outcome) == (Case.CLOSED, "granted")
    kinds = [e.kind for e in timeline(case)]
    assert kinds[0] == "case.opened"
    assert kinds[-1] == "case.closed"
    assert kinds.count("case.stepped") == 5


@pytest.mark.django_db(transaction=True)
def test_of_two_officers_one_wins(path: None, giver: Party, asker: Party) -> None:
    with transaction.atomic():
        case, clerk = opened(giver, asker)
    first = item(case, "take")
    told: list[str] = []
    barrier = threading.Barrier(2)

    def press() -> None:
        barrier.wait()
        try:
            with transaction.atomic():
                step(first, by=clerk)
        except UserError as error:
            told.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert "已由甲" in told[0]
    assert timeline(case).filter(kind="case.stepped").count() == 1


def test_a_double_click_makes_one_case(path: None, giver: Party, asker: Party) -> None:
    clerk = officer("甲", giver, *ALL)
    made = {
        open_case("joint", title="一号", department=giver, once="form-1", by=clerk).pk
        for _ in range(2)
    }
    assert len(made) == 1


def test_a_pause_stops_the_clock(path: None, giver: Party, asker: Party) -> None:
    with time_machine.travel(dt.datetime(2024, 11, 4, 2, tzinfo=dt.UTC), tick=False):
        case, clerk = opened(giver, asker)
        assert item(case, "take").due_on == dt.date(2024, 11, 11)
    with time_machine.travel(dt.datetime(2024, 11, 6, 2, tzinfo=dt.UTC), tick=False):
        suspend(case, article="行政许可法第四十五条", reason="专家评审", by=clerk)
        with pytest.raises(UserError, match="中止"):
            step(item(case, "take"), by=clerk)
        with pytest.raises(UserError):
            suspend(case, article="x", reason="y", by=clerk)
    with time_machine.travel(dt.datetime(2024, 11, 20, 2, tzinfo=dt.UTC), tick=False):
        resume(case, by=clerk)
        assert item(case, "take").due_on == dt.date(2024, 11, 25), "ten working days later"
        extend(item(case, "take"), 10, article="第二十一条", reason="数据量大", by=clerk)
        assert item(case, "take").due_on == dt.date(2024, 12, 9)


def test_running_cases_stay_on_their_version(path: None, giver: Party, asker: Party) -> None:
    case, clerk = opened(giver, asker)
    newer = declare("joint", "联审", compile_path("joint", "联审", STEPS[:1]))
    assert newer.version == 2
    assert declare("joint", "联审", compile_path("joint", "联审", STEPS[:1])).pk == newer.pk
    step(item(case, "take"), by=clerk)
    assert case.items.filter(done_at=None).count() == 2


def test_work_items_are_seen_by_those_who_may_do_them(
    path: None, giver: Party, asker: Party
) -> None:
    case, clerk = opened(giver, asker)
    assert [i.case_id for i in cases.work_items(clerk)] == [case.pk]
    assert not cases.work_items(officer("丙", asker, *ALL)).exists()
    WorkItem.objects.update(due_on=dt.date(2024, 1, 2))
    assert cases.overdue_items().count() == 1
    assert item(case, "take").overdue
