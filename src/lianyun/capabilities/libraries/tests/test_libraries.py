"""Libraries: one golden record each, provenance, contradictions sent back, readings on record."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.libraries import actions, adapters, api, queries
from lianyun.capabilities.services import api as services
from lianyun.kernel import batch as batches
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Batch, Case, Event, Resource
from lianyun.lake import places

from .conftest import OTHER, PERSON, fill

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def test_each_field_from_who_is_authoritative(sources: None, officer: Officer) -> None:
    run = api.build_library(name="population", by=SYSTEM)
    assert (run.entities, run.standing) == (2, "succeeded")
    assert Event.objects.filter(kind="library.built").exists()
    operator = officer("sjj", "bureau_operator")
    values = {v.title: v for v in queries.record(operator, "population", PERSON) or []}
    assert values["姓名"].value == "张**"
    assert values["姓名"].provider == "市公安局"
    # The phone is whoever spoke last, the name is the police's.
    assert values["联系电话"].value == "139****2222"
    assert values["联系电话"].date == "2026-06-01"
    assert values["联系电话"].batch == "b2"
    assert dict(values["姓名"].quarrel) == {"市公安局": "张**", "市人力资源社会保障局": "张**"}
    assert queries.record(operator, "population", "nobody") is None
    lines = {ln.field.name: ln for ln in queries.source_lines(operator, "population")}
    assert lines["name"].filled == 2
    assert lines["name"].conflicts == 1
    assert lines["name"].authority[1] == "市公安局"


def test_building_again_changes_nothing(sources: None) -> None:
    api.build_library(name="population", by=SYSTEM)
    again = api.build_library(name="population", by=SYSTEM, whole=True)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 2)
    quick = api.build_library(name="population", by=SYSTEM)
    assert not quick.whole


def test_a_library_without_data_says_so(city: None, fresh_lake: object) -> None:
    with pytest.raises(UserError, match="还没有数据"):
        api.build_library(name="population", by=SYSTEM)
    assert Event.objects.filter(kind="library.failed").exists()


def test_a_reading_is_on_record(sources: None, officer: Officer) -> None:
    api.build_library(name="population", by=SYSTEM)
    operator, other = officer("sjj", "bureau_operator"), officer("mz", "data_officer")
    with pytest.raises(Denied):
        actions.look_up(name="population", key=PERSON, purpose="核对", by=other)
    with pytest.raises(UserError, match="用途"):
        actions.look_up(name="population", key=PERSON, purpose="", by=operator)
    with pytest.raises(UserError, match="校验码"):
        actions.look_up(name="population", key="320703199003070011", purpose="核对", by=operator)
    assert actions.look_up(name="population", key=PERSON.lower(), purpose="信访核实", by=operator)
    call = CallRecord.objects.get()
    assert call.key_hash == audit.keyed_hash(PERSON)
    assert (call.purpose, call.channel, call.resource) == ("信访核实", "workbench", "population")
    found = actions.look_up(
        name="population", key=PERSON, purpose="信访核实", by=operator, reveal=True
    )
    assert found is not None
    assert next(v.value for v in found if v.title == "姓名") == "张三丰"
    assert PERSON not in "".join(str(e.data) for e in Event.objects.filter(kind="record.read"))


def test_contradictions_go_back_to_who_lost(sources: None, officer: Officer) -> None:
    api.build_library(name="population", by=SYSTEM)
    operator = officer("sjj", "bureau_operator")
    rows, more = queries.quarrels(operator, "population")
    assert not more
    tokens = [q.token for q in rows]
    made = api.send_back(name="population", tokens=tokens, by=operator)
    names = {c.department.slug for c in made if c.department}
    # The name was the police's, the phone the social insurance's: each loses one.
    assert names == {"ga", "rs"}
    api.send_back(name="population", tokens=tokens, by=operator)
    assert Case.objects.filter(path__key="correction").count() == len(made)
    with pytest.raises(UserError, match="刷新"):
        api.send_back(name="population", tokens=["0-00"], by=operator)
    with pytest.raises(Denied):
        api.send_back(name="population", tokens=tokens, by=officer("mz", "data_officer"))


def test_a_library_is_served_like_a_dataset(sources: None) -> None:
    api.build_library(name="population", by=SYSTEM)
    source = Resource.objects.get(name="population")
    service = services.open_service(source=source, by=SYSTEM)
    assert service.rows == 2
    assert service.lookups == [["citizen_number"]]
    masks = services.masks(SYSTEM, source, ())
    assert masks["name"] == "name"


def test_pages(sources: None, officer: Officer) -> None:
    api.build_library(name="population", by=SYSTEM)
    operator = officer("sjj", "bureau_operator")
    user = get_user_model().objects.create(username="operator", party=operator.party)
    browser = Client()
    browser.force_login(user)
    session = browser.session
    session["seen"] = time.time()
    session.save()
    assert "人口库" in browser.get(reverse("libraries:list")).content.decode()
    home = browser.get(reverse("libraries:home", args=["population"])).content.decode()
    assert "权威来源" in home
    assert browser.get(reverse("libraries:home", args=["nothing"])).status_code == 404
    url = reverse("libraries:record", args=["population"])
    page = browser.post(url, {"key": OTHER, "purpose": "信访核实"}).content.decode()
    assert "李*" in page
    assert OTHER not in page.replace(f'value="{OTHER}"', "")
    quarrels = reverse("libraries:conflicts", args=["population"])
    assert "张**" in browser.get(quarrels).content.decode()
    assert browser.post(reverse("libraries:build", args=["population"])).status_code == 302
    assert browser.post(reverse("libraries:build", args=["population"])).status_code == 302


def test_a_library_stands_in_the_catalogue(sources: None, officer: Officer) -> None:
    resource = Resource.objects.get(name="population")
    assert (resource.kind, resource.code) == (Resource.LIBRARY, "101001/K00001")
    operator = officer("sjj", "bureau_operator")
    assert catalogue.visible(operator).filter(name="population").exists()
    assert len(catalogue.items_of(resource)) == 21
    graph = catalogue.lineage(operator, resource.ref, resource.title)
    assert "dataset:ga_residents" in {n.ref for n in graph.upstream}
    version = resource.version
    api.sync_libraries(by=SYSTEM)
    resource.refresh_from_db()
    assert resource.version == version


def test_pages_read_what_the_building_counted(
    sources: None, officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = api.build_library(name="population", by=SYSTEM)
    assert run.counts["fields"]["name"]["conflicts"] == 1
    assert run.counts["freshness"]["rs_insured"] == "2026-06-01"
    operator = officer("sjj", "bureau_operator")

    def closed() -> None:
        raise AssertionError("the lake was asked")

    monkeypatch.setattr(adapters, "lake", closed)
    shelf = queries.shelf(operator, "population")
    assert shelf is not None
    assert shelf.newest == "2026-06-01"
    assert "市公安局" in shelf.providers
    assert len(queries.source_lines(operator, "population")) == 20
    assert next(s.rule.name for s in queries.shelves(operator)) == "population"


def test_a_day_touches_whom_it_touches(sources: None) -> None:
    api.build_library(name="population", by=SYSTEM)
    fill(
        "rs_insured",
        [{"citizen_number": OTHER, "name": "李四", "update_time": "2026-07-01"}],
        "b3",
    )
    resource = Resource.objects.get(name="rs_insured")
    batch = batches.start(resource, source_ref="test", mode="incremental", by=SYSTEM)
    Batch.objects.filter(pk=batch.pk).update(
        code="b3", state=Batch.SUCCEEDED, finished_at=timezone.now()
    )
    run = api.build_library(name="population", by=SYSTEM)
    assert (run.whole, run.touched, run.entities) == (False, 1, 2)
    assert run.counts["fields"]["name"]["filled"] == 2


FIRM = "91320700MA1MU4G93Y"


def test_a_list_by_holder(city: None, fresh_lake: object, officer: Officer) -> None:
    number = "91320703MN1000011A"
    with pytest.raises(UserError, match="校验码"):
        queries.checked_key("social_credit", number)
    fill(
        "fg_penalties",
        [
            {
                "document_number": "连市监罚1号",
                "credit_code": FIRM,
                "penalty_fact": "未按时年报",
                "decided_on": "2024-05-01",
                "published_until": "2025-05-01",
            }
        ],
        "b1",
    )
    fill(
        "fg_credit_lists",
        [
            {"list_number": "H1", "credit_code": FIRM, "list_type": "红名单"},
            {"list_number": "S1", "credit_code": OTHER, "list_type": "黑名单"},
        ],
        "b2",
    )
    run = api.build_library(name="social_credit", by=SYSTEM)
    assert (run.entities, run.counts["extra"]["holders"]) == (3, 2)
    assert run.counts["extra"]["kinds"] == {"行政处罚": 1, "红名单": 1, "黑名单": 1}
    operator = officer("sjj", "bureau_operator")
    facts = api.look_up_rows(name="social_credit", key=FIRM, purpose="信用核查", by=operator)
    told = {f.kind: f.expired for f in facts}
    assert told == {"行政处罚": True, "红名单": False}
    assert CallRecord.objects.get().key_hash == audit.keyed_hash(FIRM)


def test_points_that_name_no_system_are_judged(city: None, fresh_lake: object) -> None:
    """Points all over a county, written as GCJ-02 without saying so, end up where they are."""
    ring = adapters.county_borders()["320724"][0]
    west, east = min(p[0] for p in ring), max(p[0] for p in ring)
    south, north = min(p[1] for p in ring), max(p[1] for p in ring)
    with adapters.lake().connect() as con:
        con.execute(
            "CREATE TEMP TABLE real AS SELECT i, x, y FROM (SELECT i, "
            f"{west} + hash(i) % 100000 / 1e5 * {east - west} AS x, "
            f"{south} + hash(i, 1) % 100000 / 1e5 * {north - south} AS y FROM range(900) r(i)) q"
        )
        places.likely_system(con, "real", "x", "y", "'320724'", {"320724": [ring]})
        con.execute(
            "CREATE TEMP TABLE kept AS SELECT r.* FROM real r JOIN border b ON TRUE "
            "WHERE (b.y1 > r.y) <> (b.y2 > r.y) AND r.x < "
            "(b.x2 - b.x1) * (r.y - b.y1) / (b.y2 - b.y1) + b.x1 "
            "GROUP BY ALL HAVING count(*) % 2 = 1"
        )
        told = con.execute(
            f"SELECT i, _lon, _lat FROM ({places.from_cgcs2000('kept', 'x', 'y', places.GCJ02)}) g"
        ).fetchall()
        truth = {str(i): (x, y) for i, x, y in con.execute("SELECT * FROM kept").fetchall()}
    fill(
        "cg_parts",
        [
            {
                "part_code": str(i),
                "part_type": "路灯",
                "region_code": "320724",
                "longitude": str(x),
                "latitude": str(y),
            }
            for i, x, y in told
        ],
        "b1",
    )
    run = api.build_library(name="spatial", by=SYSTEM)
    system = run.counts["extra"]["systems"]["cg_parts"]
    assert (system["declared"], system["likely"], system["used"]) == ("", "GCJ-02", "GCJ-02")
    with adapters.lake().connect() as con:
        rows = con.execute(
            "SELECT feature_number, longitude, latitude FROM lake.library.spatial"
        ).fetchall()
    assert len(rows) == len(truth) > 200
    for number, x, y in rows:
        assert (x, y) == pytest.approx(truth[number], abs=2e-6)


def test_series_keep_what_was_revised(city: None, fresh_lake: object, officer: Officer) -> None:
    base = {
        "indicator_code": "GDP",
        "indicator_name": "地区生产总值",
        "region_code": "320700",
        "period": "202603",
        "frequency": "季",
        "unit": "亿元",
    }
    fill(
        "tj_indicators",
        [
            {**base, "indicator_value": "1000", "released_on": "2026-04-18"},
            {**base, "indicator_value": "1010.5", "released_on": "2026-09-18"},
            {**base, "period": "202606", "indicator_value": "1100", "released_on": "2026-07-18"},
        ],
        "b1",
    )
    api.build_library(name="macro_economy", by=SYSTEM)
    operator = officer("sjj", "bureau_operator")
    shelf = queries.shelf(operator, "macro_economy")
    assert shelf is not None
    (series,) = queries.series(shelf)
    assert series.points == [("202603", 1010.5), ("202606", 1100.0)]
    assert series.revised == [("202603", [("2026-04-18", 1000.0), ("2026-09-18", 1010.5)])]
