"""Federate: real servers answer, only what was asked for travels, and what fails ends in time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianyun.lake.federate import (
    BadValue,
    Breaker,
    Condition,
    Federation,
    Part,
    Place,
    Question,
    Source,
    SourceDown,
    drivers,
    statement,
)

PEOPLE = 5_000


def number(i: int) -> str:
    return str(i).zfill(18)


class Relay:
    """A road to a server that can be blocked (nothing passes) or torn up (connections die)."""

    def __init__(self, path: str) -> None:
        self.path, self.blocked, self.closed = path, False, False
        self.pairs: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self.listener.accept()
                if self.closed:
                    caller.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.path)
                self.pairs += [caller, server]
                for a, b in ((caller, server), (server, caller)):
                    threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    def carry(self, a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                while self.blocked:
                    time.sleep(0.01)
                b.sendall(data)
        for end in (a, b):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def tear(self) -> None:
        for end in self.pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.pairs = []

    def end(self) -> None:
        self.closed = True
        self.blocked = False
        self.tear()
        self.listener.close()


@pytest.fixture
def postgres(empty_database: Callable[[], str]) -> Iterator[tuple[Place, str, Relay]]:
    """A department's PostgreSQL behind a relay: the place, its true URL, and the relay."""
    url = empty_database()
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(
            "CREATE TABLE people (id varchar(18) PRIMARY KEY, name text, born date,"
            " age int, level char(4), pay numeric(12,2), seen timestamptz, extra jsonb)"
        )
        con.execute(
            "INSERT INTO people SELECT lpad(i::text, 18, '0'), '人' || i, date '1980-01-01' + i,"
            " i % 90, 'a', i * 1.25, '2026-01-01 00:00+00', '{\"a\": 1}'"
            f" FROM generate_series(1, {PEOPLE}) i"
        )
        con.execute("ANALYZE people")
    parts = urlsplit(url)
    folder = unquote(parse_qs(parts.query)["host"][0])
    relay = Relay(f"{folder}/.s.PGSQL.{parts.port or 5432}")
    user = parts.username or ""
    place = Place(
        "ga",
        "市公安局人口库",
        f"postgresql://{user}:secret%20word@127.0.0.1:{relay.port}{parts.path}",
        seconds=2,
    )
    yield place, url, relay
    relay.end()


@pytest.fixture(scope="module")
def mariadb(mariadb_server: Any) -> tuple[Place, Path]:
    """A department's MariaDB and its general log."""
    con = mariadb_server.connect()
    with con.cursor() as cursor:
        cursor.execute("CREATE DATABASE rs CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER reader@localhost IDENTIFIED BY 'S3cret word'")
        cursor.execute("GRANT SELECT, DELETE ON rs.* TO reader@localhost")
        cursor.execute(
            "CREATE TABLE rs.insured (person varchar(18), unit varchar(50), months int,"
            " since date, KEY by_person (person))"
        )
        cursor.executemany(
            "INSERT INTO rs.insured VALUES (%s, %s, %s, '2020-02-03')",
            [(number(i), f"单位{i % 7}", i) for i in range(1, PEOPLE + 1, 2)],
        )
    con.commit()
    con.close()
    url = f"mysql://reader:S3cret%20word@localhost/rs?unix_socket={mariadb_server.path}"
    return Place("rs", "市人社局参保库", url, seconds=2), mariadb_server.log


@pytest.fixture
def federation() -> Iterator[Federation]:
    made = Federation()
    yield made
    made.close()


def by_id(place: Place, value: str, *columns: str, table: str = "people") -> Question:
    return Question(
        place, table, columns or ("id", "name"), (Condition("id", "=", value),), limit=5
    )


def test_the_source_does_the_work(
    federation: Federation, postgres: tuple[Place, str, Relay]
) -> None:
    place, url, _ = postgres
    got = federation.answer(by_id(place, number(77), "name", "pay", "level", "seen", "extra"))
    assert got.columns == ("name", "pay", "level", "seen", "extra")
    name, pay, level, seen, extra = got.rows[0]
    assert (name, str(pay), level.strip()) == ("人77", "96.25", "a")
    assert (seen, extra) == ("2026-01-01 08:00:00+08", '{"a": 1}')
    span = Question(
        place,
        "people",
        ("id", "age"),
        (Condition("id", ">=", number(10)), Condition("id", "<", number(900))),
        limit=7,
        order=("id",),
    )
    assert [r[0] for r in federation.answer(span).rows] == [number(i) for i in range(10, 17)]
    with psycopg.connect(url, autocommit=True) as con:
        (seen_sql,) = con.execute(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'lianyun federated'"
        ).fetchone()  # type: ignore[misc]
        # What the server itself saw: columns, both conditions, order and limit.
        assert seen_sql.startswith('SELECT "id", "age" FROM "people" WHERE "id" >= $1')
        assert seen_sql.endswith('ORDER BY "id" LIMIT 7')
        sql, values = statement(span, federation.source(place).schema("people"))
        plan = "\n".join(r[0] for r in con.execute(f"EXPLAIN {sql}".encode(), values))
        assert "Index Scan using people_pkey" in plan
        many = Question(place, "people", ("id",), (Condition("age", "in", ["3", "4"]),), limit=9)
        assert len(federation.answer(many).rows) == 9


def test_a_mariadb_does_the_work_too(federation: Federation, mariadb: tuple[Place, Path]) -> None:
    place, log = mariadb
    asked = Question(
        place, "insured", ("unit", "months"), (Condition("person", "=", number(9)),), limit=3
    )
    assert federation.answer(asked).rows == [("单位2", 9)]
    several = replace(
        asked, conditions=(Condition("person", "in", [number(1), number(3), number(2)]),)
    )
    assert len(federation.answer(several).rows) == 2
    assert f"WHERE `person` = '{number(9)}' LIMIT 3" in log.read_text("utf-8")
    with pytest.raises(BadValue):
        federation.answer(replace(asked, conditions=(Condition("months", "=", "9 OR 1=1"),)))


def test_nothing_can_be_written(
    federation: Federation, postgres: tuple[Place, str, Relay], mariadb: tuple[Place, Path]
) -> None:
    source = federation.source(postgres[0])
    until = time.monotonic() + 5
    with pytest.raises(drivers.Refused, match="25006"):
        source._ask("DELETE FROM people", (), until)
    with pytest.raises(drivers.Refused, match="1792"):
        federation.source(mariadb[0])._ask("DELETE FROM insured", (), until)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
@given(value=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30))
def test_a_value_is_never_sql(kind: str, value: str) -> None:
    place = Place("x", "某库", f"{kind}://u:p@h/d")
    sql, values = statement(
        Question(place, "t", ("a",), (Condition("a", "=", value),)), {"a": "text"}
    )
    assert values == [value]
    assert sql.count("%s") == 1
    same, _ = statement(Question(place, "t", ("a",), (Condition("a", "=", "1"),)), {"a": "text"})
    assert sql == same


def test_a_hanging_server_ends_in_time_and_a_break_heals(
    federation: Federation, postgres: tuple[Place, str, Relay]
) -> None:
    place, _, relay = postgres
    place = replace(place, seconds=0.6)
    assert federation.answer(by_id(place, number(1))).rows
    relay.blocked = True
    began = time.monotonic()
    with pytest.raises(SourceDown) as told:
        federation.answer(by_id(place, number(2)))
    assert told.value.kind == "timeout"
    assert str(told.value) == "“市公安局人口库”超过 0.6 秒没有答复"
    assert time.monotonic() - began < 10
    relay.blocked = False
    relay.tear()
    # A connection that died while it lay idle is no failure of the source.
    assert federation.answer(by_id(place, number(3))).rows
    relay.tear()
    assert federation.answer(by_id(place, number(4))).rows
    assert federation.source(place).breaker.state == "closed"


def test_the_server_breaks_off_what_takes_too_long(
    federation: Federation, postgres: tuple[Place, str, Relay], mariadb: tuple[Place, Path]
) -> None:
    with psycopg.connect(postgres[1], autocommit=True) as con:
        con.execute(
            "CREATE VIEW slow AS SELECT id, name, pg_sleep(5)::text AS nap FROM people LIMIT 1"
        )
    slow = replace(postgres[0], seconds=0.4)
    with pytest.raises(SourceDown, match="没有答复") as told:
        federation.answer(Question(slow, "slow", ("id", "nap")))
    assert told.value.kind == "timeout"
    with psycopg.connect(postgres[1], autocommit=True) as con:
        for _ in range(100):
            (still,) = con.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                " AND application_name = 'lianyun federated'"
            ).fetchone()  # type: ignore[misc]
            if not still:
                break
            time.sleep(0.02)
        assert still == 0
    quick = replace(mariadb[0], seconds=0.4)
    with pytest.raises(drivers.Slow):
        federation.source(quick)._ask("SELECT sleep(5) FROM insured", (), time.monotonic() + 5)


def test_the_breaker_opens_probes_and_closes() -> None:
    now = [0.0]
    breaker = Breaker(failures=3, rest=10, clock=lambda: now[0])
    for _ in range(2):
        assert breaker.enter() == 0
        assert not breaker.bad("连不上")
    assert breaker.bad("连不上")
    assert breaker.state == "open"
    assert breaker.enter() == 10
    now[0] = 10
    assert breaker.enter() == 0
    assert breaker.state == "half-open"
    assert breaker.enter() > 0  # one probe at a time
    assert breaker.bad("连不上")
    assert breaker.enter() == 20
    now[0] = 30
    assert breaker.enter() == 0
    breaker.leave()
    assert breaker.enter() == 0
    assert breaker.good()
    assert (breaker.state, breaker.enter()) == ("closed", 0)


def test_a_dead_source_is_named_and_disturbs_nobody(
    federation: Federation, postgres: tuple[Place, str, Relay], mariadb: tuple[Place, Path]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dead = Place("dead", "市医保局结算库", f"mysql://reader:hidden-word@127.0.0.1:{port}/x")
    for _ in range(3):
        with pytest.raises(SourceDown, match="市医保局结算库”连不上"):
            federation.answer(by_id(dead, "1"))
    with pytest.raises(SourceDown) as told:
        federation.answer(by_id(dead, "1"))
    assert (told.value.kind, told.value.place) == ("open", "dead")
    state = {h.place: h for h in federation.health()}["dead"]
    assert (state.state, state.reason, state.failures) == ("open", "连不上", 3)
    assert federation.answer(by_id(postgres[0], number(5))).rows
    assert federation.answer(Question(mariadb[0], "insured", ("unit",), limit=1)).rows


def test_secrets_are_in_no_error_and_no_log(
    federation: Federation,
    postgres: tuple[Place, str, Relay],
    mariadb: tuple[Place, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = replace(mariadb[0], url=mariadb[0].url.replace("S3cret%20word", "0ther%20word"))
    closed = Place("x", "某库", "postgresql://user:hidden-word@127.0.0.1:1/db")
    said = [repr(wrong), repr(closed)]
    for place in (wrong, closed):
        with pytest.raises(SourceDown) as told:
            federation.answer(by_id(place, "1"))
        chain: Any = told.value
        while chain is not None:
            said.append(repr(chain))
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    text = "\n".join([*said, caplog.text])
    assert caplog.text
    for secret in ("0ther", "hidden-word", "reader"):
        assert secret not in text


def test_few_connections_and_a_short_queue(
    postgres: tuple[Place, str, Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = replace(postgres[0], connections=2)
    source = Source(place)
    assert source.answer(by_id(place, number(1)))
    together, most, guard = [0], [0], threading.Lock()
    real = drivers.Postgres.run

    def counted(self: Any, sql: str, values: Any) -> Any:
        with guard:
            together[0] += 1
            most[0] = max(most[0], together[0])
        try:
            time.sleep(0.05)
            return real(self, sql, values)
        finally:
            with guard:
                together[0] -= 1

    monkeypatch.setattr(drivers.Postgres, "run", counted)
    told: list[str] = []

    def ask() -> None:
        try:
            source.answer(by_id(place, number(1)))
            told.append("ok")
        except SourceDown as down:
            told.append(down.kind)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 2
    assert set(told) == {"ok", "busy"}
    assert source.breaker.state == "closed"
    source.close()


def test_a_changed_table_is_learnt_again(
    federation: Federation, postgres: tuple[Place, str, Relay]
) -> None:
    place, url, _ = postgres
    asked = by_id(place, number(1), "id", "age")
    for _ in range(8):  # until the driver has prepared it
        assert federation.answer(asked).rows == [(number(1), 1)]
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("ALTER TABLE people ALTER COLUMN age TYPE text")
    assert federation.answer(asked).rows == [(number(1), "1")]
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("ALTER TABLE people RENAME COLUMN age TO years")
    with pytest.raises(SourceDown) as told:
        federation.answer(asked)
    assert told.value.kind == "schema"
    assert str(told.value) == "“市公安局人口库”的结构已经变化：没有列 age"
    assert federation.source(place).breaker.state == "closed"
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("ALTER TABLE people RENAME COLUMN years TO age")
    assert federation.answer(asked).rows == [(number(1), "1")]


def test_a_library_and_two_departments_in_one_request(
    federation: Federation,
    postgres: tuple[Place, str, Relay],
    mariadb: tuple[Place, Path],
    empty_database: Callable[[], str],
) -> None:
    centre = Place("centre", "人口基础库", empty_database())
    with psycopg.connect(centre.url, autocommit=True) as con:
        con.execute("CREATE SCHEMA served")
        con.execute("CREATE TABLE served.person (citizen text PRIMARY KEY, region text)")
        con.execute(
            "INSERT INTO served.person SELECT lpad(i::text, 18, '0'), '32070' || i % 9"
            f" FROM generate_series(1, {PEOPLE}) i"
        )
    parts = [
        Part(centre, "served.person", ("citizen", "region")),
        Part(postgres[0], "people", ("name", "pay"), "id", "citizen"),
        Part(mariadb[0], "insured", ("unit",), "person", "citizen"),
    ]
    outputs = [
        (0, "citizen", "citizen_number"),
        (0, "region", "region_code"),
        (1, "name", "name"),
        (1, "pay", "pay"),
        (2, "unit", "unit_name"),
    ]
    one = federation.join(parts, [Condition("citizen", "=", number(9))], outputs)
    assert one.columns[-1] == "unit_name"
    assert [tuple(map(str, r)) for r in one.rows] == [
        (number(9), "320700", "人9", "11.25", "单位2")
    ]
    # Not insured: the person stays, with nothing where there is nothing.
    two = federation.join(parts, [Condition("citizen", "=", number(8))], outputs)
    assert two.rows[0][-1] is None
    strict = [parts[0], parts[1], replace(parts[2], optional=False)]
    assert not federation.join(strict, [Condition("citizen", "=", number(8))], outputs).rows
    # A span is read at the centre first; the others are asked with its keys only.
    span = [Condition("citizen", ">=", number(100)), Condition("citizen", "<", number(110))]
    many = federation.join(strict, span, outputs, order=("citizen",))
    assert sorted(r[0] for r in many.rows) == [number(i) for i in range(101, 110, 2)]
    assert f"'{number(100)}'" in mariadb[1].read_text("utf-8")
    postgres[2].end()
    with pytest.raises(SourceDown, match="市公安局人口库"):
        federation.join(parts, [Condition("citizen", "=", number(9))], outputs)
