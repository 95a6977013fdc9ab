"""Sources: secrets stay secret, forbidden places stay closed, increments and schedules work."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.utils import timezone

from lianyun.capabilities.collection import actions, adapters, api, queries
from lianyun.capabilities.collection.models import Source
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Batch, Event, Resource

from .conftest import make_officer
from .test_load import DIRTY, A, B, C


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An inbox of the test's own."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    monkeypatch.setenv("LIANYUN_INBOX", str(folder))
    return folder


def registered(by: Actor, **more: Any) -> Source:
    told = {"dataset": "people", "name": "s1", "kind": "csv", "location": "people.csv", "by": by}
    return api.register_source(**{**told, **more})


def test_credentials_are_encrypted_at_rest(
    people: Resource, officer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANYUN_SOURCE_HOSTS", "127.0.0.1")
    row = registered(
        officer,
        kind="postgresql",
        location="postgresql://127.0.0.1:5999/nowhere",
        options={"table": "people"},
        credentials={"user": "reader", "password": "S3cret-密码"},
    )
    assert "S3cret" not in row.secret
    assert "reader" not in row.secret
    assert adapters.decrypt(row.secret, row.ref)["password"] == "S3cret-密码"
    with pytest.raises(UserError, match="无法解密"):
        adapters.decrypt(row.secret, "source:another")
    key = Path(settings.HOME) / adapters.KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not Event.objects.filter(data__icontains="S3cret").exists()
    result = actions.test_source(source=row, by=officer)
    assert not result["ok"]
    assert "S3cret" not in result["message"]
    # Whoever points the source elsewhere does not carry the password along.
    moved = registered(
        officer,
        kind="postgresql",
        location="postgresql://127.0.0.1:6000/elsewhere",
        options={"table": "people"},
        replace=True,
    )
    assert moved.secret == ""


def test_forbidden_places(
    people: Resource, officer: Actor, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANYUN_SOURCE_HOSTS", "169.254.169.254,localhost")
    with pytest.raises(UserError, match="不在允许的来源名单"):
        registered(officer, kind="http", location="http://example.org/x")
    with pytest.raises(UserError, match="元数据"):
        registered(officer, kind="http", location="http://169.254.169.254/latest/meta-data/")
    with pytest.raises(UserError, match="必须写明主机名"):
        registered(
            officer,
            kind="postgresql",
            location="postgresql://localhost/db?host=/var/run/postgresql",
            options={"table": "x"},
        )
    with pytest.raises(UserError, match="不要把密码写在地址里"):
        registered(officer, kind="http", location="http://u:p@localhost/x")
    for place in ("/etc/passwd", "../outside.csv"):
        row = registered(officer, location=place, replace=True)
        assert "收件箱" in actions.test_source(source=row, by=officer)["message"]
    (inbox / "link.csv").symlink_to("/etc/passwd")
    row = registered(officer, location="link.csv", replace=True)
    assert "收件箱" in actions.test_source(source=row, by=officer)["message"]
    with pytest.raises(Denied):
        registered(make_officer("jy", "data_officer"))


def test_queued_run_and_a_second_one_is_told_so(
    people: Resource, officer: Actor, inbox: Path, run_jobs: Callable[[], int]
) -> None:
    (inbox / "people.csv").write_text(DIRTY, "utf-8")
    row = registered(officer)
    assert actions.test_source(source=row, by=officer)["ok"]
    batch = actions.run_source(source=row, by=officer)
    with pytest.raises(UserError, match="正在归集"):
        actions.run_source(source=row, by=officer)
    run_jobs()
    batch.refresh_from_db()
    assert batch.state == Batch.SUCCEEDED
    assert batch.landed == 5 == batch.accepted + batch.rejected


def test_a_broken_source_fails_clearly(
    people: Resource, officer: Actor, inbox: Path, run_jobs: Callable[[], int]
) -> None:
    row = registered(officer)
    batch = actions.run_source(source=row, by=officer)
    run_jobs()
    batch.refresh_from_db()
    assert batch.state == Batch.FAILED
    assert "找不到文件" in batch.message
    assert queries.total_rows("people") == 0
    (inbox / "people.csv").write_text(DIRTY, "utf-8")
    assert actions.run_source(source=row, by=officer)


def test_sqlite_by_watermark(people: Resource, officer: Actor, inbox: Path) -> None:
    with sqlite3.connect(inbox / "p.db") as con:
        con.execute("CREATE TABLE p (citizen_number, name, sex, updated)")
        con.executemany(
            "INSERT INTO p VALUES (?, ?, ?, ?)",
            [(A, "张三", 1, "2026-01-01 08:00:00"), (B, "李四", 1, "2026-01-02 08:00:00")],
        )
    row = registered(
        officer,
        kind="sqlite",
        location="p.db",
        options={"table": "p"},
        mode="incremental",
        watermark="updated",
    )
    assert api.load_source(row.name, by=officer)["landed"] == 2
    row.refresh_from_db()
    assert row.last_watermark == "2026-01-02 08:00:00"
    again = api.load_source(row.name, by=officer)
    assert (again["landed"], again["unchanged"]) == (1, 1), "the newest value is read once more"
    with sqlite3.connect(inbox / "p.db") as con:
        con.execute("INSERT INTO p VALUES (?, ?, ?, ?)", (C, "王五", 1, "2026-01-02 08:00:00"))
    told = api.load_source(row.name, by=officer)
    assert (told["landed"], told["inserted"]) == (2, 1), "a late row with the same value is taken"
    assert queries.total_rows("people") == 3


def test_postgresql_in_full_removes_what_is_gone(
    people: Resource, empty_database: Callable[[], str]
) -> None:
    url = empty_database()
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("CREATE SCHEMA hz")
        con.execute("CREATE TABLE hz.p (citizen_number text, name text, amount numeric(10,2))")
        for number, name in ((A, "张三"), (B, "李四"), (C, "王五")):
            con.execute("INSERT INTO hz.p VALUES (%s, %s, 12.50)", (number, name))
    row = registered(SYSTEM, kind="postgresql", location=url, options={"table": "hz.p"})
    assert api.load_source(row.name, by=SYSTEM)["inserted"] == 3
    assert api.load_source(row.name, by=SYSTEM)["unchanged"] == 3
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DELETE FROM hz.p WHERE name = '王五'")
    assert api.load_source(row.name, by=SYSTEM)["deleted"] == 1
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DELETE FROM hz.p")
    with pytest.raises(UserError, match="全量来源"):
        api.load_source(row.name, by=SYSTEM)
    assert queries.total_rows("people") == 2


class _Pages(http.server.BaseHTTPRequestHandler):
    rows: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
            return
        page = int(self.path.rpartition("page=")[2] or 1)
        body = json.dumps({"data": self.rows[(page - 1) * 2 : page * 2]}).encode()
        allowed = self.headers.get("Authorization") == "Bearer T0ken"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(body if allowed else b"{}")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[str]:
    """A paged HTTP API on loopback that wants a token."""
    _Pages.rows = [{"citizen_number": n, "name": "某"} for n in (A, B, C)]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_http_pages_with_a_token(
    people: Resource, officer: Actor, pages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANYUN_SOURCE_HOSTS", "127.0.0.1")
    told: dict[str, Any] = {
        "kind": "http",
        "location": f"{pages}/people",
        "options": {"items": "data"},
        "replace": True,
    }
    row = registered(officer, **told)
    assert "401" in actions.test_source(source=row, by=officer)["message"]
    row = registered(officer, **told, credentials={"token": "T0ken"})
    assert api.load_source(row.name, by=officer)["inserted"] == 3
    row = registered(officer, **{**told, "location": f"{pages}/away"})
    with pytest.raises(UserError):
        api.load_source(row.name, by=officer)


def test_due_sources_run_once(
    people: Resource, officer: Actor, inbox: Path, run_jobs: Callable[[], int]
) -> None:
    (inbox / "people.csv").write_text(DIRTY, "utf-8")
    row = registered(officer, schedule="0 2 * * *")
    assert row.due_at > timezone.now()
    assert actions.run_due(by=SYSTEM) == []
    Source.objects.update(due_at=timezone.now() - dt.timedelta(minutes=1))
    assert len(actions.run_due(by=SYSTEM)) == 1
    assert actions.run_due(by=SYSTEM) == []
    run_jobs()
    row.refresh_from_db()
    assert row.due_at > timezone.now()
    actions.enable_source(source=row, enabled=False, by=officer)
    Source.objects.update(due_at=timezone.now() - dt.timedelta(minutes=1))
    assert actions.run_due(by=SYSTEM) == []
    with pytest.raises(UserError, match="cron"):
        registered(officer, name="s2", schedule="每天两点")


def test_uses_show_that_a_dataset_lives(
    people: Resource, officer: Actor, write: Callable[..., Path]
) -> None:
    api.load("people", write(DIRTY), by=officer)
    Batch.objects.update(finished_at=timezone.now() - dt.timedelta(days=40))
    row = queries.one_row("people", officer)
    assert row.unread
    assert row.fresh.state == "dead"
    board = next(r for r in queries.board(officer) if r.name == "people")
    assert board.names_red
    assert queries.summary([board]).dead == 1
    api.note_use("people", "service", 3)
    api.note_use("people", "service")
    api.note_use("nobody", "service")
    row = queries.one_row("people", officer)
    assert (row.used, row.unread) == (4, False)
    figures = actions.measure_freshness(by=SYSTEM)
    assert figures["collection.dead"] == 1
