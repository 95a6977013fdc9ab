"""The data services walked by schemathesis from their own OpenAPI document: no failure of any check."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

BIN = Path(sys.executable).parent
EXAMPLES = int(os.environ.get("LIANYUN_EXAMPLES", "2"))


def _open() -> str:
    """Services of three kinds and two versions over a table; the credential of a grant of all."""
    import datetime as dt

    from django.db import connection

    from lianyun.capabilities.services import actions, rules
    from lianyun.capabilities.services.models import Service
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Resource
    from lianyun.kernel.party import department

    columns = [
        rules.Field(
            "citizen_number", "公民身份号码", mask="citizen_number", check="citizen_number"
        ),
        rules.Field("name", "姓名", mask="name"),
        rules.Field("born", "出生日期", type="D", format="YYYYMMDD"),
        rules.Field("town", "乡镇", domain="town"),
        rules.Field("members", "人数", type="I", format="n..6"),
        rules.Field("income", "收入", type="N", format="n..12,2"),
    ]
    source = Resource.objects.create(
        code="T/1", name="walked", kind="dataset", title="走查数据", owner=department("ga")
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS served")
        cursor.execute(
            "CREATE TABLE served.walked (citizen_number text PRIMARY KEY, name text, born date,"
            " town text, members bigint, income numeric(12,2))"
        )
        for n in range(120):
            born = dt.date(1980, 1, 1) + dt.timedelta(days=n)
            cursor.execute(
                "INSERT INTO served.walked VALUES (%s,%s,%s,%s,%s,%s)",
                [f"3299{n:014d}", f"张{n}", born, "AB"[n % 2], n % 7, 1000 + n],
            )
    for kind, version, design in (
        ("query", 1, {"ranges": ["born", "income"]}),
        ("query", 2, {"ranges": ["members"]}),
        ("verify", 1, {"values": ["name", "born"], "least": 1, "tries": 100}),
        ("statistics", 1, {"by": ["town"], "measures": ["income"], "group": 5}),
    ):
        made = Resource.objects.create(
            code=f"T/{kind}/{version}",
            name=f"walked_{kind}_{version}",
            kind="service",
            title="服务",
            owner=source.owner,
        )
        Service.objects.create(
            resource=made,
            source=source,
            kind=kind,
            version=version,
            table="served.walked",
            lookups=[["citizen_number"], ["town", "born"], ["members"]],
            columns=[vars(c) for c in columns],
            design=design,
        )
    grant = grants.issue(
        kind="data",
        to=department("mz"),
        resource=source,
        terms={
            "fields": [c.name for c in columns],
            "masks": rules.masks_of(columns, ()),
            "purpose": "走查",
            "calls_per_day": 0,
            "operations": ["query", "range", "verify", "statistics"],
        },
        by=SYSTEM,
    )
    return actions.collect_secret(client=actions.issue_client(grant=grant, by=SYSTEM), by=SYSTEM)


@pytest.fixture(scope="module")
def served(city_database: None) -> Iterator[tuple[str, str]]:
    """The product as it is really served on loopback: its address and a credential."""
    from django.db import connections

    from lianyun.project.testing import server_url

    database = server_url(str(connections.settings["default"]["NAME"]))
    token = _open()
    connections.close_all()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface=asgi", "--host=127.0.0.1"]
    command += [f"--port={port}", "--workers=1", "--no-ws", "--log-level=warning"]
    process = subprocess.Popen(
        [*command, "lianyun.project.asgi:app"],
        env={**os.environ, "LIANYUN_DATABASE_URL": database},
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/api/openapi/walked.json", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url, token
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def test_schemathesis_finds_no_failure(served: tuple[str, str], tmp_path: Any) -> None:
    url, token = served
    done = subprocess.run(
        [
            str(BIN / "st"),
            "run",
            f"{url}/api/openapi/walked.json",
            "--header",
            f"Authorization: Bearer {token}",
            "--max-examples",
            str(EXAMPLES),
            "--seed",
            "1",
            "--suppress-health-check",
            "all",
            "--phases",
            "examples,coverage,fuzzing",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160"},
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Operations" in done.stdout, done.stdout


def test_a_walk_without_credential_ends_at_the_door(served: tuple[str, str]) -> None:
    url, token = served
    document = httpx.get(f"{url}/api/openapi/walked.json").json()
    assert len(document["paths"]) == 6
    for path, methods in document["paths"].items():
        for method in methods:
            answer = httpx.request(method, url + path.replace("{key}", "1"))
            assert answer.status_code == 401
            wrong = f"Bearer {token[:21]}{secrets.token_urlsafe(32)}"
            again = httpx.request(
                method, url + path.replace("{key}", "1"), headers={"Authorization": wrong}
            )
            assert again.status_code == 401
