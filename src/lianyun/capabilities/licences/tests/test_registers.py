"""Registers: a department's rows become licences, once; what changed follows, what is wrong is told."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence, Run
from lianyun.capabilities.licences.queries.figures import figures
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Event, Party

from .conftest import OTHER, PERSON

pytestmark = pytest.mark.django_db
ROWS = [
    ("A1", PERSON, "张三丰", "苍梧路6号", "2026-05-20"),
    ("A2", OTHER, "李四", "朝阳路1号", "2026-05-21"),
    ("A3", "320703199003070010", "错号码", "朝阳路2号", "2026-05-21"),
    ("A4", OTHER, "李四", None, "2026-05-21"),
]


def fill(rows: list[tuple[Any, ...]]) -> None:
    with collection.lake().connect() as con:
        con.execute(
            "CREATE OR REPLACE TABLE lake.trusted.ga_residence_permits (licence_number VARCHAR,"
            " citizen_number VARCHAR, name VARCHAR, residence_address VARCHAR, issued_on DATE)"
        )
        con.executemany("INSERT INTO lake.trusted.ga_residence_permits VALUES (?,?,?,?,?)", rows)


def counts(run: Run) -> tuple[int, int, int, int]:
    return run.rows, run.issued, run.known, run.refused


def test_a_register_is_issued_once_and_followed(
    fresh_lake: object, police: Actor, clerk: Actor
) -> None:
    fill(ROWS)
    with pytest.raises(Denied):
        actions.issue_from_register("residence_permit", by=clerk)
    first = actions.issue_from_register("residence_permit", by=police)
    assert counts(first) == (4, 2, 0, 2)
    assert first.reasons == {"“公民身份号码”校验不通过": 1, "缺少“居住地住址”": 1}
    assert counts(actions.issue_from_register("residence_permit", by=police)) == (4, 0, 2, 2)
    assert Event.objects.filter(kind="licence.registered").count() == 2
    assert Party.objects.filter(name="张三丰", identity__number_hash__isnull=False).count() == 1

    moved = [("A1", PERSON, "张三丰", "苍梧路8号", "2026-05-20"), *ROWS[1:]]
    fill(moved)
    assert counts(actions.issue_from_register("residence_permit", by=police)) == (4, 1, 1, 2)
    newest = Licence.objects.get(number="A1", ending="")
    assert newest.identifier.split(".")[-2] == "002"
    assert newest.trust == "B"

    line = next(t for t in figures(police).types if t.name == "residence_permit")
    assert (line.registered, line.covered, line.held, line.coverage) == (4, 2, 2, 0.5)
    assert line.pass_rate == 1.0
