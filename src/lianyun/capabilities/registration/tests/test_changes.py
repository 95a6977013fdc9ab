"""A change reaches register, licence and representation at once; two at once, a name taken, a firm gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.licences import api as licences
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.registration import actions, adapters, queries, rules
from lianyun.capabilities.registration.models import Change, Notice
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event

from .conftest import (
    CREDITOR,
    FIRM,
    GRANTED,
    HEAD,
    NAME,
    NEXT,
    ROW,
    firm,
    known_everywhere,
    person,
    represent,
    walk,
)

NEW_NAME = "连云港花果山茶业有限公司"
LICENCE = "business_licence"


def test_only_ticked_items_count() -> None:
    told = {"items": ["legal", "name"], "new_name": NEW_NAME, "new_capital": "7",
            "new_representative": "李四", "new_representative_number": NEXT}  # fmt: skip
    items, values = rules.wanted(told)
    assert items == ("name", "legal")
    assert values == {
        "entity_name": NEW_NAME, "legal_representative": "李四", "legal_rep_number": NEXT
    }  # fmt: skip
    assert rules.wanted(
        {"items": ["address"], "new_address": "某路", "new_town_code": "320706001"}
    )[1] == {"business_address": "某路", "town_code": "320706001", "region_code": "320706"}
    same = rules.differing({"registered_capital": "100"}, {"registered_capital": "100.00"})
    assert not same
    assert rules.standing_fault({"entity_status": "3"}, {"3": "注销"}).endswith("“注销”")
    assert rules.standing_fault(None, {})
    assert rules.notice_ends(dt.date(2026, 3, 1), 20) == dt.date(2026, 3, 21)


def test_a_new_head_and_a_new_name(
    asks: Callable[..., Case], head: Actor, run_jobs: Callable[[], int], officer: Any
) -> None:
    known_everywhere()
    old = licences.current(LICENCE, firm(), SYSTEM)
    assert old is not None
    what = {"what": "several"}
    one = asks("company_change", what, items=["name", "legal"], new_name=NEW_NAME,
               new_representative="李四", new_representative_number=NEXT)  # fmt: skip
    two = asks("company_change", what, items=["capital"], new_capital="250")
    three = asks("company_change", what, items=["name"], new_name="连云港锦屏山茶业有限公司")
    stale = asks("company_change", what, items=["scope"], new_scope="茶叶销售；茶具销售")
    paper = queries.paper(officer("scjg", "approval_head"), one.code)
    assert paper is not None
    assert not paper.faults
    assert {p.title for p in paper.pairs} == {"名称", "法定代表人", "法定代表人身份号码"}
    assert NEXT not in str(paper.pairs)
    with pytest.raises(Denied):
        queries.paper(officer("ga", "approval_head"), one.code)
    for case in (one, two, three):
        walk(case, *GRANTED)
    assert identity.may_act(head.party, firm(), "apply")
    done = actions.settle(case=one, by=SYSTEM)
    assert done.trouble == ""
    row = adapters.registered(FIRM)
    assert row is not None
    assert (row["entity_name"], row["legal_rep_number"]) == (NEW_NAME, NEXT)
    new = licences.current(LICENCE, firm(), SYSTEM)
    assert new is not None
    assert new.replaces == old
    old.refresh_from_db()
    assert licences.standing(old)[0] == "replaced"
    assert not licences.verify(old.check_code, SYSTEM).good
    assert licences.verify(new.check_code, SYSTEM).good
    assert firm().name == NEW_NAME
    one.refresh_from_db()
    assert (one.state, one.outcome) == (Case.CLOSED, "granted")
    # The former representative is out; the new one binds himself once the library knows.
    assert not identity.may_act(head.party, firm(), "apply")
    libraries.build_library(name="legal_entity", by=SYSTEM)
    assert identity.claim_firm(FIRM, by=head) is None
    follower = person(NEXT, "李四")
    represent(follower)
    assert identity.may_act(follower.party, firm(), "apply")
    # A second change of other items is made on top of the first; again: nothing happens.
    assert actions.settle(case=two, by=SYSTEM).trouble == ""
    assert actions.settle(case=two, by=SYSTEM).made_at is not None
    row = adapters.registered(FIRM)
    assert row is not None
    assert (row["entity_name"], row["registered_capital"]) == (NEW_NAME, "250")
    # One of the same item waits for an officer, who may overrule or send it back.
    assert "已由办件" in actions.settle(case=three, by=SYSTEM).trouble
    boss = officer("scjg", "approval_head")
    with pytest.raises(Denied):
        actions.settle(case=three, over=True, by=officer("scjg", "approver"))
    actions.abandon(case=three, reason="名称刚变更过", by=boss)
    three.refresh_from_db()
    assert three.items.get(done_at=None).step == "refusal"
    # A run over the register neither fails nor gives a second licence.
    licences.issue_from_register(LICENCE, by=SYSTEM)
    assert Licence.objects.filter(kind=LICENCE, ending="").count() == 1
    # The firm ends; a change that was still under way meets a firm that is gone.
    four = asks_as(follower, asks, "company_cancellation", {"way": "normal"})
    walk(four, *GRANTED)
    assert actions.settle(case=four, by=SYSTEM).trouble == ""
    row = adapters.registered(FIRM)
    assert row is not None
    assert row["entity_status"] == "3"
    assert row["cancelled_on"] == timezone.localdate().isoformat()
    assert licences.current(LICENCE, firm(), SYSTEM) is None
    assert not identity.may_act(follower.party, firm(), "apply")
    walk(stale, *GRANTED)
    assert "注销" in actions.settle(case=stale, by=SYSTEM).trouble
    assert actions.move_on(by=SYSTEM) == 0  # what waits for an officer is left to him
    libraries.build_library(name="legal_entity", by=SYSTEM)
    assert identity.claim_firm(FIRM, by=follower) is None
    assert queries.check_name(SYSTEM, NEW_NAME).level != rules.BAD  # the name is free again
    assert not any(NEXT in f"{e.data}" for e in Event.objects.all())


def asks_as(
    who: Actor, asks: Callable[..., Case], item: str, answers: dict[str, str], **form: Any
) -> Case:
    """A case of the firm filed by its newest representative."""
    from lianyun.capabilities.hall import api as hall
    from lianyun.kernel import case as cases
    from lianyun.kernel.party import department

    row = hall.begin(item, applicant=firm(), answers=answers, by=who)
    row = hall.consent(row, keys=[], by=who)
    hall.look_up(row, by=who)
    row = type(row).objects.get(pk=row.pk)
    row.case = cases.open_case(
        item, title=row.item_name, subject=f"item:{item}", applicant=firm(),
        department=department("scjg"),
        data={"item": item, "promised_days": 1, "situations": answers, **answers}, by=SYSTEM,
    )  # fmt: skip
    row.save(update_fields=["case"])
    return row.case


def test_a_name_that_another_firm_bears_waits(asks: Callable[..., Case]) -> None:
    taken = "连云港东海水晶有限公司"
    adapters.put({**ROW, "credit_code": "91320700MA1XYH0R2B", "entity_name": taken}, SYSTEM)
    case = walk(asks("company_change", {"what": "name"}, items=["name"], new_name=taken), *GRANTED)
    done = actions.settle(case=case, by=SYSTEM)
    assert "已经登记" in done.trouble
    assert (done.made_at, done.batch) == (None, "")
    row = adapters.registered(FIRM)
    assert row is not None
    assert row["entity_name"] == NAME
    assert Change.objects.get().standing[0] == "待处理"


@pytest.mark.slow
def test_killed_after_the_register_was_written_it_goes_on(
    asks: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    known_everywhere()
    case = walk(
        asks("company_change", {"what": "capital"}, items=["capital"], new_capital="9"), *GRANTED
    )
    end = asks_as(person(HEAD, "张三丰"), asks, "company_cancellation", {"way": "normal"})
    put = adapters.put

    def dies(row: dict[str, str], by: Actor) -> str:
        put(row, by)
        raise RuntimeError("killed")

    for one, said in ((case, ("registered_capital", "9")), (end, ("entity_status", "3"))):
        if one == end:
            walk(end, *GRANTED)
        with monkeypatch.context() as broken:
            broken.setattr(adapters, "put", dies)
            with pytest.raises(RuntimeError):
                actions.settle(case=one, by=SYSTEM)
        row = adapters.registered(FIRM)
        assert row is not None
        assert row[said[0]] == said[1]
        assert Change.objects.get(case=one).made_at is None
        assert actions.move_on(by=SYSTEM) == 1
        done = Change.objects.get(case=one)
        assert (done.trouble, done.made_at is not None) == ("", True)
        one.refresh_from_db()
        assert one.outcome == "granted"
    assert licences.current(LICENCE, firm(), SYSTEM) is None


def test_a_simplified_cancellation_is_published_and_objected_to(
    asks: Callable[..., Case], head: Actor, officer: Any
) -> None:
    today = timezone.localdate()
    case = walk(
        asks_as(head, asks, "company_cancellation", {"way": "simple"}), ("receive", "accept")
    )
    assert actions.move_on(by=SYSTEM) == 1
    notice = Notice.objects.get()
    assert notice.ends_on == today + dt.timedelta(days=20)
    actions.publish(case=case, by=SYSTEM)
    assert Notice.objects.count() == 1
    creditor = person(CREDITOR, "赵大爷")
    with pytest.raises(UserError, match="理由"):
        actions.object_to(notice, kind="creditor", reason="欠", by=creditor)
    with pytest.raises(UserError, match="在职"):
        actions.object_to(notice, kind="department", reason="欠税没有结清", by=creditor)
    made = actions.object_to(notice, kind="creditor", reason="欠我货款五万元没有还", by=creditor)
    with pytest.raises(UserError, match="已经提出"):
        actions.object_to(notice, kind="creditor", reason="欠我货款五万元没有还", by=creditor)
    with pytest.raises(Denied):
        actions.withdraw(made, by=head)
    assert "货款" not in made.sealed
    assert not any("货款" in f"{e.data}{e.personal}" for e in Event.objects.all())
    # While it runs, nothing of the firm is changed.
    change = walk(
        asks("company_change", {"what": "capital"}, items=["capital"], new_capital="9"), *GRANTED
    )
    assert "简易注销公示" in actions.settle(case=change, by=SYSTEM).trouble
    assert actions.end_due(today=notice.ends_on, by=SYSTEM) == 0
    assert actions.end_due(today=notice.ends_on + dt.timedelta(days=1), by=SYSTEM) == 1
    case.refresh_from_db()
    assert case.items.get(done_at=None).step == "objection"
    boss = officer("scjg", "approval_head")
    actions.answer_objection(made, accepted=False, answer="已提供付款凭证，债务已清偿", by=boss)
    with pytest.raises(UserError, match="答复过"):
        actions.answer_objection(made, accepted=True, answer="再答复", by=boss)
    with pytest.raises(UserError, match="公示已经结束"):
        actions.object_to(Notice.objects.get(), kind="other", reason="还有别的理由", by=head)
    walk(case, ("objection", "go_on"), ("review", "grant"), ("decide", "grant"))
    assert actions.settle(case=case, by=SYSTEM).made_at is not None
    assert HEAD not in str(queries.paper(boss, case.code))
