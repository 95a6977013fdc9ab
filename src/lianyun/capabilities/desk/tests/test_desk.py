"""Desk: one wins and the other is told, 补正 once, four eyes, each decision with reason and remedy."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.desk import actions, queries, rules
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, WorkItem

from .conftest import Officer, Opens

pytestmark = pytest.mark.django_db


def waiting(case: Case) -> WorkItem:
    """The step at which an application stands."""
    return case.items.get(done_at=None)


def do(case: Case, outcome: str, by: Actor, note: str = "", **more: Any) -> Case:
    return actions.work(waiting(case), outcome, note=note, by=by, **more)


def test_what_is_missing_is_told_once_and_whole(approver: Actor, opens: Opens) -> None:
    case = opens()
    with pytest.raises(UserError, match="全部内容"):
        do(case, "supplement", approver)
    with pytest.raises(UserError, match="需要补正的内容"):
        do(case, "supplement", approver, missing=[{"name": "照片", "what": ""}])
    told = do(
        case, "supplement", approver, missing=[{"material": "photo", "name": "照片", "what": "白底近照"}]
    )  # fmt: skip
    assert told.data["supplement"]["items"][0]["what"] == "白底近照"
    assert waiting(case).step == "supplement"
    assert not queries.queue(approver).filter(case=case).exists()
    cases.step(waiting(case), "submit", by=SYSTEM)
    again = waiting(case)
    assert again.step == "recheck"
    assert "supplement" not in [o.name for o in again.declared.outcomes]
    done = do(case, "reject", approver, "不属于本机关职权范围")
    assert done.outcome == rules.NOT_ACCEPTED
    assert "行政复议" in done.data["resolution"]["remedy"]


def test_of_two_officers_one_wins_and_the_other_is_told(
    approver: Actor, officer: Officer, opens: Opens
) -> None:
    case, other = opens(), officer("ga", "approver", name="孙同事")
    item = waiting(case)
    actions.claim(item, by=approver)
    with pytest.raises(UserError, match="赵审查认领"):
        actions.claim(item, by=other)
    with pytest.raises(UserError, match="办理交接"):
        actions.work(item, "accept", by=other)
    assert other.party is not None
    actions.hand_over(item, other.party, "休假", by=approver)
    actions.work(item, "accept", by=other)
    with pytest.raises(UserError, match="孙同事"):
        actions.work(item, "accept", by=approver)
    assert Event.objects.filter(subject=case.ref, kind="case.stepped").count() == 1


def test_strangers_and_other_departments_see_nothing(officer: Officer, opens: Opens) -> None:
    case = opens()
    other = officer("mz", "approver")
    with pytest.raises(Denied):
        queries.case_of(other, case.code)
    with pytest.raises(Denied):
        actions.work(waiting(case), "accept", by=other)
    assert not queries.queue(other).exists()
    clerk = officer("zwb", "window_clerk")
    assert queries.queue(clerk).filter(case=case).exists()


def test_four_eyes_reason_and_remedy(approver: Actor, head: Actor, opens: Opens) -> None:
    case = opens()
    do(case, "accept", approver)
    do(case, "grant", head)  # examines
    assert waiting(case).due_on == case.items.get(step="review").due_on
    with pytest.raises(UserError, match="另一位"):
        do(case, "refuse", head, "不符合条件")
    with pytest.raises(Denied):
        do(case, "grant", approver)


def test_a_refusal_tells_reason_ground_and_remedy(
    approver: Actor, head: Actor, opens: Opens
) -> None:
    case = opens()
    do(case, "accept", approver)
    do(case, "refuse", approver, "车辆不在目录内")
    with pytest.raises(UserError, match="理由"):
        do(case, "refuse", head)
    done = do(case, "refuse", head, "车辆不在目录内")
    told = done.data["resolution"]
    assert (done.state, done.outcome) == (Case.CLOSED, rules.REFUSED)
    assert told["reason"] == "车辆不在目录内"
    assert "六十日内申请行政复议" in told["remedy"]
    assert "第三十八条" in told["basis"]
    assert Event.objects.filter(subject=case.ref, kind="application.decided").count() == 1


def test_the_clock_stops_by_an_article_and_grows_once(
    approver: Actor, head: Actor, opens: Opens
) -> None:
    case = opens()
    do(case, "accept", approver)
    with pytest.raises(UserError, match="中止事由"):
        actions.suspend_case(case, "holiday", "出游", by=approver)
    actions.suspend_case(case, "experts", "专家评审需十日", by=approver)
    assert "第四十五条" in case.pauses.get().article
    item = queries.queue(approver).get(case=case)
    assert queries.lamp_of(item) == rules.PAUSED
    with pytest.raises(UserError, match="中止"):
        do(case, "grant", approver)
    actions.resume_case(case, by=approver)
    before = waiting(case).due_on
    for days in (0, 11):
        with pytest.raises(UserError, match="最多延长 10 个工作日"):
            actions.extend_limit(waiting(case), "案情复杂", days, by=head)
    actions.extend_limit(waiting(case), "案情复杂", 4, by=head)
    after = waiting(case).due_on
    assert before is not None
    assert after is not None
    assert after > before
    with pytest.raises(UserError, match="延长过一次"):
        actions.extend_limit(waiting(case), "再来", by=head)


def test_silence_for_five_days_is_acceptance(opens: Opens) -> None:
    case = opens()
    assert actions.accept_late() == 0
    past = timezone.localdate() - dt.timedelta(days=1)
    WorkItem.objects.filter(case=case).update(due_on=past)
    assert actions.accept_late() == 1
    assert waiting(case).step == "review"
    assert "即为受理" in case.items.get(step="receive").note


def test_lamps_are_counted_as_they_burn(approver: Actor, opens: Opens) -> None:
    today = timezone.localdate()
    for days in (-1, 0, 30):
        row = waiting(opens())
        WorkItem.objects.filter(pk=row.pk).update(due_on=today + dt.timedelta(days=days))
    rows = queries.queue(approver)
    told = queries.counts(rows)
    assert (told["red"], told["yellow"], told["green"]) == (1, 1, 1)
    for lamp in (rules.RED, rules.YELLOW, rules.GREEN):
        found = queries.with_lamp(rows, lamp)
        assert [queries.lamp_of(i) for i in found] == [lamp]


def test_like_cases_are_decided_together_each_by_itself(approver: Actor, opens: Opens) -> None:
    alike = [opens(), opens(), opens()]
    other = opens(item="another")
    first = waiting(alike[0])
    actions.work(first, "accept", by=approver)
    items = [first, waiting(alike[1]), waiting(alike[2])]
    with pytest.raises(UserError, match="同一事项"):
        actions.decide_together([items[1], waiting(other)], "accept", note="", by=approver)
    told = actions.decide_together(items, "accept", note="齐全", by=approver)
    assert [bool(why) for _, why in told] == [True, False, False]
    for case in alike:
        assert Event.objects.filter(subject=case.ref, kind="case.stepped").count() == 1


def test_what_changed_since_the_page_was_opened_is_left_out_and_named(
    approver: Actor, opens: Opens
) -> None:
    rows = [waiting(opens()) for _ in range(3)]
    seen = dict(zip([r.pk for r in rows], queries.marks(approver, rows), strict=True))
    cases.urge(rows[1], "申请人补充了说明", by=SYSTEM)
    actions.claim(rows[2], by=approver)  # that is no change of the application
    told = actions.decide_together(rows, "accept", note="齐全", seen=seen, by=approver)
    assert [bool(why) for _, why in told] == [False, True, False]
    assert "有了变化" in told[1][1]
    assert waiting(rows[1].case).step == "receive"


def test_a_deputy_works_what_the_absent_had_claimed_and_both_are_named(
    approver: Actor, officer: Officer, opens: Opens
) -> None:
    from lianyun.capabilities.identity.models import Cover

    case, deputy = opens(), officer("ga", "approver", name="孙代理")
    item, today = waiting(case), timezone.localdate()
    actions.claim(item, by=approver)
    assert queries.holding(deputy, waiting(case)) == queries.OTHER
    assert not queries.mine(deputy).exists()
    cover = Cover.objects.create(
        absent=approver.party, deputy=deputy.party, department=case.department, roles=[],
        since=today, until=today, reason="年休假",
    )  # fmt: skip
    assert queries.holding(deputy, waiting(case)) == queries.COVERED
    assert [i.pk for i in queries.mine(deputy)] == [item.pk]
    actions.work(item, "accept", by=deputy)
    done = case.items.get(pk=item.pk)
    assert done.by == deputy.party
    told = Event.objects.get(kind="application.stood_in", subject=case.ref)
    assert (told.by_name, told.data["absent_name"]) == ("孙代理", "赵审查")
    assert queries.folder(deputy, case.code).stood_in == {item.pk: "赵审查"}
    cover.ended_at = timezone.now()
    cover.save()
    actions.claim(waiting(case), by=approver)
    with pytest.raises(UserError, match="赵审查认领"):
        do(case, "grant", deputy)


def test_the_archive_is_counted_by_what_was_asked(approver: Actor, opens: Opens) -> None:
    granted, refused, running = opens(), opens(), opens(item="another")
    for case, end in ((granted, rules.GRANTED), (refused, rules.REFUSED)):
        Case.objects.filter(pk=case.pk).update(state=Case.CLOSED, outcome=end)
    rows = queries.cases(approver)
    told = queries.figures(approver, rows)
    assert (told.total, told.open, told.closed, told.decided) == (3, 1, 2, 2)
    assert told.pass_rate == 0.5
    assert [f.total for f in queries.by_item(approver, rows)] == [2, 1]
    today = timezone.localdate()
    assert queries.since_day(rows, today.isoformat()).count() == 3
    assert queries.until_day(rows, (today - dt.timedelta(days=1)).isoformat()).count() == 0
    assert queries.since_day(rows, "gestern").count() == 3
    latest = queries.newest(approver)
    assert queries.newest(approver, rows).count() == latest.count() == 3
    assert queries.archived(approver).count() == 3
    assert dict(queries.archived_items(approver, latest))[running.subject] == "测试事项"
    assert queries.archived_departments(approver, latest)[0][0] == "ga"


def test_three_departments_and_a_no_among_them(officer: Officer, opens: Opens) -> None:
    case = opens("property_sale", slug="zr")
    lead, deciding = officer("zr", "approver"), officer("zr", "approval_head")
    do(case, "accept", lead)
    assert {i.step for i in case.items.filter(done_at=None)} == {"contract", "tax"}
    housing, tax = officer("zj", "approver"), officer("sws", "approver")
    actions.work(case.items.get(step="contract"), "agree", by=housing)
    with pytest.raises(Denied):
        actions.work(case.items.get(step="tax"), "agree", by=housing)
    actions.work(case.items.get(step="tax"), "refuse", note="欠税未清", by=tax)
    assert waiting(case).step == "refusal"
    done = do(case, "refuse", deciding, "税费未缴清")
    assert done.outcome == rules.REFUSED


def test_a_company_opens_in_one_flow(officer: Officer, opens: Opens) -> None:
    case = opens("company_opening", slug="scjg")
    do(case, "accept", officer("scjg", "approver"))
    do(case, "grant", officer("scjg", "approval_head"))
    assert {i.step for i in case.items.filter(done_at=None)} == {"register"}
    cases.receive(
        case, "registered", {}, f"{case.code}:registered", by=SYSTEM
    )  # as registration does
    desks = {"seal": "ga", "tax": "sws", "bank": "rh", "insurance": "rs"}
    for step, slug in desks.items():
        actions.work(case.items.get(step=step), "agree", by=officer(slug, "approver"))
    case.refresh_from_db()
    assert (case.state, case.outcome) == (Case.CLOSED, rules.GRANTED)


def test_a_table_decides_at_the_filing_and_says_by_which_rule(opens: Opens) -> None:
    told = {
        "decision": "senior_allowance",
        "facts": {"applicant_age": 85, "m_household": "library"},
    }
    case = opens("item_instant", slug="mz", **told)
    assert waiting(case).step == "deliver"
    event = Event.objects.get(subject=case.ref, kind="case.decided")
    actions.on_case_decided(event)
    actions.on_case_decided(event)  # the job runs again
    case.refresh_from_db()
    assert (case.state, case.outcome) == (Case.CLOSED, rules.GRANTED)
    decision = case.data["resolution"]
    assert decision["by_rule"]
    assert decision["rule"].startswith("高龄津贴发放规则 第 4 条：八十至八十九周岁")
    assert Event.objects.filter(subject=case.ref, kind="application.decided").count() == 1


@pytest.mark.parametrize(
    "facts", [{"applicant_age": 70, "m_household": "library"}, {"applicant_age": 85}, {}]
)
def test_what_no_rule_grants_comes_to_an_officer(
    officer: Officer, opens: Opens, facts: dict[str, Any]
) -> None:
    case = opens("item_instant", slug="mz", decision="senior_allowance", facts=facts)
    assert waiting(case).step == "settle"
    actions.on_case_decided(Event.objects.get(subject=case.ref, kind="case.decided"))
    assert waiting(case).step == "settle"
    done = do(case, "refuse", officer("mz", "approver"), "不满八十周岁")
    assert not done.data["resolution"]["by_rule"]


def test_departments_give_one_joint_opinion(officer: Officer, opens: Opens) -> None:
    case = opens("item_joint", slug="zj", departments=["zj", "sthj", "zr"])
    lead = officer("zj", "approver")
    do(case, "accept", lead)
    assert case.items.filter(step="opinion", done_at=None).count() == 3
    for slug, outcome, note in (
        ("zj", "agree", ""),
        ("sthj", "refuse", "没有环评批复"),
        ("zr", "agree", ""),
    ):
        row = case.items.get(step="opinion", department__slug=slug, done_at=None)
        actions.work(row, outcome, note=note, by=officer(slug, "approver"))
    case.refresh_from_db()
    assert waiting(case).step == "refusal"
    joint = queries.joint_of(case)
    assert (joint["agree"], joint["refuse"], joint["total"]) == (2, 1, 3)
    assert "没有环评批复" in joint["text"]


def test_a_licence_takes_its_elements_from_the_form() -> None:
    told = rules.licence_elements(
        ("number", "who", "who_number", "route", "until"),
        {"applicant_name": "甲公司", "applicant_number": "91", "road": "郁洲路", "number": ""},
        {"route": "road"},
        holder=("who", "who_number"),
        until=("until", 365),
        today=dt.date(2026, 11, 22),
    )
    assert told == {"who": "甲公司", "who_number": "91", "route": "郁洲路", "until": "2027-11-21"}


def test_a_form_may_name_another_holder() -> None:
    def holder_of(**answers: str) -> dict[str, str]:
        return rules.licence_elements(
            ("number", "who", "who_number"),
            {"applicant_name": "张三", "applicant_number": "1", "number": "旧证", **answers},
            {"number": "new_number", "who": "buyer_name", "who_number": "buyer_number"},
            holder=("who", "who_number"),
            until=("", None),
            today=dt.date(2026, 11, 22),
        )

    assert holder_of() == {"who": "张三", "who_number": "1"}
    assert holder_of(buyer_name="李四", buyer_number="2") == {"who": "李四", "who_number": "2"}


def test_a_renewal_adds_to_what_is_left() -> None:
    today = dt.date(2026, 11, 22)
    assert rules.renewed_until(dt.date(2026, 12, 1), today, 365) == dt.date(2027, 12, 1)
    assert rules.renewed_until(dt.date(2026, 11, 21), today, 365) == dt.date(2027, 11, 21)
    assert rules.too_early(dt.date(2027, 12, 1), today, 31)
    assert not rules.too_early(dt.date(2026, 12, 23), today, 31)
    assert not rules.too_early(dt.date(2027, 12, 1), today, None)


def test_only_a_favourable_verdict_decides() -> None:
    assert rules.Verdict(rules.GRANTED, ("2",), "满八十周岁", "高龄津贴").decides
    assert not rules.Verdict(rules.REFUSED, ("3",), "不满", "高龄津贴").decides
    assert "第 2 条：满八十周岁" in rules.Verdict("granted", ("2",), "满八十周岁", "高龄津贴").words


def test_a_joint_opinion_names_who_said_no() -> None:
    told = rules.joint(
        [
            {"department": "市住建局", "outcome": "agree", "note": "须留消防通道"},
            {"department": "市生态环境局", "outcome": "refuse", "note": "未做环评"},
        ]
    )
    assert (told["agree"], told["refuse"], told["all"]) == (1, 1, False)
    assert "市生态环境局：不同意，未做环评" in told["text"]
