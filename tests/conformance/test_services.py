"""The data services as served: walked by schemathesis from their OpenAPI document; behind nginx with mutual TLS."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
            "operations": ["query", "range", "verify", "statistics", "feed", "file"],
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
        env={
            **os.environ,
            "LIANYUN_DATABASE_URL": database,
            "LIANYUN_TRUSTED_PROXIES": "127.0.0.1/32",
        },
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


@pytest.mark.parametrize(
    "document",
    # The second holds everything, tokens and receipts too; the third the feed and the files.
    [
        "openapi/walked.json",
        pytest.param("openapi.json", marks=pytest.mark.slow),
        "delivery/openapi.json",
    ],
)
def test_schemathesis_finds_no_failure(
    served: tuple[str, str], tmp_path: Any, document: str
) -> None:
    url, token = served
    done = subprocess.run(
        [
            str(BIN / "st"),
            "run",
            f"{url}/api/{document}",
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


# ---- mutual TLS through the proxy as the guide sets it up --------------------------------------

NGINX = Path(__file__).parents[2] / "docs/operations/nginx.conf"


def _bound(slug: str, pem: str) -> tuple[str, str]:
    """A credential of another department bound to a certificate: its number and secret."""
    from django.db import connections

    from lianyun.capabilities.services import actions, rules
    from lianyun.capabilities.services.models import Service
    from lianyun.kernel import grant as grants
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Resource
    from lianyun.kernel.party import department

    source = Resource.objects.get(name="walked")
    fields = [f["name"] for f in Service.objects.filter(source=source)[0].columns]
    grant = grants.issue(
        kind="data",
        to=department(slug),
        resource=source,
        terms={"fields": fields, "masks": rules.masks_of([], ()), "purpose": "核对"},
        by=SYSTEM,
    )
    client = actions.issue_client(grant=grant, by=SYSTEM)
    secret = actions.collect_secret(client=client, by=SYSTEM)
    actions.register_key(client=client, use="certificate", pem=pem, by=SYSTEM)
    connections.close_all()
    return client.client_id, secret


def _certificate(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """A key and a certificate by the command of the guide."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", str(key), "-out", str(pem), "-days", "3"),
            *("-subj", f"/CN={name}", *more),
        ],
        check=True,
        capture_output=True,
    )
    return pem, key


@contextlib.contextmanager
def _nginx(folder: Path, upstream: str, pem: Path, key: Path) -> Iterator[tuple[str, str]]:
    """nginx with the file that the guide gives; the addresses of its two doors."""
    ports = []
    for _ in range(2):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
    text = NGINX.read_text("utf-8")
    for was, now in (
        ("127.0.0.1:8000", upstream.removeprefix("http://")),
        ("listen 443 ssl", f"listen 127.0.0.1:{ports[0]} ssl"),
        ("listen 8443 ssl", f"listen 127.0.0.1:{ports[1]} ssl"),
        ("/etc/lianyun/tls.pem", str(pem)),
        ("/etc/lianyun/tls.key", str(key)),
        ("server_name data.example.gov.cn", "server_name localhost"),
    ):
        assert was in text
        text = text.replace(was, now)
    (folder / "lianyun.conf").write_text(text, "utf-8")
    kept = "".join(
        f"{what}_temp_path {folder}/{what};"
        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"{'user root;' if os.getuid() == 0 else ''}\n"
        f"http {{ access_log off; {kept} include {folder}/lianyun.conf; }}\n"
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program, "apt-get install nginx-light"
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports[1])):
                break
            time.sleep(0.05)
        yield f"https://localhost:{ports[0]}", f"https://localhost:{ports[1]}"
    finally:
        process.terminate()
        process.wait(10)


def test_mutual_tls_through_nginx(served: tuple[str, str], tmp_path: Path) -> None:
    """A registered certificate opens; none, another's, and one that is only claimed do not."""
    upstream, token = served
    shown = [_certificate(tmp_path, name) for name in ("mine", "stranger")]
    own = _certificate(tmp_path, "localhost", "-addext", "subjectAltName=DNS:localhost")
    client, secret = _bound("rs", shown[0][0].read_text())
    claimed = {"Client-Cert": quote(shown[0][0].read_text(), safe="")}

    def caller(pair: tuple[Path, Path] | None) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(own[0]))
        if pair is not None:
            context.load_cert_chain(*map(str, pair))
        return httpx.Client(verify=context)

    def asked(http: httpx.Client, door: str, bearer: str, **more: str) -> int:
        headers = {"Authorization": f"Bearer {bearer}", **more}
        return http.get(
            f"{door}/api/data/walked", params={"members": 3}, headers=headers
        ).status_code

    with (
        _nginx(tmp_path, upstream, *own) as (pages, systems),
        caller(shown[0]) as mine,
        caller(shown[1]) as stranger,
        caller(None) as bare,
    ):
        assert asked(mine, systems, secret) == 200
        assert asked(stranger, systems, secret) == 401
        assert asked(bare, systems, secret) == 401
        # What a caller says of himself is dropped, at both doors and under a name that looks alike.
        for door in (pages, systems):
            assert asked(bare, door, secret, **claimed) == 401
            assert asked(bare, door, secret, Client_Cert=claimed["Client-Cert"]) == 401
        assert asked(stranger, systems, secret, **claimed) == 401
        # The certificate alone gets a token, which is good with it and not without.
        form = {"grant_type": "client_credentials", "client_id": client}
        assert bare.post(f"{systems}/api/oauth/token", data=form).status_code == 401
        got = mine.post(f"{systems}/api/oauth/token", data=form).json()["access_token"]
        assert asked(mine, systems, got) == 200
        assert asked(bare, systems, got) == 401
        # A credential that is bound to none goes on as before, and nothing else is behind this door.
        assert asked(bare, systems, token) == 200
        assert bare.get(f"{systems}/").status_code == 404
        assert bare.get(f"{pages}/healthz").status_code in (200, 503)
