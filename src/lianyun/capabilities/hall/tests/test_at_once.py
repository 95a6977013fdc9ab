"""At once: processes that file one draft in the same instant, and one that is killed in the middle."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.project import testing

STORY = """
import json, os, signal, sys, django
django.setup()
from django.db import connections
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import actions
from lianyun.capabilities.hall.actions import filing
from lianyun.capabilities.hall.models import Application
from lianyun.capabilities.hall.tests.conftest import ANSWERS, ITEM, PERSON, person
from lianyun.capabilities.hall.tests.test_applying import PNG, complete
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Case, Event, WorkItem

items.sync_declared(by=SYSTEM)
citizen = person(PERSON, "张三丰")

def ready():
    row = actions.begin(ITEM, applicant=citizen.party, answers=ANSWERS, by=citizen)
    actions.consent(row, keys=[], by=citizen)
    actions.look_up(row, by=citizen)
    row.refresh_from_db()
    complete(row, citizen)
    for material in ("driving_licence", "vehicle_licence"):
        actions.hand_in(row, material, (f"{material}.png", PNG), by=citizen)
    return row.pk

def file(pk):
    try:
        return actions.file(Application.objects.get(pk=pk), by=citizen).code
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def killed_at(owner, name, pk):
    before = getattr(owner, name)
    def dies(*args, **kwargs):
        before(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, dies)
    try:
        return in_processes(1, lambda: file(pk))[0]
    finally:
        setattr(owner, name, before)

def stands(pk):
    row = Application.objects.get(pk=pk)
    case = row.case
    return {
        "cases": Case.objects.filter(once=row.code).count(),
        "items": WorkItem.objects.filter(case=case).count() if case else 0,
        "draft_open": forms.draft_of(row.draft, citizen).closed_at is None,
        "filed": Event.objects.filter(kind="application.filed", subject=row.ref).count(),
    }
"""
SHORT = """
pk = ready()
killed = killed_at(filing.cases, "open_case", pk)
after_kill = stands(pk)
codes = in_processes(2, lambda: file(pk))
print(json.dumps({"killed": killed, "after_kill": after_kill, "codes": codes, "end": stands(pk)}))
"""
LONG = """
out = []
for owner, name in ((filing.forms, "submit"), (filing.cases, "open_case"),
                    (filing, "record"), (filing, "case_data")):
    pk = ready()
    killed = killed_at(owner, name, pk)
    after_kill = stands(pk)
    codes = in_processes(6, lambda: file(pk))
    out.append({"killed": killed, "after_kill": after_kill, "codes": codes, "end": stands(pk)})
print(json.dumps(out))
"""


def judge(found: dict[str, Any], filers: int) -> None:
    assert found["killed"] == -9
    assert found["after_kill"] == {"cases": 0, "items": 0, "draft_open": True, "filed": 0}
    assert len(set(found["codes"])) == 1, found["codes"]
    assert len(found["codes"]) == filers
    assert found["codes"][0].isdecimal(), found["codes"]
    assert found["end"] == {"cases": 1, "items": 1, "draft_open": False, "filed": 1}


def test_killed_in_the_middle_nothing_is_filed_and_two_at_once_file_one_case(
    house: dict[str, str],
) -> None:
    judge(testing.told(house, testing.IN_PROCESSES + STORY + SHORT), 2)


@pytest.mark.slow
def test_wherever_it_is_killed_and_however_many_file(house: dict[str, str]) -> None:
    for found in testing.told(house, testing.IN_PROCESSES + STORY + LONG):
        judge(found, 6)
