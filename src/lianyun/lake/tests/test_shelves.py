"""Shelves: one DuckDB a process, shared by threads, outliving the database's restarts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest

from lianyun.lake import shelves
from lianyun.lake.land import Source
from lianyun.lake.merge import DatasetSpec, load, read
from lianyun.lake.shelves import ENGINE, Lake, LakeError, extension_path, open_duckdb

from .conftest import ANNA, BORIS


def hang_up(dsn: str) -> int:
    """End every other connection to the catalogue, as a restart of the database does."""
    with psycopg.connect(dsn, autocommit=True) as pg:
        ended = pg.execute(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        ).fetchone()
    assert ended is not None
    return int(ended[0])


def test_connections_of_a_process_share_one_instance_but_no_temporary_table(lake: Lake) -> None:
    with lake.connect() as one, lake.connect() as other:
        one.execute("CREATE TEMP TABLE mine AS SELECT 1 AS x")
        with pytest.raises(duckdb.CatalogException):
            other.execute("FROM temp.main.mine")
    with lake.connect() as later, pytest.raises(duckdb.CatalogException):
        later.execute("FROM temp.main.mine")


def test_the_lake_answers_after_its_database_restarted(
    lake: Lake, people: DatasetSpec, rows: Callable[..., Source]
) -> None:
    load(lake, people, rows((ANNA, "安娜", "1", "1991-01-01")), "full", "b1")
    assert hang_up(lake.dsn) >= 1
    load(lake, people, rows((BORIS, "鲍里斯", "2", "1980-10-08")), "incremental", "b2")
    assert hang_up(lake.dsn) >= 1
    assert {row["id"] for row in read(lake, "people")} == {ANNA, BORIS}


def test_a_connection_lost_in_a_transaction_loses_only_that_transaction(lake: Lake) -> None:
    def work(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("CREATE TABLE lake.trusted.half (x BIGINT)")
        hang_up(lake.dsn)

    with pytest.raises(duckdb.Error):
        lake.transact(work)
    with lake.connect() as con:
        assert shelves.table_columns(con, "trusted", "half") == {}
        con.execute("CREATE TABLE lake.trusted.whole (x BIGINT)")
        assert shelves.table_columns(con, "trusted", "whole") == {"x": "BIGINT"}


def test_threads_load_two_datasets_at_once(
    lake: Lake, people: DatasetSpec, rows: Callable[..., Source]
) -> None:
    faults: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for turn in range(3):
                row = (ANNA, "安娜", str(turn), "1991-01-01")
                load(lake, replace(people, name=name), rows(row), "full", f"{name}{turn}")
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(n,)) for n in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faults == []
    for name in ("one", "two", "three"):
        assert [int(row["amount"]) for row in read(lake, name)] == [2]


def test_a_forked_child_opens_its_own(lake: Lake) -> None:
    with lake.connect() as con:
        con.execute("CREATE TABLE lake.trusted.t AS SELECT 7 AS x")
    child = os.fork()
    if child == 0:
        try:
            with lake.connect(read_only=True) as con:
                row = con.execute("SELECT x FROM lake.trusted.t").fetchone()
            os._exit(0 if row == (7,) else 3)
        finally:
            os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_no_more_than_a_few_stay_open(lake_dsn: str, lake: Lake) -> None:
    shelves.close_all()
    for number in range(shelves.KEPT_OPEN + 3):
        with Lake(lake_dsn, lake.folder, memory_limit=f"{200 + number}MB").connect():
            pass
    assert len(shelves._instances) <= shelves.KEPT_OPEN + 1


def test_an_extension_is_checked_once_and_unsigned_ones_never_enter(tmp_path: Path) -> None:
    open_duckdb(extensions=ENGINE).close()  # this process has now seen each file's signature
    path = extension_path("excel")
    assert path
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    forged = tmp_path / path.name
    forged.write_bytes(flipped)
    with open_duckdb(extensions=ENGINE) as con:
        with pytest.raises(duckdb.Error, match="signature"):
            con.execute(f"LOAD '{forged}'")
        with pytest.raises(duckdb.Error):
            con.execute("SET allow_unsigned_extensions=true")


def test_a_changed_extension_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = extension_path("ducklake")
    assert path
    mine = tmp_path / path.name
    mine.write_bytes(path.read_bytes())
    monkeypatch.setattr(shelves, "extension_path", lambda name: mine)
    open_duckdb(extensions=["ducklake"]).close()
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    mine.unlink()  # the old file is still part of this process
    mine.write_bytes(flipped)
    with pytest.raises(LakeError, match="装不上"):
        open_duckdb(extensions=["ducklake"])
