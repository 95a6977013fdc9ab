"""Told: what the law has a department hear is an event that names it, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from lianyun.capabilities.sharing import actions, rules
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.clock import calendar
from lianyun.kernel.models import Case, Event, Grant, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def told(kind: str) -> list[dict[str, Any]]:
    """What the events of a kind say, oldest first."""
    return list(Event.objects.filter(kind=kind).order_by("pk").values_list("data", flat=True))


def do(case: Case, step: str, outcome: str, by: Actor, note: str = "") -> Case:
    item = case.items.get(step=step, done_at=None)
    return actions.do_step(item=item, outcome=outcome, note=note, by=by)


def test_each_side_hears_what_concerns_it(residents: Resource, officer: Officer) -> None:
    """From the notice of what is missing to the disposal of what was given."""
    asker, asker_head = officer("mz", "data_officer"), officer("mz", "share_head")
    provider, provider_head = officer("ga", "data_officer"), officer("ga", "share_head")
    request = rules.Request(
        basis="《社会救助暂行办法》第十二条",
        scene="低保申请家庭成员核对",
        purpose="低保核对",
        fields=("citizen_number",),
        until=timezone.localdate() + dt.timedelta(days=300),
    )
    case = actions.request_share(resource=residents, request=request, by=asker)
    do(case, "consent", "agree", asker_head)
    do(case, "answer_conditional", "supplement", provider, "请补充办理规程")
    (notice,) = told("share.supplement_asked")
    assert notice["to"] == "department:mz"
    assert notice["note"] == "请补充办理规程"
    do(case, "supplement", "submit", asker)

    item = case.items.get(step="answer_conditional", done_at=None)
    assert item.due_on is not None
    noon = dt.time(4, tzinfo=dt.UTC)
    with time_machine.travel(dt.datetime.combine(item.due_on, noon), tick=False):
        first, again = (actions.tell_days(by=SYSTEM) for _ in range(2))
    assert (first, again) == ({"due_soon": 1, "overdue": 0}, {"due_soon": 0, "overdue": 0})
    late = dt.datetime.combine(calendar().add_working_days(item.due_on, 1), noon)
    with time_machine.travel(late, tick=False):
        assert actions.tell_days(by=SYSTEM)["overdue"] == 1
    (soon,), (over,) = told("share.due_soon"), told("share.overdue")
    assert soon["to"] == over["to"] == "department:ga"
    assert over["days"] == 1

    do(case, "answer_conditional", "agree", provider)
    do(case, "approve", "agree", provider_head)
    do(case, "deliver", "done", provider)
    assert [t["word"] for t in told("share.answered")] == ["同意共享", "已开通"]
    grant = Grant.objects.get(case=case)
    for _ in range(2):
        actions.begin_disposal(grant=grant, by=SYSTEM)
    assert [t["to"] for t in told("disposal.wanted")] == ["department:mz"]


@pytest.mark.parametrize(("days", "left"), [(1, 0), (5, 1), (10, 2), (20, 2), (None, 2)])
def test_a_day_is_near_by_the_length_of_its_term(days: int | None, left: int) -> None:
    assert rules.near(days) == left
