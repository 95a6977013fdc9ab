"""Open data before outside judges: the real ckanapi client, SHACL, frictionless, an RDF parser."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ckanapi
import frictionless
import httpx
import pyshacl
import pytest
import rdflib

SHAPES = Path(__file__).with_name("dcat_ap_shapes.ttl")
SH = rdflib.Namespace("http://www.w3.org/ns/shacl#")
DCAT = rdflib.Namespace("http://www.w3.org/ns/dcat#")


@pytest.fixture(scope="module")
def site(city_database: None, tmp_path_factory: Any) -> Iterator[str]:
    """The open-data site with bus stops for everybody and residents in groups, served over HTTP."""
    from django.db import connections
    from django.test import override_settings
    from pytest_django.live_server_helper import LiveServer

    from lianyun.capabilities.catalogue.api import sync_declared
    from lianyun.capabilities.open_data import actions
    from lianyun.capabilities.open_data.tests.rows import (
        appoint,
        open_one,
        put,
        residents,
        stops,
    )
    from lianyun.kernel.access import SYSTEM
    from lianyun.lake import shelves
    from lianyun.project.testing import create_database, drop_database

    name = f"lake_{secrets.token_hex(6)}"
    with override_settings(
        LAKE_CATALOGUE_URL=create_database(name),
        LAKE=str(tmp_path_factory.mktemp("lake")),
        HOME=tmp_path_factory.mktemp("home"),
    ):
        sync_declared(by=SYSTEM)
        put("jt_stops", stops())
        put("ga_residents", residents())
        open_one("jt_stops", appoint)
        open_one("ga_residents", appoint, title="户籍人口（匿名化）")
        actions.add_sheet(name="jt_stops", number=1, by=SYSTEM)
        connections.close_all()
        server = LiveServer("127.0.0.1")
        yield str(server.url)
        server.stop()
        connections.close_all()
        shelves.close_all()
    drop_database(name)


@pytest.mark.parametrize("get_only", [False, True])
def test_ckans_own_client_reads_the_site(site: str, get_only: bool) -> None:
    with ckanapi.RemoteCKAN(f"{site}/open", get_only=get_only) as remote:
        assert remote.action.site_read() is True
        assert remote.action.package_list() == ["ga_residents", "jt_stops"]
        found = remote.action.package_search(q="公交")
        assert (found["count"], [p["name"] for p in found["results"]]) == (1, ["jt_stops"])
        assert remote.action.package_search(fq="organization:ga")["count"] == 1
        package = remote.action.package_show(id="jt_stops")
        assert remote.action.package_show(id=package["id"])["name"] == "jt_stops"
        assert package["organization"]["name"] == "jt"
        assert {r["format"] for r in package["resources"]} == {"CSV", "XLSX", "JSON", "PARQUET"}
        assert sorted(remote.action.organization_list()) == ["ga", "jt"]
        assert remote.action.organization_show(id="jt")["package_count"] == 1
        assert {g["name"] for g in remote.action.group_list(all_fields=True)} == {
            "population",
            "spatial",
        }
        resource = next(r for r in package["resources"] if r["datastore_active"])
        assert remote.action.resource_show(id=resource["id"])["package_id"] == package["id"]
        assert remote.action.datastore_info(id=resource["id"])["meta"]["count"] == 60
        answer = httpx.get(resource["url"])
        assert len(answer.content) == resource["size"]
        with pytest.raises(ckanapi.NotFound):
            remote.action.package_show(id="no_such")
        with pytest.raises(ckanapi.NotFound):
            remote.action.datastore_search_sql(sql="SELECT 1")


def test_ckans_own_client_pages_through_rows(site: str) -> None:
    with ckanapi.RemoteCKAN(f"{site}/open") as remote:
        package = remote.action.package_show(id="jt_stops")
        wanted = next(r["id"] for r in package["resources"] if r["datastore_active"])
        seen: list[str] = []
        while True:
            page = remote.action.datastore_search(
                resource_id=wanted, limit=17, offset=len(seen), sort="stop_code desc"
            )
            if not page["records"]:
                break
            seen += [r["stop_code"] for r in page["records"]]
        assert len(seen) == page["total"] == 60
        assert seen == sorted(seen, reverse=True)
        assert next(f["id"] for f in page["fields"]) == "stop_code"
        half = remote.action.datastore_search(
            resource_id=wanted, filters={"region_code": "320703"}, fields=["stop_code"], limit=3
        )
        assert half["total"] == 30
        assert [set(r) for r in half["records"]] == [{"stop_code"}] * 3
        with pytest.raises(ckanapi.ValidationError):
            remote.action.datastore_search(resource_id=wanted, filters={"1=1; --": "x"})


@pytest.mark.parametrize(
    "path", ["/open/catalog.jsonld", "/open/catalog.ttl", "/open/datasets/jt_stops/dcat.ttl"]
)
def test_the_catalogue_breaks_no_rule_of_dcat_ap(site: str, path: str) -> None:
    graph = rdflib.Graph()
    kind = "json-ld" if path.endswith("jsonld") else "turtle"
    graph.parse(data=httpx.get(f"{site}{path}").text, format=kind)
    datasets = set(graph.subjects(rdflib.RDF.type, DCAT.Dataset))
    assert len(datasets) == (1 if "jt_stops" in path else 2)
    conforms, results, text = pyshacl.validate(
        graph, shacl_graph=rdflib.Graph().parse(SHAPES), advanced=True
    )
    severities = list(results.objects(None, SH.resultSeverity))
    assert SH.Violation not in severities, text
    assert conforms, f"not even a recommended property is missing\n{text}"


def test_the_shapes_find_what_is_wrong(site: str) -> None:
    graph = rdflib.Graph().parse(data=httpx.get(f"{site}/open/catalog.ttl").text, format="turtle")
    for statement in list(graph.triples((None, rdflib.DCTERMS.title, None))):
        graph.remove(statement)
    conforms, _, _ = pyshacl.validate(graph, shacl_graph=rdflib.Graph().parse(SHAPES))
    assert not conforms


@pytest.mark.parametrize("name", ["jt_stops", "ga_residents"])
def test_the_data_package_is_valid_with_its_rows(site: str, name: str, tmp_path: Path) -> None:
    told = httpx.get(f"{site}/open/datasets/{name}/datapackage.json").json()
    resource = told["resources"][0]
    (tmp_path / "data.csv").write_bytes(httpx.get(resource["path"]).content)
    resource["path"] = "data.csv"
    (tmp_path / "datapackage.json").write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    report = frictionless.validate(str(tmp_path / "datapackage.json"))
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "message"])
    assert report.tasks[0].stats["rows"] == (
        60 if name == "jt_stops" else report.tasks[0].stats["rows"]
    )
    assert report.tasks[0].stats["rows"] > 0


def test_a_spreadsheet_and_a_database_read_the_same_rows(site: str, tmp_path: Path) -> None:
    import duckdb
    import openpyxl

    rows: dict[str, list[tuple[Any, ...]]] = {}
    for kind in ("csv", "xlsx", "json", "parquet"):
        file = tmp_path / f"stops.{kind}"
        file.write_bytes(httpx.get(f"{site}/open/datasets/jt_stops/jt_stops.{kind}").content)
        if kind == "xlsx":
            sheet = openpyxl.load_workbook(file).active
            assert sheet is not None
            rows[kind] = [(str(r[0]),) for r in sheet.iter_rows(min_row=2, values_only=True)]
            continue
        column = "站点编号" if kind == "csv" else "stop_code"
        heads = [d[0] for d in duckdb.sql(f"SELECT * FROM '{file}'").description]
        column = column if column in heads else heads[0]
        rows[kind] = duckdb.sql(f"""SELECT "{column}"::VARCHAR FROM '{file}'""").fetchall()
    assert len(rows["csv"]) == 60
    assert all(sorted(r) == sorted(rows["csv"]) for r in rows.values())


@pytest.mark.slow
def test_schemathesis_finds_no_failure(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole interface, CKAN's shapes included, walked from its own document.

    CKAN's actions may be POSTed as well, which the document leaves out; what else may not be sent is
    asked beside it.
    """
    from lianyun.capabilities.open_data.queries import site as queries

    monkeypatch.setitem(queries.settings()["rates"], "api_anonymous", 1_000_000)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "st"), "run", f"{site}/open/api/openapi.json"),
            *("--max-examples", os.environ.get("LIANYUN_EXAMPLES", "1"), "--seed", "1"),
            *("--suppress-health-check", "all", "--phases", "examples,coverage,fuzzing"),
            *("--exclude-checks", "unsupported_method"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160"},
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-30000:] + done.stderr[-2000:]
    assert "Operations" in done.stdout, done.stdout
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "POST"):
        for path in ("", "datasets", "datasets/jt_stops", "datasets/jt_stops/rows"):
            refused = httpx.request(method, f"{site}/open/api/{path}")
            assert (refused.status_code, "GET" in refused.headers["allow"]) == (405, True)
    assert httpx.delete(f"{site}/open/api/3/action/tag_list").status_code == 405
