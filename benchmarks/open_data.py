"""Open data: the site's pages and a page of rows, against Datasette over the same rows, and bare SQL.

``python benchmarks/open_data.py [--rows N] [--rounds N]`` opens one dataset of N bus stops (seven columns)
and asks, one call after the other in this process and with everything the product does (limits, counts,
headers): the front page, the dataset's page, and 100 rows filtered by two columns and sorted by another with
their total; one of the filters differs from round to round, so that no total is known before. The peers ask the same of the same rows: Datasette (its own application in process, SQLite with
no index but the key, as the file comes), and one statement with its count over a table in PostgreSQL
without any server around it (where rows could have lain instead: ADR 0018). Median of the rounds, in turns;
a quarter of the rows shows the growth. Writing one version (measure, four files but XLSX) is shown as well.
Target: a page of rows in at most the time that Datasette takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGET = 1.0
COLUMNS = (
    "stop_code", "stop_name", "lines", "region_code", "town_code", "longitude", "latitude",
)  # fmt: skip
ROWS = (
    "/open/api/datasets/{name}/rows?region_code=320706&stop_code__gte={least}"
    "&_sort=-stop_name&_limit=100"
)
PEER = (
    "/{name}/{name}.json?region_code=320706&stop_code__gte={least}&_sort_desc=stop_name&_size=100"
    "&_nofacet=1&_nosuggest=1"
)


def _open(name: str, rows: int, resource: Any) -> tuple[Any, float]:
    """A dataset of so many rows, open; and the seconds that writing its version took."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.open_data import actions
    from lianyun.capabilities.open_data.models import Opening
    from lianyun.kernel import batch
    from lianyun.kernel.access import SYSTEM

    with collection.lake().connect() as con:
        con.execute(
            f"CREATE OR REPLACE TABLE lake.trusted.{resource.name} AS SELECT "
            "'S' || lpad(i::VARCHAR, 8, '0') AS stop_code, '朝阳路' || (i * 7919 % 100000) || '号站' "
            "AS stop_name, (i % 90) || '路' AS lines, ['320703','320706','320707'][1 + i % 3] AS "
            "region_code, '320706' || lpad((i % 30)::VARCHAR, 3, '0') AS town_code, "
            "(119 + i % 1000 / 1000.0)::DECIMAL(10,6) AS longitude, "
            f"(34.5 + i % 500 / 1000.0)::DECIMAL(9,6) AS latitude FROM range({rows}) t(i)"
        )
    made = batch.start(resource, by=SYSTEM)
    counted = dict.fromkeys(("inserted", "updated", "unchanged", "deleted"), 0)
    batch.finish(made, {"landed": rows, "accepted": rows, "rejected": 0, **counted}, by=SYSTEM)
    treatments = [{"name": c, "how": "keep", "role": "plain", "width": 0} for c in COLUMNS]
    opening = Opening.objects.create(
        name=name,
        resource=resource,
        provider=resource.owner,
        title=name,
        licence="cc-by-4.0",
        cycle="每月",
        theme="transport",
        stage="open",
        recipe={
            "treatments": treatments, "k": 1, "l": 1, "form": "rows", "small": "suppress", "scope": {},
        },
    )  # fmt: skip
    began = time.perf_counter()
    actions.refresh(name=name, by=SYSTEM)
    return opening, time.perf_counter() - began


def _peers(name: str, folder: Path, lite: Path) -> Callable[[str], Any]:
    """The same rows for SQLite and PostgreSQL; returns the bare statement over the latter."""
    import duckdb
    from django.db import connection

    listed = duckdb.sql(f"SELECT * FROM '{folder / 'data.parquet'}'").fetchall()
    rows = [tuple(str(v) for v in row) for row in listed]
    with sqlite3.connect(lite) as con:
        con.execute(f"CREATE TABLE {name} ({', '.join(COLUMNS)}, PRIMARY KEY (stop_code))")
        con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    with connection.cursor() as cursor:
        columns = ", ".join(f"{c} text" for c in COLUMNS)
        cursor.execute(f"CREATE TABLE bench_{name} ({columns})")
        with cursor.copy(f"COPY bench_{name} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(f"ANALYZE bench_{name}")

    def bare(least: str) -> Any:
        with connection.cursor() as cursor:
            where, values = "region_code = %s AND stop_code >= %s", ["320706", least]
            cursor.execute(
                f"SELECT * FROM bench_{name} WHERE {where} ORDER BY stop_name DESC LIMIT 100",
                values,
            )
            found = cursor.fetchall()
            cursor.execute(f"SELECT count(*) FROM bench_{name} WHERE {where}", values)
            return found, cursor.fetchone()

    return bare


def _millis(run: Callable[[str], Any], least: str) -> float:
    began = time.perf_counter()
    run(least)
    return (time.perf_counter() - began) * 1000


def _size(rows: int, rounds: int, resource: Any, home: Path) -> dict[str, float]:
    """Medians in milliseconds for one number of rows."""
    from datasette.app import Datasette
    from django.test import Client

    from lianyun.capabilities.open_data import adapters
    from lianyun.capabilities.open_data.queries import site

    name = f"stops_{rows}"
    _, written = _open(name, rows, resource)
    lite = home / f"{name}.db"
    bare = _peers(name, adapters.folder(name, 1), lite)
    peer = Datasette([str(lite)], settings={"suggest_facets": False})
    client, loop = Client(), asyncio.new_event_loop()
    site.settings()["rates"]["api_anonymous"] = 10**9

    def ours(path: str) -> Callable[[str], Any]:
        def run(least: str) -> Any:
            answer = client.get(path.replace("{least}", least))
            assert answer.status_code == 200, answer.content[:300]
            return answer

        return run

    def theirs(least: str) -> Any:
        path = PEER.replace("/{name}/", f"/{lite.stem}/", 1).format(name=name, least=least)
        answer = loop.run_until_complete(peer.client.get(path))
        assert answer.status_code == 200, answer.text[:300]
        return answer

    sides = {
        "home": ours("/open/"),
        "page": ours(f"/open/datasets/{name}/"),
        "rows": ours(ROWS.replace("{name}", name)),
        "datasette": theirs,
        "postgresql": bare,
    }
    first = "S00000000"
    told = json.loads(sides["rows"](first).content)
    other = theirs(first).json()
    count = other.get("filtered_table_rows_count")
    assert told["total"] == count == bare(first)[1][0], (told["total"], count)
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(1, rounds + 1):
        for side, run in sides.items():
            times[side].append(_millis(run, f"S{number:08}"))
    loop.close()
    return {side: statistics.median(t) for side, t in times.items()} | {"write": written * 1000}


def main() -> int:
    """Measure, print, and say whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=int(os.environ.get("OPEN_ROWS", "40000")))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    from lianyun.project import postgres

    with tempfile.TemporaryDirectory(prefix="open-data-") as folder:
        home = Path(folder)
        server = postgres.Server(home / "server", durable=True)
        url = server.start(dies_with_parent=True)
        os.environ.update(
            LIANYUN_HOME=folder,
            LIANYUN_DATABASE_URL=url,
            LIANYUN_TESTING="1",
            DJANGO_SETTINGS_MODULE="lianyun.project.settings",
        )
        try:
            import django

            django.setup()
            from django.db import connection, connections

            from lianyun.capabilities.catalogue import api as catalogue
            from lianyun.kernel import install
            from lianyun.kernel.access import SYSTEM
            from lianyun.kernel.models import Resource
            from lianyun.project import schema

            schema.bring_up_to_date(connection)
            install.install(by=SYSTEM)
            catalogue.sync_declared(by=SYSTEM)
            resource = Resource.objects.select_related("owner").get(name="jt_stops")
            small = _size(max(arguments.rows // 4, 100), arguments.rounds, resource, home)
            large = _size(arguments.rows, arguments.rounds, resource, home)
            connections.close_all()
        finally:
            server.stop()
    titles = {
        "home": "front page",
        "page": "dataset page",
        "rows": "100 rows by the interface",
        "datasette": "  Datasette, the same",
        "postgresql": "  bare SQL in PostgreSQL",
        "write": "writing a version (once)",
    }
    print(f"{'':32}{arguments.rows // 4:>12,} rows{arguments.rows:>12,} rows   growth")
    for side, title in titles.items():
        growth = large[side] / small[side]
        print(f"{title:32}{small[side]:>12.1f} ms  {large[side]:>12.1f} ms   {growth:>5.2f}")
    ratio = large["rows"] / large["datasette"]
    met = ratio <= TARGET
    print(
        f"interface / Datasette: {ratio:.2f} (target at most {TARGET}) {'met' if met else 'MISSED'}"
    )
    print(f"interface / bare SQL: {large['rows'] / large['postgresql']:.2f} (no target)")
    print(
        json.dumps(
            {
                "size": arguments.rows,
                "ratio": round(ratio, 3),
                **{k: round(v, 2) for k, v in large.items()},
            }
        )
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
