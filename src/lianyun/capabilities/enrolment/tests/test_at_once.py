"""At once: officers who press allot in the same instant, and an allotment that is killed in the middle."""

from __future__ import annotations

import pytest

from lianyun.project import testing

STORY = """
import datetime as dt, json, os, signal, django
django.setup()
from django.db import connections
from django.utils import timezone
from lianyun.capabilities.enrolment import actions
from lianyun.capabilities.enrolment.actions import allotting
from lianyun.capabilities.enrolment.models import Allotment, Registration, Round, Seat
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Event, Party

now = timezone.now()
day = dt.timedelta(days=1)
keys = ("register_from", "register_until", "check_until", "choose_until", "allot_on", "confirm_until")
found = actions.make_round("primary_points", year=now.year, title="", by=SYSTEM,
    days={k: now + n * day for n, k in enumerate(keys, 1)},
    schools=[(str(n), f"学校{n}", 20, []) for n in range(1, 6)])
actions.move(found, "prepare", "submit", by=SYSTEM)
actions.move(found, "approve", "approve", by=SYSTEM)
schools = list(found.schools.values_list("pk", flat=True))
for n in range(200):
    child = Party.objects.create(kind="person", name=f"孩子{n}")
    Registration.objects.create(code=f"C{n}", round=found, child=child, guardian=child,
        number=f"26P{n:06d}", points=n % 7, filed_at=now,
        wishes=[schools[(n + k) % 5] for k in range(3)])
past = {k: (now - (9 - n) * day).isoformat() for n, k in enumerate(keys, 1)}
Round.objects.filter(pk=found.pk).update(days=past, objections_until=now.date() - 2 * day)
for step, outcome in (("register", "close"), ("check", "publish")):
    cases.step(found.case.items.get(done_at=None, step=step), outcome, by=SYSTEM)
actions.move(found, "object", "rank", by=SYSTEM)
actions.move(found, "choose", "close", by=SYSTEM)

def dies():
    before = allotting.pour
    def pour(*args):
        before(*args)
        os.kill(os.getpid(), signal.SIGKILL)
    allotting.pour = pour
    return actions.allot(found, by=SYSTEM).digest

killed = in_processes(1, dies)
left = [Allotment.objects.count(), Seat.objects.count()]
digests = in_processes(3, lambda: actions.allot(found, by=SYSTEM).digest)
def signs():
    try:
        actions.move(found, "allot", "submit", by=SYSTEM)
        return "done"
    except Exception as error:
        return str(error)
signed = in_processes(2, signs)
print(json.dumps({"killed": killed, "left": left, "digests": digests, "signed": sorted(signed),
    "made": Event.objects.filter(kind="enrolment.allotted").count(),
    "end": [Allotment.objects.count(), Seat.objects.count()]}))
"""


@pytest.mark.slow
def test_killed_in_the_middle_nothing_stands_and_three_at_once_make_one(
    house: dict[str, str],
) -> None:
    told = testing.told(house, testing.IN_PROCESSES + STORY)
    assert told["killed"] == [-9]
    assert told["left"] == [0, 0]
    assert len(set(told["digests"])) == 1
    assert told["made"] == 1
    assert told["end"] == [1, 200]
    assert told["signed"] == ["done", "这一步已经办过了，请刷新页面"]
