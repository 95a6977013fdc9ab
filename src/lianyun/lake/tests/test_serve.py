"""Serving: golden records, publication while others read, and questions that stay in bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from lianyun.lake import merge
from lianyun.lake.ask import Allowed, Refused, TooSlow, ask, vet
from lianyun.lake.land import Source
from lianyun.lake.link import FieldSource, LibraryField, LibrarySpec, conflicts, golden, provenance
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.publish import publish, publish_changes, unpublish
from lianyun.lake.shelves import Lake, LakeError

from .conftest import ANNA, BORIS

Rows = Callable[..., Source]
LIBRARY = LibrarySpec(
    "population",
    "id",
    (
        LibraryField(
            "id", "公民身份号码", (FieldSource("people", "id"), FieldSource("others", "id"))
        ),
        LibraryField(
            "name", "姓名", (FieldSource("people", "name"), FieldSource("others", "name"))
        ),
        LibraryField(
            "amount",
            "金额",
            (
                FieldSource("people", "amount", date="born"),
                FieldSource("others", "amount", date="born"),
            ),
            "latest",
        ),
        LibraryField("silent", "没有来源数据", (FieldSource("nobody", "x"),)),
    ),
)


def library(lake: Lake) -> dict[str, dict[str, object]]:
    return {str(r["id"]): r for r in merge.read(lake, "population", schema="library")}


def test_golden_records(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    others = replace(people, name="others")
    load(lake, people, rows((ANNA, "安", "1", "2024-01-01"), (BORIS, "", "2", "")), "full", "p1")
    load(lake, others, rows((ANNA, "安安", "9", "2025-01-01"), (BORIS, "伯", "", "")), "full", "o1")
    made = golden(lake, LIBRARY, "g1")
    assert (made.entities, made.inserted, made.conflicts) == (2, 2, 2)
    found = library(lake)
    assert (found[ANNA]["name"], str(found[ANNA]["amount"])) == ("安", "9.00")
    assert (found[BORIS]["name"], str(found[BORIS]["amount"])) == ("伯", "2.00")
    told = provenance(made, found[BORIS])["name"]
    assert (told["dataset"], told["batch"]) == ("others", "o1")
    assert provenance(made, found[ANNA])["amount"]["date"] == "2025-01-01"
    assert made.fields["name"] == {
        "filled": 2,
        "sources": {"people": 1, "others": 1},
        "conflicts": 1,
    }
    told = {(c["entity"], c["field"]): c["values"] for c in conflicts(lake, "population")}
    assert told == {
        (ANNA, "name"): {"people": "安", "others": "安安"},
        (ANNA, "amount"): {"people": "1.00", "others": "9.00"},
    }
    assert golden(lake, LIBRARY, "g1") == made

    load(lake, others, rows((ANNA, "安", "9", "2025-01-01"), (BORIS, "伯", "", "")), "full", "o2")
    again = golden(lake, LIBRARY, "g2", since=["o2"])
    assert (again.unchanged, again.updated, again.conflicts) == (2, 0, 1)
    load(lake, people, rows((BORIS, "波", "2", "")), "full", "p2")
    third = golden(lake, LIBRARY, "g3", since=["p2"])
    assert (third.entities, third.updated, third.conflicts) == (2, 2, 1)
    whole = golden(lake, LIBRARY, "g4")
    assert (whole.updated, whole.unchanged) == (0, 2)
    assert library(lake)[BORIS]["name"] == "波"


def test_publish_while_reading(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    load(lake, people, rows((ANNA, "安", "1", ""), (BORIS, "伯", "2", "")), "full", "p1")
    assert publish(lake, "trusted.people", lake.dsn, key=["id"]) == 2
    failures: list[BaseException] = []
    counts: set[int] = set()
    stop = threading.Event()

    def reader() -> None:
        try:
            with psycopg.connect(lake.dsn, autocommit=True) as pg:
                while not stop.is_set():
                    row = pg.execute("SELECT count(*) FROM served.people").fetchone()
                    assert row is not None
                    counts.add(row[0])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(4):
        publish(
            lake,
            "trusted.people",
            lake.dsn,
            key=["id"],
            columns=["id", "name"] if turn % 2 else None,
        )
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert counts == {2}
    with psycopg.connect(lake.dsn) as pg:
        left = pg.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'served'::regnamespace AND relkind = 'r'"
        ).fetchone()
    assert left == (1,)
    unpublish(lake.dsn, "people")
    with pytest.raises(LakeError):
        publish(lake, "raw.people", lake.dsn)


def test_publish_only_what_changed(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    load(lake, people, rows((ANNA, "安", "1", ""), (BORIS, "伯", "2", "")), "full", "p1")
    publish(lake, "trusted.people", lake.dsn, key=["id"])
    load(lake, people, rows((ANNA, "安", "7", "")), "full", "p2")
    for _ in range(2):
        assert publish_changes(lake, "people", "p2", lake.dsn, key=["id"]) == 2
    with psycopg.connect(lake.dsn) as pg:
        found = pg.execute("SELECT id, amount::text FROM served.people").fetchall()
    assert found == [(ANNA, "7.00")]


def test_questions_see_masked_allowed_rows_only(
    lake: Lake, people: DatasetSpec, rows: Rows
) -> None:
    load(lake, people, rows((ANNA, "安娜", "1", ""), (BORIS, "伯", "2", "")), "full", "p1")
    visible = {
        "people": Allowed(
            "trusted.people",
            ["id", "name", "amount"],
            {"id": "citizen_number", "name": "name"},
            "amount < 2",
        )
    }
    assert ask(lake, "SELECT * FROM people", visible).to_pylist()[0]["id"] == "360*************71"
    assert ask(lake, "SELECT id FROM people WHERE id LIKE '360426%'", visible).num_rows == 0
    assert (
        ask(lake, "WITH x AS (FROM people) SELECT count(*) AS n, sum(amount) FROM x", visible)["n"][
            0
        ].as_py()
        == 1
    )
    with pytest.raises(Refused):
        ask(lake, "SELECT born FROM people", visible)
    with pytest.raises(Refused):
        ask(lake, "SELECT rowid, _batch FROM people", visible)
    big = ", ".join(f"people p{i}" for i in range(2))
    assert ask(lake, f"SELECT 1 FROM {big}", visible, limit=1).num_rows == 1


def test_slow_questions_are_stopped(lake: Lake, people: DatasetSpec, rows: Rows) -> None:
    spec = replace(people, name="many", key=())
    load(lake, spec, rows(*[(None, f"名{n}", str(n), "") for n in range(300)]), "append", "p1")
    visible = {"many": Allowed("trusted.many")}
    joined = ", ".join(f"many m{i}" for i in range(6))
    with pytest.raises(TooSlow):
        ask(lake, f"SELECT sum(m0.amount * m5.amount) FROM {joined}", visible, timeout=1)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM lake.trusted.people",
        "SELECT * FROM other",
        "SELECT * FROM 'a.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT read_text('/etc/passwd')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('memory_limit')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM people WHERE name IN (SELECT outcome FROM lake.ledger.batches)",
        "WITH a AS (SELECT * FROM other), other AS (SELECT 1) SELECT * FROM a",
        "SELECT (WITH other AS (SELECT 1) SELECT 1), * FROM other",
        "COPY people TO 'x'",
        "DROP TABLE people",
        "INSERT INTO people VALUES (1)",
        "CREATE TABLE x AS SELECT 1",
        "ATTACH 'x' AS y",
        "SET threads = 1",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "CALL ducklake_snapshots('lake')",
        "SELECT $1",
        "EXPLAIN SELECT 1",
        "",
        "not sql at all (",
    ],
)
def test_what_may_not_be_asked(sql: str) -> None:
    with pytest.raises(Refused):
        vet(sql, ["people"])
