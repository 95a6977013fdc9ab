"""Opening: what may go out, what may not, who decides, and what a new batch does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import duckdb
import openpyxl
import pytest

from lianyun.capabilities.open_data import actions, adapters, api, rules
from lianyun.capabilities.open_data.models import Opening, Version
from lianyun.capabilities.open_data.queries import desk, site
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Event, Resource
from lianyun.lake import deidentify

from .rows import put, residents, stops

TERMS = {
    "title": "户籍人口",
    "summary": "",
    "kind": "unconditional",
    "licence": "cc-by-4.0",
    "cycle": "每月",
}


def _file(opening: Opening, kind: str) -> bytes:
    assert opening.current is not None
    place = adapters.folder(opening.name, opening.current.number)
    return (place / f"data.{kind}").read_bytes()


def test_places_go_out_whole_in_four_formats(opened: Callable[..., Opening]) -> None:
    put("jt_stops", stops())
    found = opened("jt_stops")
    version = found.current
    assert version is not None
    assert version.rows == 60
    assert set(version.files) == {"csv", "json", "parquet"}
    actions.add_sheet(name=found.name, number=1, by=SYSTEM)
    found.current.refresh_from_db()
    assert set(found.current.files) == {"csv", "xlsx", "json", "parquet"}
    text = _file(found, "csv")
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert len(rows) == 60
    assert {r["站点名称"] for r in rows} >= {"'=HYPERLINK(1)", "朝阳路1号站"}
    book = openpyxl.load_workbook(io.BytesIO(_file(found, "xlsx")))
    cells = [str(c.value) for row in book.active.iter_rows() for c in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [c for c in cells if c.startswith("=")]
    listed = json.loads(_file(found, "json"))
    assert {r["stop_name"] for r in listed} >= {"=HYPERLINK(1)"}
    place = adapters.folder(found.name, 1) / "data.parquet"
    assert duckdb.sql(f"SELECT count(*) FROM '{place}'").fetchone() == (60,)
    assert len(version.points) == 60


def test_people_go_out_in_groups_only(opened: Callable[..., Opening]) -> None:
    put("ga_residents", residents())
    found = opened("ga_residents")
    version = found.current
    assert version is not None
    names = set(version.types)
    assert not names & {"citizen_number", "name", "registered_address", "household_number"}
    quasi = [
        t["name"] for t in found.recipe["treatments"] if t["role"] == "quasi" and t["how"] != "drop"
    ]
    place = adapters.folder(found.name, 1) / "data.parquet"
    smallest = duckdb.sql(
        f"SELECT min(n) FROM (SELECT count(*) AS n FROM '{place}' GROUP BY {', '.join(quasi)})"
    ).fetchone()
    assert smallest is not None
    assert smallest[0] >= 5
    assert version.risk["uniques_before"] > 200
    assert version.risk["suppressed"] >= 1
    assert version.rows + version.risk["suppressed"] == 403
    everything = b"".join(_file(found, k) for k in ("csv", "json"))
    assert "陈".encode() not in everything
    assert b"3207031980" not in everything


POINTING: tuple[tuple[dict[str, tuple[str, str, float]], str], ...] = (
    ({"citizen_number": ("keep", "plain", 0)}, "直接标识符"),
    ({"name": ("keep", "quasi", 0)}, "直接标识符"),
    ({"birth_date": ("keep", "plain", 0)}, "准标识符"),
    ({"birth_date": ("keep", "quasi", 0)}, "不予开放的行"),
)


def test_what_points_at_somebody_is_refused(city: None, officer: Callable[..., Actor]) -> None:
    put("ga_residents", residents())
    by = officer("ga", "data_officer")
    resource = Resource.objects.select_related("owner").get(name="ga_residents")
    recipe = api.proposal(by, resource).recipe
    for change, told in POINTING:
        steps = [
            rules.Step(t.name, *change[t.name]) if t.name in change
            else rules.Step(t.name, t.how, t.role, t.width)
            for t in recipe.treatments
        ]  # fmt: skip
        with pytest.raises(UserError, match=told):
            api.propose(resource=resource, recipe=desk.with_changes(recipe, steps), by=by, **TERMS)
        assert not Opening.objects.exists()


def test_a_small_k_and_raw_rows_are_refused(city: None, officer: Callable[..., Actor]) -> None:
    put("ga_residents", residents())
    by = officer("ga", "data_officer")
    resource = Resource.objects.select_related("owner").get(name="ga_residents")
    recipe = api.proposal(by, resource).recipe
    same = [rules.Step(t.name, t.how, t.role, t.width) for t in recipe.treatments]
    weak = desk.with_changes(recipe, same, k=2)
    with pytest.raises(UserError, match="k 值"):
        api.propose(resource=resource, recipe=weak, by=by, **TERMS)
    raw = deidentify.Recipe((deidentify.Treatment("town_code"),))
    with pytest.raises(UserError, match="不得原样开放"):
        api.propose(resource=resource, recipe=raw, by=by, **TERMS)
    stranger = officer("mz", "data_officer")
    with pytest.raises(Denied):
        api.propose(resource=resource, recipe=recipe, by=stranger, **TERMS)


def test_what_may_not_be_shared_is_not_opened_raw(city: None) -> None:
    told = rules.judge(
        level=1, share_type=3, declared_open=True, kept=[], loose=[], people=False, grouped=False,
        k=1, l=1, form="rows", out=10, suppressed=0.0, smallest=10, diverse=0,
        limits=site.settings()["anonymity"],
    )  # fmt: skip
    assert "不予共享" in rules.refused(told)


def test_two_approve_and_either_may_return(city: None, officer: Callable[..., Actor]) -> None:
    put("jt_stops", stops())
    by = officer("jt", "data_officer")
    resource = Resource.objects.select_related("owner").get(name="jt_stops")
    recipe = api.proposal(by, resource).recipe
    found = api.propose(resource=resource, recipe=recipe, by=by, **TERMS)
    item = found.case.items.get(done_at=None)
    with pytest.raises(Denied):
        api.do_step(item=item, outcome="agree", by=by)
    with pytest.raises(UserError, match="不必重复"):
        api.propose(resource=resource, recipe=recipe, by=by, **TERMS)
    api.do_step(item=item, outcome="return", note="简介请写清楚", by=officer("jt", "share_head"))
    found.refresh_from_db()
    assert found.stage == rules.RETURNED
    assert actions.refresh(name=found.name, by=SYSTEM) is None
    again = api.propose(resource=resource, recipe=recipe, by=by, **TERMS)
    assert again.pk == found.pk
    assert again.stage == rules.PROPOSED
    assert not site.search(ANONYMOUS, site.Choice()).total


def test_a_new_batch_goes_out_by_itself_and_a_bad_one_is_held(
    opened: Callable[..., Opening], run_jobs: Callable[[], int]
) -> None:
    put("ga_residents", residents())
    found = opened("ga_residents")
    run_jobs()
    assert found.versions.count() == 1, "the same batch is not published twice"
    put("ga_residents", residents(440))
    run_jobs()
    found.refresh_from_db()
    assert found.current is not None
    assert (found.current.number, found.held) == (2, "")
    assert "xlsx" in Version.objects.get(opening=found, number=2).files
    # Nobody resembles anybody any more: sixty people, each with a birth year of their own.
    alone = [r | {"nationality": f"{i % 40 + 2:02d}"} for i, r in enumerate(residents(60, 0))]
    put("ga_residents", alone)
    run_jobs()
    found.refresh_from_db()
    assert found.current is not None
    assert found.current.number == 2, "the version before stays"
    assert found.held
    assert Event.objects.filter(kind="opening.held", subject=found.ref).count() == 1
    actions.refresh_all(by=SYSTEM)
    assert Event.objects.filter(kind="opening.held", subject=found.ref).count() == 1
    put("ga_residents", residents(450))
    run_jobs()
    found.refresh_from_db()
    assert found.held == ""
    assert found.current is not None
    assert found.current.number == 3


def test_old_files_go_and_a_closed_opening_is_gone(
    opened: Callable[..., Opening],
    officer: Callable[..., Actor],
    django_capture_on_commit_callbacks: Any,
) -> None:
    put("jt_stops", stops())
    found = opened("jt_stops")
    for n in range(61, 65):
        put("jt_stops", stops(n))
        actions.refresh(name=found.name, by=SYSTEM)
    assert actions.sweep(by=SYSTEM) == 2
    places = sorted(int(p.name) for p in (adapters.base() / found.name).iterdir())
    assert places == [3, 4, 5]
    with django_capture_on_commit_callbacks(execute=True):
        actions.close(opening=found, reason="来源停用", by=officer("jt", "share_head"))
    assert not (adapters.base() / found.name).exists()
    with pytest.raises(UserError):
        site.opening(ANONYMOUS, found.name)


def test_a_write_that_breaks_off_leaves_the_old_version(
    opened: Callable[..., Opening], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("jt_stops", stops())
    found = opened("jt_stops")
    put("jt_stops", stops(70))

    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("lianyun.lake.release._digest", full)
    with pytest.raises(OSError, match="space"):
        actions.refresh(name=found.name, by=SYSTEM)
    monkeypatch.undo()
    left = [p.name for p in (adapters.base() / found.name).iterdir()]
    assert left == ["1"]
    assert actions.refresh(name=found.name, by=SYSTEM) is not None


def test_the_publication_is_on_record_as_an_exchange(opened: Callable[..., Opening]) -> None:
    put("jt_stops", stops())
    found = opened("jt_stops")
    event = Event.objects.get(kind="opening.published", subject=found.ref)
    assert event.data["rows"] == 60
    assert found.current is not None
    assert event.data["sha256"]["csv"] == found.current.files["csv"]["sha256"]
