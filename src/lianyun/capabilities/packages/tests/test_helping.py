"""A clerk files a package for somebody: nothing before that person's word, which covers what was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall.models import Application
from lianyun.capabilities.hall.queries import applications
from lianyun.capabilities.packages import actions, api
from lianyun.capabilities.packages.models import Filing
from lianyun.capabilities.packages.queries import filings
from lianyun.kernel.access import Actor, Denied, UserError

from .conftest import ANSWERS, NUMBER, STRANGER, fill_in, hand_in, person, picture

WHO = {"number": NUMBER, "name": "张三丰", "seen": True}


def test_a_clerk_files_a_package_after_the_persons_word(
    father: Actor, officer: Callable[..., Actor]
) -> None:
    clerk, other = officer("zwb", "village_clerk"), officer("zwb", "village_clerk")
    with pytest.raises(Denied):
        api.help_begin("newborn", answers=ANSWERS, by=officer("ga", "approver"), **WHO)
    with pytest.raises(UserError, match="当面核对"):
        api.help_begin("newborn", answers=ANSWERS, by=clerk, **{**WHO, "seen": False})
    with pytest.raises(UserError, match="不一致"):
        api.help_begin("newborn", answers=ANSWERS, by=clerk, **{**WHO, "name": "李四"})
    made = api.help_begin("newborn", answers={**ANSWERS, "insure": "no"}, by=clerk, **WHO)
    with pytest.raises(UserError, match="本人确认"):
        api.consent(made, keys=[], by=clerk)
    # Nobody but the clerk who began it and the person himself knows that it is there.
    assert filings.one(other, made.code) is None
    assert filings.one(person(STRANGER, "李四"), made.code) is None
    assert filings.one(father, made.code) is not None
    assert made in filings.mine(clerk)
    assert made not in filings.mine(other)
    ((asked, what),) = applications.to_confirm(father)
    assert "个事项" in what
    assert applications.confirm_code(clerk, asked) == ""
    first = applications.confirm_code(father, asked)
    assert not api.confirm(made, code="0" if first != "0" else "1", by=clerk)
    with pytest.raises(Denied):
        api.confirm(made, code=first, by=other)
    assert api.confirm(made, code=first, by=clerk)
    assert not filings.unconfirmed(clerk, made)
    # What is added later was not agreed to: it wants the person's word of its own, other digits.
    actions.answer(made, answers=ANSWERS, by=clerk)
    (late,) = filings.unconfirmed(clerk, made)
    with pytest.raises(UserError, match="本人确认"):
        api.consent(made, keys=[], by=clerk)
    assert not api.confirm(made, code=first, by=clerk)
    assert api.confirm(made, paper=("授权书.png", picture(7)), by=clerk)
    late.refresh_from_db()
    assert late.confirm_way == "paper"
    assert forms.attachments(forms.draft_of(late.draft, clerk), clerk, slot="authorisation")
    made.refresh_from_db()
    api.consent(made, keys=["library:population"], by=clerk)
    made.refresh_from_db()
    fill_in(made, clerk)
    api.carry(made, by=clerk)
    api.verify(made, by=clerk)
    hand_in(made, clerk)
    case = api.file(made, by=clerk)
    assert api.file(made, by=clerk) == case
    row = Filing.objects.get(pk=made.pk)
    assert (row.relation, row.get_relation_display(), row.applicant) == (
        "helper", "帮办人员", father.party,
    )  # fmt: skip
    for one in Application.objects.filter(bundle=made.ref).exclude(case=None):
        assert one.case is not None
        assert one.case.data["helped"]
        # What was filed is the person's to read, and no longer the clerk's.
        assert applications.only_helps(clerk, one)
        assert not applications.only_helps(father, one)
        with pytest.raises(Denied):
            forms.answers(forms.draft_of(one.draft, clerk), clerk)


def test_wrong_digits_are_counted_for_the_whole_package(
    father: Actor, officer: Callable[..., Actor]
) -> None:
    clerk = officer("zwb", "village_clerk")
    made: Any = api.help_begin("newborn", answers=ANSWERS, by=clerk, **WHO)
    for _ in range(5):
        assert not api.confirm(made, code="x", by=clerk)
    with pytest.raises(UserError, match="书面授权"):
        api.confirm(made, code="x", by=clerk)
    assert not applications.to_confirm(father)
    assert api.confirm(made, paper=("授权书.png", picture()), by=clerk)
    assert not filings.unconfirmed(clerk, made)
