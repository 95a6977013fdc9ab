"""Issuing: once however often asked, versions that replace each other, endings, and who may."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.actions import issuing
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.licences.queries import licences
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.models import Event, Grant

from .conftest import PERMIT, PERSON, Officer

pytestmark = pytest.mark.django_db


def issue(by: Actor, once: str = "a", **changes: Any) -> Licence:
    return actions.issue_licence("residence_permit", None, {**PERMIT, **changes}, once=once, by=by)


def test_pressed_twice_it_is_one_licence(police: Actor) -> None:
    first, second = issue(police), issue(police)
    assert first.pk == second.pk
    assert Licence.objects.count() == Grant.objects.count() == 1
    assert first.identifier.startswith("1.2.156.3005.2.11320700MN000016XX001.11320700MN000016XX.")
    assert first.ends_on == dt.date(2027, 5, 19)
    assert licences.standing(first)[0] == "valid"
    assert PERSON not in first.sealed
    assert first.holder_hash != PERSON
    kinds = list(Event.objects.filter(subject=first.ref).values_list("kind", flat=True))
    assert kinds == ["licence.issued", "licence.issued_already"]


def test_what_dies_in_between_leaves_nothing_and_is_done_once_afterwards(
    police: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(issuing, "record", dies)  # the last step, after grant and licence
        with pytest.raises(RuntimeError):
            issue(police)
    assert Licence.objects.count() == Grant.objects.count() == 0
    first = issue(police)
    with monkeypatch.context() as broken:
        broken.setattr(issuing, "record", dies)
        with pytest.raises(RuntimeError):
            actions.change_licence(first, {"valid_to": "2028-05-19"}, why="延续", by=police)
    first = Licence.objects.get()
    assert (first.ending, first.grant.state) == ("", Grant.ACTIVE)
    actions.change_licence(first, {"valid_to": "2028-05-19"}, why="延续", by=police)
    assert Licence.objects.filter(ending="").count() == 1


def test_the_same_number_is_not_issued_again_by_another_request(police: Actor) -> None:
    issue(police)
    with pytest.raises(UserError, match="已经签发"):
        issue(police, once="b")


def test_only_the_issuing_department_issues(officer: Officer) -> None:
    with pytest.raises(Denied):
        issue(officer("mz", "data_officer"))
    assert Licence.objects.count() == 0


def test_what_is_wrong_is_all_told_at_once(police: Actor) -> None:
    with pytest.raises(UserError) as told:
        issue(police, citizen_number="320703199003070010", residence_address="", issued_on="昨天")
    for text in ("公民身份号码”校验不通过", "缺少“居住地住址”", "“签发日期”不是日期"):
        assert text in str(told.value)


def test_a_renewal_replaces_and_happens_once(police: Actor) -> None:
    old = issue(police)
    change = {"valid_to": "2028-05-19"}
    new = actions.change_licence(old, change, why="签注延续", by=police)
    again = actions.change_licence(old, change, why="签注延续", by=police)
    old.refresh_from_db()
    assert new.pk == again.pk
    assert new.replaces_id == old.pk
    assert old.ending == Licence.REPLACED
    assert old.grant.state == Grant.REVOKED
    assert new.identifier.split(".")[:-2] == old.identifier.split(".")[:-2]
    assert new.identifier.split(".")[-2] == "002"
    assert new.ends_on == dt.date(2028, 5, 19)
    with pytest.raises(UserError, match="持证人不能变更"):
        actions.change_licence(new, {"citizen_number": "320703198811110034"}, why="换人", by=police)
    with pytest.raises(UserError, match="没有任何要素发生变化"):
        actions.change_licence(new, change, why="再来", by=police)


def test_suspended_given_back_and_ended(police: Actor, head: Actor) -> None:
    made = issue(police)
    with pytest.raises(Denied):
        actions.suspend_licence(made, reason="核查", by=police)
    actions.suspend_licence(made, reason="住址待核查", by=head)
    made = licences.one(head, made.identifier)
    assert licences.standing(made)[0] == "suspended"
    with pytest.raises(UserError, match="暂扣期间"):
        actions.change_licence(made, {"valid_to": "2029-01-01"}, why="延续", by=police)
    actions.resume_licence(made, reason="核查无误", by=head)
    actions.end_licence(made, ending=Licence.ANNULLED, reason="本人申请", by=head)
    made = licences.one(head, made.identifier)
    assert licences.standing(made)[:2] == ("annulled", "已注销")
    with pytest.raises(UserError):
        actions.resume_licence(made, reason="再来", by=head)
    with pytest.raises(UserError, match="已注销"):
        actions.change_licence(made, {"valid_to": "2029-01-01"}, why="延续", by=police)


def test_whoever_drew_up_does_not_issue(officer: Officer, police: Actor, head: Actor) -> None:
    both = officer("ga", "data_officer", "share_head")
    case = actions.draw_up("residence_permit", PERMIT, why="窗口受理", once="form-1", by=both)
    same = actions.draw_up("residence_permit", PERMIT, why="窗口受理", once="form-1", by=both)
    assert same.pk == case.pk
    assert PERSON not in str(case.data)
    item = case.items.get(done_at=None)
    with pytest.raises(UserError, match="不能审核自己"):
        actions.decide_draft(item, outcome="issue", note="", by=both)
    actions.decide_draft(item, outcome="issue", note="", by=head)
    made = Licence.objects.get(grant__case=case)
    assert made.trust == "A"
    assert made.grant.grantor.slug == "ga"
    with pytest.raises(UserError):
        actions.decide_draft(item, outcome="issue", note="", by=head)
    assert Licence.objects.count() == 1


def test_the_holder_given_must_be_the_holder_named(police: Actor, officer: Officer) -> None:
    stranger = officer("mz").party
    with pytest.raises(UserError, match="不是同一人"):
        actions.issue_licence("residence_permit", stranger, PERMIT, once="x", by=police)


def test_a_type_may_number_its_licences_itself(police: Actor, head: Actor) -> None:
    asked = {
        "holder_name": "张三丰",
        "holder_number": PERSON,
        "plate_number": "苏G12345",
        "route": "海连路至港口大道",
    }
    first = actions.issue_licence("freight_permit", None, asked, once="case-1", by=police)
    second = actions.issue_licence("freight_permit", None, asked, once="case-2", by=police)
    again = actions.issue_licence("freight_permit", None, asked, once="case-1", by=police)
    assert again.pk == first.pk
    assert int(second.number[-5:]) == int(first.number[-5:]) + 1 == 2
    assert first.ends_on is not None
    assert (first.ends_on - first.begins_on).days in (364, 365)
    case = actions.draw_up("freight_permit", asked, why="窗口受理", once="d", by=police)
    actions.decide_draft(case.items.get(done_at=None), outcome="issue", note="", by=head)
    assert Licence.objects.get(grant__case=case).number[-5:] == "00003"
