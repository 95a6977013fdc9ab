"""A round from plan to place: entered once, counted with sources, reviewed, ranked, allotted, filled again."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.enrolment import actions, jobs
from lianyun.capabilities.enrolment.models import Allotment, Registration, Round
from lianyun.capabilities.enrolment.queries import officers, own, rounds
from lianyun.capabilities.enrolment.rules import allot, calendar
from lianyun.capabilities.hall import api as hall
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.models import Case, Event

from .conftest import CHILD, OLD, TWIN, UNBORN, approved, at_counter, guard, on_day, plan, walk_hall


def fresh(row: Registration) -> Registration:
    return Registration.objects.select_related("round", "child", "guardian", "case", "school").get(
        pk=row.pk
    )


def entered(found: Round, mother: Actor, number: str, name: str, **told: Any) -> Registration:
    row = actions.begin(found, guard(mother, number, name), by=mother)
    walk_hall(row, mother, **told)
    return actions.file(row, by=mother)


def only(case: Case, by: Actor) -> Any:
    item = rounds.step_of(by, Case.objects.get(pk=case.pk))
    assert item is not None
    return item


def test_from_the_plan_to_the_place(
    mother: Actor, clerk: Actor, head: Actor, officer: Any, client: Client
) -> None:
    rs = officer("rs", "points_reviewer")
    with on_day(1):
        draft = plan(clerk)
        assert rounds.find(mother, draft.code) is None  # nobody knows of a plan
        actions.move(draft, "prepare", "submit", by=clerk)
        with pytest.raises(Denied):
            actions.move(draft, "approve", "approve", by=clerk)
        actions.move(draft, "approve", "approve", by=head)
        found = Round.objects.get(pk=draft.pk)
        assert len(found.promise) == 64
        assert found.seed == ""

        # Bad entries: too old, not born early enough, nobody's guardian, alone through the hall.
        with pytest.raises(UserError, match="已超过"):
            actions.begin(found, guard(mother, OLD, "张大寒"), by=mother)
        with pytest.raises(UserError, match="未达到"):
            actions.begin(found, guard(mother, UNBORN, "张小雪"), by=mother)
        assert mother.party is not None
        with pytest.raises(Denied, match="监护"):
            actions.begin(found, mother.party, by=mother)
        with pytest.raises(UserError, match="自己的页面"):
            hall.begin("points_enrolment", applicant=mother.party, answers={}, by=mother)

        row = entered(found, mother, CHILD, "张小满", paper=True)
        assert actions.file(row, by=mother).number == row.number  # pressed twice
        lines = {x.id: x for x in own.lines_of(mother, row)}
        told = {k: float(v.points) for k, v in lines.items()}
        assert told == {
            "household": 20, "residence": 0, "insurance": 20, "home": 25, "skill": 0, "honours": 0,
        }  # fmt: skip
        assert "社保" in lines["insurance"].rests[0][2] or "参保" in lines["insurance"].rests[0][2]
        assert row.town == "320706001"
        looked = CallRecord.objects.filter(resource="zr_properties", case_code=row.application)
        assert looked.count() >= 2  # the hall's own comparison, and ours: both on record
        # The second child refuses one source: it counts nothing there and says so.
        twin = entered(
            found, mother, TWIN, "张小暑",
            keys=["dataset:ga_residents", "dataset:zr_properties"],
        )  # fmt: skip
        assert float(twin.points or 0) == 45
        refused = {x.id: x for x in own.lines_of(mother, twin)}["insurance"]
        assert refused.rests[0][1] == "您没有同意查询这一来源"
        father = officer("jy", name="李四")
        with pytest.raises(UserError, match="已经在这一轮登记"):
            actions.begin(found, guard(father, CHILD, "张小满"), by=father)
        at_counter(found, clerk, 3)
        again = actions.register_many(found, [], seen=True, by=clerk)
        assert again == (0, [])

        # Papers: what no source could prove is counted when an officer has seen it.
        assert row.case is not None
        actions.check_papers(only(row.case, clerk), "pass", values={"honours": "2"}, by=clerk)
        assert float(fresh(row).points or 0) == 73
        # A review goes to the department that holds the data, and may correct them.
        asked = actions.ask_review(row, "insurance", reason="2016 年已参保", by=mother)
        assert asked.department is not None
        assert asked.department.slug == "rs"
        with pytest.raises(UserError, match="还在办理"):
            actions.ask_review(row, "insurance", reason="再问", by=mother)
        item = only(asked, rs)
        with pytest.raises(UserError, match="日期"):
            actions.answer_review(
                item, "corrected", note="查实", values={"insured_on": "很早"}, by=rs
            )
        seen = officers.seen(rs, row, "insurance")
        assert [x.id for x in seen.lines] == ["insurance"]  # not the rest of the family
        with pytest.raises(Denied):
            officers.seen(rs, row)
        actions.answer_review(
            item, "corrected", note="查实", values={"insured_on": "2016-03-01"}, by=rs
        )
        assert float(fresh(row).points or 0) == 78
        with pytest.raises(UserError, match="截止"):
            actions.move(found, "register", "close", by=clerk)

    with on_day(10.001):  # a minute after the doors closed
        with pytest.raises(UserError, match="截止"):
            actions.register_many(found, [], seen=True, by=clerk)
        actions.move(found, "register", "close", by=clerk)
    with on_day(16):
        actions.move(found, "check", "publish", by=clerk)
        found.refresh_from_db()
        listed = rounds.published(mother, found)
        assert len(listed) == 5
        assert all("满" not in p.name or "*" in p.name for p in listed)
        assert listed[0].number == fresh(row).number
        victim = listed[-1].number
        objection = actions.object_to(found, victim, reason="不在本市居住", by=mother)
        with pytest.raises(UserError, match="期满"):
            actions.move(found, "object", "rank", by=clerk)
        actions.settle_objection(only(objection, clerk), "upheld", note="查实", by=clerk)
        told_events = Event.objects.filter(kind="enrolment.points_published")
        assert told_events.count() == 5
        assert told_events.filter(data__to=mother.party.ref).count() == 2
    with on_day(30):
        with pytest.raises(UserError, match="派位"):
            actions.allot(found, by=clerk)
        actions.move(found, "object", "rank", by=clerk)
        found.refresh_from_db()
        entrants = [
            allot.Entrant(r.pk, r.number, int((r.points or 0) * 100), tuple(r.ties))
            for r in rounds.entered(mother, found)
        ]
        secret = rounds.secret_of(mother, found)
        assert found.seed == allot.seed_of(secret, allot.list_digest(entrants))
        order = [e.id for e in allot.ranking(entrants, found.seed)]
        ranks = dict(rounds.entered(mother, found).values_list("rank", "pk"))
        assert [ranks[n] for n in range(1, 5)] == order
        assert victim not in {r.number for r in rounds.entered(mother, found)}
        row, twin = fresh(row), fresh(twin)
        one, two, none = found.schools.order_by("code")
        with pytest.raises(UserError, match="只能填一次"):
            actions.choose(row, [one.pk, one.pk], by=mother)
        with pytest.raises(UserError, match="不能填报"):
            actions.choose(row, [10**6], by=mother)
        actions.choose(row, [none.pk, one.pk], by=mother)
        actions.choose(twin, [one.pk], by=mother)
        with pytest.raises(Denied):
            actions.choose(row, [one.pk], by=officer("jy"))
        others = list(rounds.entered(mother, found).filter(case=None).order_by("rank"))
        Registration.objects.filter(pk__in=[r.pk for r in others]).update(wishes=[two.pk])

    with on_day(40.1):
        actions.move(found, "choose", "close", by=clerk)
        first = actions.allot(found, by=clerk)
        second = actions.allot(found, by=clerk)
        assert (first.pk, first.digest) == (second.pk, second.digest)
        assert own.outcome(mother, row) is None  # a preview is nobody's result
        actions.move(found, "allot", "submit", by=clerk)
        with pytest.raises(Denied):
            actions.move(found, "sign", "publish", by=clerk)
        actions.move(found, "sign", "publish", by=head)
        row, twin = fresh(row), fresh(twin)
        result = own.outcome(mother, row)
        assert result is not None
        assert str(result.school) == "海州实验小学"
        assert result.words == "第 1 名，录取线 78 分，第 2 志愿录取"
        assert result.wishes[0].words == "这次没有学位"
        missed = own.outcome(mother, twin)
        assert missed is not None
        assert missed.wishes[0].words == "您第 2 名，录取线 78 分（施教区内第 1 名），没有达到"
        assert missed.wishes[0].wait == 1
        client.logout()
        public = client.get(f"/enrolment/{found.code}/list/").content.decode()
        assert row.number in public
        assert "张小满" not in public
        assert found.seed in client.get(f"/enrolment/{found.code}/lots/").content.decode()
        # The place is given up and goes to her other child; the rest lapses.
        actions.decline(row, by=mother)
        with pytest.raises(UserError, match="放弃"):
            actions.confirm(row, by=mother)
    with on_day(50.1):
        actions.move(found, "confirm", "again", by=clerk)
        found.refresh_from_db()
        assert (found.turn, rounds.left(mother, found)[one.pk]) == (2, 1)
        actions.choose(twin, [one.pk], by=mother)
    with on_day(60.1):
        actions.move(found, "choose", "close", by=clerk)
        actions.allot(found, by=clerk)
        actions.move(found, "allot", "submit", by=clerk)
        actions.move(found, "sign", "publish", by=head)
        actions.confirm(twin, by=mother)
        actions.confirm(twin, by=mother)
    with on_day(70.1):
        actions.move(found, "confirm", "finish", by=clerk)
        assert rounds.phase(clerk, found) == calendar.OVER
        jobs.settle()
        jobs.settle()
        assert fresh(twin).case.outcome == "granted"
        assert fresh(row).case.outcome == "arranged"
        assert Allotment.objects.filter(round=found).count() == 2
    assert Event.objects.filter(kind="enrolment.placed", data__to=mother.party.ref).count() == 2


def test_twins_stay_together_and_withdrawing_leaves_the_round(
    mother: Actor, clerk: Actor, head: Actor, run_jobs: Any
) -> None:
    with on_day(1):
        found = approved(clerk, head, schools=(("1", "甲小学", 1, []), ("2", "乙小学", 3, [])))
        rows = [
            entered(found, mother, n, name) for n, name in ((CHILD, "张小满"), (TWIN, "张小暑"))
        ]
        at_counter(found, clerk, 2)
        hall.withdraw(own.application_of(mother, rows[1]), reason="搬家", by=mother)
        run_jobs()
        assert fresh(rows[1]).out_at is not None
        rows[1] = entered(found, mother, TWIN, "张小暑")  # and may come back
    with on_day(10.1):
        actions.move(found, "register", "close", by=clerk)
        actions.move(found, "check", "publish", by=clerk)
    with on_day(30):
        actions.move(found, "object", "rank", by=clerk)
        one, two = found.schools.order_by("code")
        actions.choose(fresh(rows[0]), [one.pk, two.pk], together=True, by=mother)
        both = [fresh(r) for r in rows]
        assert both[0].wishes == both[1].wishes
        assert both[1].together
    with on_day(41):
        actions.move(found, "choose", "close", by=clerk)
        made = actions.allot(found, by=clerk)
        lines = {told["school"]: told for told in made.lines}
        assert lines[one.pk]["taken"] == 2  # one over, so as not to part them
        # Somebody leaves between allotment and signature: what was computed no longer holds.
        other = rounds.entered(clerk, found).filter(case=None).first()
        actions.note_withdrawal(other, why="搬家", by=clerk)
        with pytest.raises(UserError, match="重新派位"):
            actions.move(found, "allot", "submit", by=clerk)
        again = actions.allot(found, by=clerk)
        assert again.pk == made.pk
        assert again.seats.count() == 3
