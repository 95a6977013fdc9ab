"""Asking under attack: nothing but allowed, masked, filtered rows, within time and memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
import pyarrow.parquet as parquet
import pytest

from lianyun.lake import ask as asking
from lianyun.lake import shelves
from lianyun.lake.ask import Allowed, Cancelled, Heavy, Limits, Refused, TooSlow, ask, prepare, run
from lianyun.lake.shelves import Column, Lake, ensure_table

PEOPLE = [(f"32070319900101{n:04d}", f"张{n}", "海州" if n < 8 else "连云", n) for n in range(10)]
SECRET = "320703199001010003"
MASKS = {"id": "citizen_number", "name": "name"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake with people (one file with deleted rows), their benefits, towns, and a table of others."""
    name = f"ask_{secrets.token_hex(6)}"
    place = urlsplit(os.environ["LIANYUN_LAKE_CATALOGUE"])
    server = urlunsplit(place._replace(path="/postgres"))
    with psycopg.connect(server, autocommit=True) as pg:
        pg.execute(f'CREATE DATABASE "{name}"'.encode())
    folder = str(tmp_path_factory.mktemp("lake"))
    made = Lake(urlunsplit(place._replace(path=f"/{name}")), folder, "300MB")
    with made.connect() as con:
        columns = [Column("id"), Column("name"), Column("town"), Column("age", "BIGINT")]
        ensure_table(con, "trusted", "people", [*columns, Column("_batch")])
        con.executemany(
            "INSERT INTO lake.trusted.people VALUES (?, ?, ?, ?, 'b1')",
            [*PEOPLE, ("320703199001019999", "已删除", "海州", 1)],
        )
        con.execute("DELETE FROM lake.trusted.people WHERE name = '已删除'")
        con.execute("ALTER TABLE lake.trusted.people ADD COLUMN later BIGINT")
        con.execute(
            "INSERT INTO lake.trusted.people VALUES ('320703199001015555','王五','赣榆',5,'b2',7)"
        )
        ensure_table(con, "trusted", "benefits", [Column("id"), Column("amount", "DECIMAL(10,2)")])
        con.executemany(
            "INSERT INTO lake.trusted.benefits VALUES (?, ?)",
            [(p[0], 100 + i) for i, p in enumerate(PEOPLE) for _ in range(6)],
        )
        ensure_table(con, "trusted", "towns", [Column("town"), Column("county")])
        con.execute("INSERT INTO lake.trusted.towns VALUES ('海州','A'),('连云','B'),('赣榆','C')")
        ensure_table(con, "trusted", "others", [Column("id"), Column("secret")])
        con.execute("INSERT INTO lake.trusted.others VALUES ('1','机密')")
    yield made
    shelves.close_all()
    with psycopg.connect(server, autocommit=True) as pg:
        pg.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def tables(**more: Allowed) -> dict[str, Allowed]:
    person = Allowed("trusted.people", masks=MASKS, person="id", guarded=True, links=["id"])
    money = Allowed(
        "trusted.benefits", masks={"id": "citizen_number"}, person="id", guarded=True, links=["id"]
    )
    return {"people": person, "benefits": money, "towns": Allowed("trusted.towns"), **more}


def plain() -> dict[str, Allowed]:
    return {"people": Allowed("trusted.people"), "towns": Allowed("trusted.towns")}


def column(lake: Lake, sql: str, name: str = "") -> list[object]:
    found = ask(lake, sql, tables())
    return found.column(name or 0).to_pylist()


def test_files_give_exactly_the_lakes_rows(lake: Lake) -> None:
    rows = ask(lake, "SELECT * FROM people ORDER BY id", plain()).to_pylist()
    with lake.connect(read_only=True) as con:
        wanted = con.execute(
            "SELECT id, name, town, age, later FROM lake.trusted.people ORDER BY id"
        ).fetchall()
    assert [tuple(r.values()) for r in rows] == wanted
    assert len(rows) == 11
    assert {r["later"] for r in rows} == {None, 7}
    assert "已删除" not in str(rows)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM others",
        "SELECT * FROM lake.trusted.others",
        "SELECT * FROM trusted.others",
        "SELECT * FROM memory.main.people",
        "SELECT * FROM main.people",
        'SELECT * FROM "others"',
        'SELECT * FROM "lake"."trusted"."others"',
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/*.parquet')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_json_auto('/etc/passwd')",
        "SELECT * FROM parquet_scan('x')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM '/tmp/x.parquet'",
        'SELECT * FROM "/etc/passwd.csv"',
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "ATTACH '/tmp/x.db'",
        "ATTACH 'postgres:dbname=lianyun' AS pg",
        "DETACH memory",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "COPY people TO '/tmp/x.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "PRAGMA table_info('people')",
        "SET memory_limit='8GB'",
        "RESET lock_configuration",
        "CALL duckdb_tables()",
        "EXPORT DATABASE '/tmp/x'",
        "CREATE TABLE x AS SELECT 1",
        "CREATE MACRO f() AS 1",
        "DROP VIEW people",
        "INSERT INTO people VALUES (1)",
        "UPDATE people SET name = 'x'",
        "DELETE FROM people",
        "BEGIN; SELECT 1",
        "SELECT 1; SELECT 2",
        "DESCRIBE people",
        "SHOW TABLES",
        "SUMMARIZE people",
        "SELECT * FROM (DESCRIBE people)",
        "SELECT * FROM (SHOW TABLES)",
        "EXPLAIN SELECT 1",
        "SELECT getenv('HOME')",
        "SELECT current_setting('allowed_paths')",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM duckdb_tables",
        "SELECT sql FROM duckdb_views()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM pg_class",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM ducklake_snapshots('lake')",
        "SELECT * FROM ducklake_list_files('lake', 'people')",
        "SELECT * FROM postgres_query('lake', 'SELECT 1')",
        "SELECT * FROM query('SELECT * FROM others')",
        "SELECT * FROM query_table('others')",
        "SELECT * FROM range(1000000000000)",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT unnest(generate_series(1, 1000000000))",
        "SELECT * FROM people AT (VERSION => 1)",
        "SELECT * FROM people TABLESAMPLE 10",
        "SELECT * FROM people, LATERAL (SELECT 1) x",
        "SELECT * FROM people NATURAL JOIN towns",
        "PIVOT people ON town USING count(*)",
        "FROM people PIVOT (count(*) FOR town IN ('海州'))",
        "SELECT * FROM people WHERE id = ?",
        "SELECT * FROM people WHERE id = $1",
        "SELECT _no FROM people",
        'SELECT "_no" FROM people',
        "SELECT people._no FROM people",
        "SELECT _batch FROM people",
        "SELECT rowid FROM people",
        "SELECT filename FROM people",
        "SELECT COLUMNS('.*') FROM people",
        "SELECT COLUMNS(*) FROM people",
        "WITH others AS (SELECT 1), people AS (SELECT 1) SELECT * FROM people",
        "WITH pg_class AS (SELECT 1) SELECT * FROM (SELECT * FROM pg_class) x",
        "WITH x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x",
        "SELECT (WITH others AS (SELECT 1 AS a) SELECT 1) FROM others",
        "SELECT * FROM people WHERE town IN (SELECT secret FROM others)",
        "SELECT (SELECT secret FROM others LIMIT 1)",
        "SELECT * FROM people p WHERE EXISTS (SELECT 1 FROM others o WHERE o.id = p.id)",
        "SELECT write_log('x')",
        "SELECT nextval('s')",
        "SELECT error('x')",
        "SELECT json_execute_serialized_sql('{}')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT eval('1')",
        "SELECT repeat('x', 1000000000)",
        "SELECT lpad('x', 1000000000, 'y')",
        "SELECT version()",
        "SELECT current_user",
        "SELECT * FROM people FOR UPDATE",
        "SELECT 1 INTO x",
        "",
        ";",
        "--",
        "SELECT",
        "SELECT * FROM people WHERE",
    ],
)
def test_attacks_are_refused(lake: Lake, sql: str) -> None:
    with pytest.raises(Refused):
        ask(lake, sql, tables())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "+".join(["1"] * 9_000),
        "SELECT " + "(SELECT " * 800 + "1" + ")" * 800,
        "SELECT '" + "x" * 30_000 + "'",
        "SELECT 1 " + "UNION ALL SELECT 1 " * 1100,
        "SELECT " + "CASE WHEN 1=1 THEN " * 900 + "1" + " ELSE 0 END" * 900,
        "SELECT " + "NOT " * 4000 + "true",
    ],
)
def test_long_and_deep_questions_end(lake: Lake, sql: str) -> None:
    """Refused or answered, within seconds, and the process that asks lives on."""
    began = time.monotonic()
    with contextlib.suppress(Refused, TooSlow):
        ask(lake, sql, tables(), timeout=10)
    assert time.monotonic() - began < 20


def test_the_engine_itself_is_closed(lake: Lake) -> None:
    """With our own parser out of the way the confined process still refuses everything else."""
    question = prepare(lake, "SELECT town FROM people", tables())
    with lake.connect(read_only=True) as con:
        other = con.execute(
            "SELECT data_file FROM ducklake_list_files('lake', 'others', schema => 'trusted')"
        ).fetchone()[0]
    file = question.plan["files"][0]
    for sql in (
        f"SELECT * FROM '{other}'",
        f"SELECT * FROM read_parquet('{other}')",
        f"SELECT id FROM '{file}'",
        f"SELECT id FROM read_parquet('{file}')",
        "SELECT * FROM duckdb_views()",
        "SELECT * FROM main.people",
        "SELECT getenv('HOME')",
        "SELECT * FROM information_schema.tables",
        "SET lock_configuration = false",
        "SHOW TABLES",
        "SELECT * FROM people; SELECT 1",
    ):
        question.plan["sql"] = sql
        with pytest.raises(Refused):
            run(question, Path("/nonexistent/out.parquet"))


def test_paths_are_closed_even_where_no_parser_looks(lake: Lake, tmp_path: Path) -> None:
    from lianyun.lake import confined

    question = prepare(lake, "SELECT town FROM people", tables())
    with lake.connect(read_only=True) as con:
        other = con.execute(
            "SELECT data_file FROM ducklake_list_files('lake', 'others', schema => 'trusted')"
        ).fetchone()[0]
    con = confined.opened({**question.plan, "scratch": str(tmp_path / "scratch")})
    assert con.execute("SELECT count(*) FROM people").fetchone() == (11,)
    for sql in (
        f"SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        f"COPY (SELECT 1) TO '{tmp_path}/x.csv'",
        f"ATTACH '{tmp_path}/x.db'",
        "INSTALL httpfs",
        "SET memory_limit = '8GB'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(Exception, match=r"Permission|disabled|locked|Cannot"):
            con.execute(sql)
    shown = con.execute(
        "SELECT database_name FROM duckdb_databases() WHERE NOT internal"
    ).fetchall()
    assert shown == [("memory",)]
    con.close()


@pytest.mark.parametrize(
    "probe",
    [
        f"SELECT town FROM people WHERE id = '{SECRET}'",
        f"SELECT town FROM people WHERE id IN ('{SECRET}')",
        "SELECT town FROM people WHERE id LIKE '320703199001010003'",
        "SELECT town FROM people WHERE id LIKE '%0003'",
        "SELECT town FROM people WHERE substr(id, 15, 4) = '0003'",
        "SELECT town FROM people WHERE regexp_matches(id, '0003$')",
        "SELECT town FROM people WHERE name = '张3'",
        f"SELECT p.town FROM people p JOIN (VALUES ('{SECRET}')) v(n) ON p.id = v.n",
        f"SELECT town FROM people WHERE md5(id) = md5('{SECRET}')",
        f"SELECT town FROM people WHERE id_link = left(md5('{SECRET}'), 16)",
        f"SELECT town FROM people WHERE id BETWEEN '{SECRET}' AND '{SECRET}'",
        "SELECT town FROM people GROUP BY town, id HAVING max(id) = '320703199001010003'",
        "SELECT town FROM people QUALIFY max(name) OVER () = '张3'",
    ],
)
def test_masked_values_cannot_be_probed(lake: Lake, probe: str) -> None:
    try:
        found = ask(lake, probe, tables())
    except Refused:
        return
    assert found.num_rows == 0


def test_order_tells_nothing_of_masked_values(lake: Lake) -> None:
    rows = ask(lake, "SELECT DISTINCT id, name FROM people ORDER BY id", tables()).to_pylist()
    assert {r["name"] for r in rows} == {"张*", "王*"}
    assert all(SECRET[3:16] not in r["id"] for r in rows)
    assert "0003" not in str(rows)


def test_a_link_joins_within_a_question_only(lake: Lake) -> None:
    joined = "SELECT p.age, b.amount FROM people p JOIN benefits b ON p.id_link = b.id_link"
    rows = ask(lake, joined, tables()).to_pylist()
    assert len(rows) == 60
    assert all(r["amount"] == 100 + r["age"] for r in rows), "exactly the right person's"
    first = set(column(lake, "SELECT id_link FROM people"))
    assert not first & set(column(lake, "SELECT id_link FROM people")), "another key each time"


def test_small_groups_are_left_out(lake: Lake) -> None:
    count = "SELECT town, count(*) AS n FROM people GROUP BY town"
    assert ask(lake, count, tables()).to_pylist() == [{"town": "海州", "n": 8}]
    hidden = [
        "SELECT town, count(*) AS n FROM people WHERE town = '连云' GROUP BY town",
        "SELECT count(*) FROM people WHERE town = '赣榆'",
        "SELECT town, avg(age) FROM (SELECT * FROM people WHERE age > 7) x GROUP BY ALL",
        "WITH x AS (SELECT town, age FROM people WHERE town <> '海州') SELECT town, max(age) FROM x "
        "GROUP BY 1",
        "WITH x AS (FROM people), y AS (SELECT town FROM x WHERE town = '连云') "
        "SELECT town, count(*) FROM y GROUP BY town",
        # Six rows of one person are one person.
        "SELECT amount, count(*) FROM benefits GROUP BY amount",
        "SELECT p.town, sum(b.amount) FROM people p JOIN benefits b ON p.id_link = b.id_link "
        "WHERE p.town = '连云' GROUP BY p.town",
        # Multiplying rows makes no more people of them.
        "SELECT p.town, count(*) FROM people p CROSS JOIN towns t WHERE p.town = '连云' GROUP BY 1",
        "SELECT town, count(*) FROM people GROUP BY ROLLUP (town) HAVING town = '连云'",
        "SELECT 1 WHERE (SELECT count(*) FROM people WHERE town = '连云') > 0",
    ]
    for sql in hidden:
        assert ask(lake, sql, tables()).num_rows == 0, sql
    for sql in (
        "SELECT town, count(*) OVER (PARTITION BY town) FROM people",
        "SELECT DISTINCT sum(age) OVER (PARTITION BY town) FROM people",
    ):
        with pytest.raises(Refused, match="窗口函数"):
            ask(lake, sql, tables())
    ranked = "SELECT town, row_number() OVER (ORDER BY age) AS n FROM people"
    assert ask(lake, ranked, tables()).num_rows == 11
    assert ask(lake, count, plain()).num_rows == 3, "who sees them in clear counts them all"
    question = prepare(lake, count, tables(), Limits(group=1))
    assert "HAVING" not in question.plan["sql"]


def test_the_person_column_is_never_shown(lake: Lake) -> None:
    for sql in (
        "SELECT * FROM people",
        "FROM people",
        "SELECT p.* FROM people p",
        "SELECT * EXCLUDE (age) FROM people",
        "SELECT * FROM people p JOIN towns t ON p.town = t.town",
        "SELECT p.*, b.* FROM people p JOIN benefits b ON p.id_link = b.id_link",
        "SELECT * FROM (SELECT * FROM people) x",
        "WITH x AS (SELECT * FROM people) SELECT * FROM x",
        "WITH x AS (SELECT town FROM people) SELECT * FROM x UNION ALL SELECT town FROM towns",
        "SELECT * FROM (SELECT town, age FROM people UNION SELECT county, 1 FROM towns) x",
    ):
        names = ask(lake, sql, tables()).column_names
        assert not [n for n in names if n.startswith("_")], (sql, names)


def test_rows_are_filtered_before_anything(lake: Lake) -> None:
    mine = {"people": Allowed("trusted.people", row_filter="\"town\" IN ('连云')")}
    assert ask(lake, "SELECT count(*) AS n FROM people", mine).to_pylist() == [{"n": 2}]
    assert ask(lake, "SELECT 1 FROM people WHERE town = '海州' OR 1 = 1", mine).num_rows == 2
    some = {"people": replace(mine["people"], columns=["age"])}
    with pytest.raises(Refused):
        ask(lake, "SELECT town FROM people", some)


def test_cross_joins_are_weighed_and_refused(lake: Lake, tmp_path: Path) -> None:
    bomb = "SELECT count(*) FROM " + ", ".join(f"towns t{n}" for n in range(26))
    limits = Limits(refuse_widest=1e6, confirm_widest=1e4)
    with pytest.raises(Refused, match="中间结果"):
        run(prepare(lake, bomb, tables(), limits), tmp_path / "x.parquet", limits, confirmed=False)
    heavy = "SELECT count(*) FROM " + ", ".join(f"towns t{n}" for n in range(10))
    question = prepare(lake, heavy, tables(), limits)
    with pytest.raises(Heavy, match="中间结果") as told:
        run(question, tmp_path / "x.parquet", limits, confirmed=False)
    assert told.value.cost.widest >= 3**10
    assert (
        run(question, tmp_path / "x.parquet", limits, confirmed=True).table()[0][0].as_py() == 3**10
    )
    with pytest.raises(Heavy):
        run(question, tmp_path / "x.parquet", Limits(confirm_rows=1), confirmed=False)


ENDLESS = (
    "SELECT sum(length("
    + " || ".join(f"t{n}.town" for n in range(24))
    + ")) FROM "
    + ", ".join(f"towns t{n}" for n in range(24))
)


def test_a_question_taken_back_stops_at_once(lake: Lake, tmp_path: Path) -> None:
    limits = Limits(refuse_widest=1e300, seconds=60)
    question = prepare(lake, ENDLESS, tables(), limits)
    stop = threading.Event()
    threading.Timer(2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run(question, tmp_path / "x.parquet", limits, cancelled=stop.is_set)
    assert time.monotonic() - began < 10
    assert not [
        p for p in psutil.Process().children(True) if "confined" in " ".join(p.cmdline())
    ], "its process is gone"


def test_memory_is_bounded(lake: Lake) -> None:
    doubling = "WITH a0 AS (SELECT 'xxxxxxxxxx' AS s)"
    for n in range(1, 40):
        doubling += f", a{n} AS (SELECT s || s AS s FROM a{n - 1})"
    with pytest.raises(Refused):
        ask(lake, f"{doubling} SELECT length(s) FROM a39", tables(), timeout=30)
    many = ", ".join(f"towns t{n}" for n in range(15))
    with pytest.raises((Refused, TooSlow)):
        ask(lake, f"SELECT list(t0.town || t1.town) FROM {many}", tables(), timeout=20)


def test_masked_copies_answer_alike(lake: Lake, tmp_path: Path) -> None:
    """Where the lake's files need a credential the process reads masked copies instead."""
    sql = "SELECT town, count(*) AS n FROM people GROUP BY town"
    question = prepare(lake, sql, tables())
    seen = question.plan["views"].pop().removeprefix('CREATE VIEW "people" AS ')
    question.copies["people"], question.plan["files"] = seen, []
    assert run(question, tmp_path / "a").table().to_pylist() == [{"town": "海州", "n": 8}]


def test_the_limit_is_told(lake: Lake, tmp_path: Path) -> None:
    limits = Limits(rows=4)
    found = run(prepare(lake, "SELECT * FROM people", tables(), limits), tmp_path / "a", limits)
    assert (found.rows, found.more) == (4, True)
    assert parquet.read_metadata(found.file).num_rows == 4
    twice = ask(lake, "SELECT town, town FROM towns", tables())
    assert twice.column_names == ["town", "town_1"]
    assert asking.named("SELECT 1 FROM People p, towns", ["people", "towns", "x"]) == [
        "people",
        "towns",
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT date_trunc('month', DATE '2026-01-05'), year(current_date), now() IS NOT NULL",
        "SELECT strftime(DATE '2026-01-05', '%Y-%m'), extract(year FROM DATE '2026-01-05')",
        "SELECT CASE WHEN age > 5 THEN 'a' ELSE 'b' END, coalesce(later, 0) FROM people",
        "SELECT town, count(DISTINCT age), sum(age) FILTER (WHERE age > 1), median(age) FROM people "
        "GROUP BY town ORDER BY 2 DESC LIMIT 3",
        "SELECT t.county, count(*) FROM towns t LEFT JOIN people p USING (town) GROUP BY t.county",
        "SELECT town FROM people EXCEPT SELECT town FROM towns",
        "SELECT * FROM towns WHERE town LIKE '海%' AND town NOT LIKE 'x' AND town ILIKE '%州'",
        "SELECT round(avg(age), 2), string_agg(town, ',' ORDER BY town), max(age) - min(age) FROM people",
        "SELECT CAST(age AS VARCHAR) || '岁', age % 3, age / 2, age // 2, -age, age BETWEEN 1 AND 3 FROM people",
        "SELECT county, town, rank() OVER (PARTITION BY county ORDER BY town) FROM towns",
        "SELECT town, count(*) OVER (), lag(town) OVER (ORDER BY town) FROM towns",
        "SELECT x.n FROM (VALUES (1), (2)) x(n) WHERE x.n IN (SELECT age FROM people)",
        "SELECT DATE '2026-01-05' + INTERVAL 3 DAY, date_diff('day', DATE '2026-01-01', current_date)",
        "SELECT trim(upper(substring(town, 1, 1))), length(town), replace(town, '州', '') FROM towns",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
    ],
)
def test_everyday_questions_are_answered(lake: Lake, sql: str) -> None:
    ask(lake, sql, tables())
