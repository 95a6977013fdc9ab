"""Registers: a department's rows become licences, once; what changed follows, what is wrong is told."""

from __future__ import annotations

from typing import Any

import pytest

from lianyun.capabilities.catalogue.api import sync_declared
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence, Run
from lianyun.capabilities.licences.queries import licences
from lianyun.capabilities.licences.queries.figures import figures
from lianyun.capabilities.licences.queries.verdicts import by_file
from lianyun.kernel import install
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
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


def test_what_left_the_register_is_told_and_ended_by_an_officer(
    fresh_lake: object, police: Actor, head: Actor
) -> None:
    fill(ROWS)
    actions.issue_from_register("residence_permit", by=police)
    fill(ROWS[1:])
    run = actions.issue_from_register("residence_permit", by=police)
    assert (*counts(run), run.left) == (3, 0, 1, 2, 1)
    gone = Licence.objects.get(number="A1")
    assert gone.left_on is not None
    assert gone.grant.in_force()  # nothing ends in silence
    assert licences.left_by_kind(police) == {"residence_permit": 1}

    fill(ROWS)  # it came back
    assert actions.issue_from_register("residence_permit", by=police).left == 0
    assert not licences.left_by_kind(police)

    fill(ROWS[1:])
    actions.issue_from_register("residence_permit", by=police)
    with pytest.raises(Denied):
        actions.end_left("residence_permit", reason="登记已注销", by=police)
    with pytest.raises(UserError, match="理由"):
        actions.end_left("residence_permit", reason=" ", by=head)
    assert actions.end_left("residence_permit", reason="登记已注销", by=head) == 1
    gone.refresh_from_db()
    assert licences.standing(gone)[0] == Licence.ANNULLED
    assert Event.objects.filter(kind="licence.annulled", subject=gone.ref).count() == 1
    with pytest.raises(UserError, match="没有"):
        actions.end_left("residence_permit", reason="登记已注销", by=head)


def test_files_are_made_in_bulk_and_once(permit: Licence, sealed: Party, police: Actor) -> None:
    assert actions.make_files("residence_permit", cores=1, by=police) == 1
    assert actions.make_files("residence_permit", cores=1, by=police) == 0
    document, data = actions.original(permit, by=police)
    assert document.sealed
    verdict = by_file(police, data)
    assert verdict.good, verdict


def test_what_is_born_here_flows_into_the_library(
    fresh_lake: object, police: Actor, head: Actor
) -> None:
    install._elements()
    sync_declared(by=SYSTEM)
    permit = {
        "holder_name": "张三丰",
        "holder_number": PERSON,
        "plate_number": "苏G12345",
        "route": "海连路",
    }
    first = actions.issue_licence("freight_permit", None, permit, once="c1", by=police)

    def told() -> list[tuple[Any, ...]]:
        with collection.lake().connect(read_only=True) as con:
            return con.execute(
                "SELECT identifier, state FROM lake.trusted.dz_licences ORDER BY serial"
            ).fetchall()

    assert actions.tell_library(by=SYSTEM) is not None
    assert told() == [(first.identifier, "有效")]
    second = actions.change_licence(first, {"route": "港口大道"}, why="改线", by=police)
    actions.tell_library(by=SYSTEM)
    assert told() == [(second.identifier, "有效")]
    actions.end_licence(second, ending="annulled", reason="车辆已转让", by=head)
    batch = actions.tell_library(by=SYSTEM)
    assert batch is not None
    assert told() == [(second.identifier, "已注销")]
