"""Folders, SFTP, webhooks, pulls and files: whole or not at all, in order, each change once."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as parquet
import pytest
from django.test import Client as Browser

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.delivery import actions, queries, rules
from lianyun.capabilities.delivery.adapters import files
from lianyun.capabilities.delivery.models import Delivery, Download, Subscription
from lianyun.capabilities.services import api as services
from lianyun.capabilities.services.actions import register_key
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.models import Grant, Party, Resource
from lianyun.trust import certificates, signatures

from .conftest import Box, Fill, Hook, person
from .test_databases import carry, number

Make = Callable[..., Grant]
KEY = "0123456789abcdef-signing"


def rows_of(data: bytes) -> list[dict[str, str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


# ---- folders -------------------------------------------------------------------------------


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "outbox"
    monkeypatch.setenv("LIANYUN_OUTBOX", str(folder))
    return folder / "gjj"


def test_a_folder_gets_numbered_parcels_with_manifest_and_mark(
    fill: Fill, grant: Make, receiver: Actor, outbox: Path
) -> None:
    fill("b1", [person(1), person(2)])
    row = actions.open_subscription(
        grant=grant(masks={"name": "name"}), kind="folder", location="gjj", by=receiver
    )
    assert actions.test_receiver(row=row, by=receiver)["ok"]
    assert carry(row) == 1
    fill("b2", [person(2, amount="7.00")])
    assert carry(row) == 1
    fill("b3", [person(2, amount="7.00", town="C")])
    assert carry(row) == 1  # nothing that may be seen changed: no file
    names = sorted(p.name for p in outbox.iterdir() if "test" not in p.name)
    assert names == [
        f"people_d_0000000{n}.{end}" for n in (1, 2) for end in ("csv", "done", "manifest.json")
    ]
    first = rows_of((outbox / "people_d_00000001.csv").read_bytes())
    assert [(r["_op"], r["name"]) for r in first] == [("upsert", "张*"), ("upsert", "张*")]
    second = rows_of((outbox / "people_d_00000002.csv").read_bytes())
    assert [(r["_op"], r["citizen_number"], r["amount"]) for r in second] == [
        ("delete", number(1), ""),
        ("upsert", number(2), "7.00"),
    ]
    manifest = json.loads((outbox / "people_d_00000002.manifest.json").read_bytes())
    assert (manifest["rows"], manifest["full"]) == ({"upsert": 1, "delete": 1}, False)
    data = (outbox / "people_d_00000002.csv").read_bytes()
    assert manifest["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert manifest["files"][0]["bytes"] == len(data)
    mark = (outbox / "people_d_00000002.done").read_text().strip()
    manifest_bytes = (outbox / "people_d_00000002.manifest.json").read_bytes()
    assert mark == hashlib.sha256(manifest_bytes).hexdigest()
    assert row.position == "b3"


def test_a_parcel_that_lies_there_is_not_written_again(
    fill: Fill, grant: Make, receiver: Actor, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lianyun.capabilities.delivery.actions import parcels

    fill("b1", [person(1)])
    row = actions.open_subscription(
        grant=grant(), kind="folder", location="gjj", options={"format": "parquet"}, by=receiver
    )

    def dies(**_: Any) -> None:
        raise RuntimeError("killed between handing over and noting it")

    with monkeypatch.context() as patched:
        patched.setattr(parcels, "settle", dies)
        carry(row)
    assert row.position == ""
    kept = (outbox / "people_d_00000001.parquet").stat().st_mtime_ns
    assert carry(row) == 1
    assert row.position == "b1"
    assert (outbox / "people_d_00000001.parquet").stat().st_mtime_ns == kept
    assert parquet.read_table(outbox / "people_d_00000001.parquet").num_rows == 1
    assert CallRecord.objects.filter(channel="delivery").count() == 1  # one exchange, one record


def test_a_folder_outside_the_outbox_is_refused(
    fill: Fill, grant: Make, receiver: Actor, outbox: Path
) -> None:
    fill("b1", [person(1)])
    for place in ("../elsewhere", "/etc", ".", "a/../../b"):
        row = actions.open_subscription(grant=grant(), kind="folder", location=place, by=receiver)
        told = actions.test_receiver(row=row, by=receiver)
        assert not told["ok"]
        assert "发件箱" in told["message"]


def test_a_full_disk_leaves_nothing_half(
    fill: Fill, grant: Make, receiver: Actor, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("b1", [person(1)])
    row = actions.open_subscription(grant=grant(), kind="folder", location="gjj", by=receiver)
    with monkeypatch.context() as patched:
        # the kernel's own device that is always full stands in for the disk
        patched.setattr(files.shutil, "copyfile", lambda a, b: Path("/dev/full").write_bytes(b"x"))
        carry(row)
    assert "磁盘空间不足" in row.error
    assert not list(outbox.iterdir())
    assert carry(row) == 1
    assert len(list(outbox.iterdir())) == 3


# ---- SFTP ----------------------------------------------------------------------------------


def test_sftp_asks_for_the_servers_key_first_and_then_delivers(
    fill: Fill, grant: Make, receiver: Actor, sftp: Box
) -> None:
    fill("b1", [person(1)])
    credentials = {"user": "box", "password": "S3cret word"}
    row = actions.open_subscription(
        grant=grant(),
        kind="sftp",
        location=sftp.location,
        credentials=credentials,
        by=receiver,
    )
    told = actions.test_receiver(row=row, by=receiver)
    assert not told["ok"]
    assert told["fingerprint"] == sftp.fingerprint

    def change(**given: Any) -> Subscription:
        return actions.change_subscription(
            row=row,
            kind="sftp",
            location=sftp.location,
            options=given,
            credentials={},
            by=receiver,
        )

    change(fingerprint="SHA256:another")
    carry(row)
    assert "可能被冒充" in row.error
    assert not list(sftp.folder.iterdir())
    dead = queries.dead_letters(receiver).get()
    change(fingerprint=sftp.fingerprint)
    row.refresh_from_db()
    assert actions.test_receiver(row=row, by=receiver)["ok"]
    actions.retry_dead(parcel=dead, by=receiver)
    assert carry(row) == 1
    fill("b2", [person(1), person(2)])
    assert carry(row) == 1
    assert rows_of((sftp.folder / "people_d_00000002.csv").read_bytes())[0]["name"] == "张2"
    assert not [p for p in sftp.folder.iterdir() if p.name.endswith(".part")]
    actions.change_subscription(
        row=row,
        kind="sftp",
        location=sftp.location,
        options={"fingerprint": sftp.fingerprint},
        credentials={"password": "wrong"},
        by=receiver,
    )
    row.refresh_from_db()
    told = actions.test_receiver(row=row, by=receiver)
    assert told["message"].startswith("SFTP 的用户名、密码或密钥不正确")


# ---- webhook -------------------------------------------------------------------------------


def hooked(grant: Grant, url: str, by: Actor) -> Subscription:
    return actions.open_subscription(
        grant=grant, kind="webhook", location=url, credentials={"key": KEY}, by=by
    )


def apply(held: dict[str, Any], hook: Hook) -> None:
    """What a careful receiver does: believe the signature, drop repetitions, apply in order."""
    seen: set[str] = set()
    for headers, body in hook.taken:
        key = headers["idempotency-key"]
        moment = int(headers["x-lianyun-signature"][2:].split(",")[0])
        assert rules.genuine(KEY, headers["x-lianyun-signature"], key, body, moment)
        assert not rules.genuine("other-key", headers["x-lianyun-signature"], key, body, moment)
        if key in seen:
            continue
        seen.add(key)
        for line in body.splitlines():
            told = json.loads(line)
            if told["op"] == "delete":
                held.pop(told["key"]["citizen_number"])
            else:
                held[told["key"]["citizen_number"]] = told["row"]


def test_a_webhook_gets_every_part_once_though_it_fails_between(
    fill: Fill, grant: Make, receiver: Actor, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PARTS", 2)
    fill("b1", [person(n) for n in range(5)])
    row = hooked(grant(), hook.url, receiver)
    hook.answers = [200, 503, 500, 429, 200, 200]
    for _ in range(4):
        carry(row)
    assert hook.refused == 3
    assert len(hook.taken) == 3
    fill("b2", [person(1, name="改"), person(2)])
    carry(row)
    held: dict[str, Any] = {}
    apply(held, hook)
    assert {k: v["name"] for k, v in held.items()} == {number(1): "改", number(2): "张2"}
    assert row.position == "b2"
    keys = [h["idempotency-key"] for h, _ in hook.taken]
    assert len(set(keys)) == len(keys)


def test_a_webhook_that_refuses_is_a_dead_letter_at_once(
    fill: Fill, grant: Make, receiver: Actor, hook: Hook
) -> None:
    fill("b1", [person(1)])
    row = hooked(grant(), hook.url, receiver)
    hook.answers = [422]
    carry(row)
    dead = queries.dead_letters(receiver).get()
    assert "422" in dead.error
    assert carry(row) == 0
    actions.retry_dead(parcel=dead, by=receiver)
    assert carry(row) == 1
    fill("b2", [person(2)])
    hook.answers = [302]
    carry(row)
    assert "不跟随" in row.error


def test_a_department_writes_into_no_folder_of_another(
    fill: Fill,
    grant: Make,
    receiver: Actor,
    people: Resource,
    outbox: Path,
    officer: Callable[..., Actor],
) -> None:
    fill("b1", [person(1)])
    actions.open_subscription(grant=grant(), kind="folder", location="gjj/in", by=receiver)
    actions.open_subscription(grant=grant(), kind="folder", location="gjj/in", by=receiver)
    other = grants.issue(
        kind="data",
        to=Party.objects.get(slug="rs"),
        grantor=people.owner,
        resource=people,
        terms=grant().terms,
        by=SYSTEM,
    )
    stranger = officer("rs", "data_officer")
    for place in ("gjj/in", "gjj", "gjj/in/x", "./gjj//in", "rs/../gjj/in"):
        with pytest.raises(UserError, match="其他部门"):
            actions.open_subscription(grant=other, kind="folder", location=place, by=stranger)
    actions.open_subscription(grant=other, kind="folder", location="rs", by=stranger)


INSIDE = (
    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "192.168.0.9",
    "169.254.169.254", "172.16.0.1", "100.64.0.1", "0.0.0.0", "2130706433", "[fe80::1]",
    "[fc00::1]", "[64:ff9b::7f00:1]", "224.0.0.1",
)  # fmt: skip


def test_nothing_is_sent_to_addresses_inside(
    fill: Fill, grant: Make, receiver: Actor, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIANYUN_RECEIVER_HOSTS")
    fill("b1", [person(1)])
    for host in INSIDE:
        row = hooked(grant(), f"http://{host}:{hook.port}/hook", receiver)
        told = actions.test_receiver(row=row, by=receiver)
        assert not told["ok"], host
        assert "不允许" in told["message"], host
        carry(row)
        assert not hook.taken, host


# ---- pull ----------------------------------------------------------------------------------


def test_a_receiver_pulls_with_its_credential_and_a_cursor(
    fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int], client: Browser
) -> None:
    fill("b1", [person(n) for n in range(7)])
    given = grant(masks={"name": "name"})
    run_jobs()  # a grant for batch exchange can be pulled from at once
    row = Subscription.objects.get(grant=given)
    assert row.kind == rules.PULL
    credential = services.client_of(receiver, given)
    assert credential is not None
    token = services.collect_secret(client=credential, by=receiver)

    def ask(cursor: str, limit: int = 3, token: str = token) -> Any:
        return client.get(
            "/api/feed/",
            {"cursor": cursor, "limit": limit},
            headers={"Authorization": f"Bearer {token}"},
        )

    assert ask("", token="lyc_0000000000000000.wrong").status_code == 401
    assert ask("nonsense").status_code == 400
    held: dict[str, str] = {}
    cursor, pages = "", 0

    def drain() -> None:
        nonlocal cursor, pages
        while True:
            answer = ask(cursor)
            assert answer.status_code == 200, answer.content
            again = ask(cursor)
            assert again.content == answer.content  # asking again gives the same
            if answer["X-Full"] == "1":
                held.clear()
            for line in answer.content.splitlines():
                told = json.loads(line)
                number_ = told["key"]["citizen_number"]
                if told["op"] == "delete":
                    held.pop(number_)
                else:
                    held[number_] = told["row"]["name"]
            pages += 1
            cursor = answer["X-Next-Cursor"]
            if answer["X-Rows"] == "0" and answer["X-More"] == "0":
                return

    drain()
    assert held == {number(n): "张*" for n in range(7)}
    row.refresh_from_db()
    assert (row.position, pages) == ("b1", 4)
    fill("b2", [person(n, amount="2.00") for n in range(1, 4)])
    drain()
    assert set(held) == {number(n) for n in range(1, 4)}
    row.refresh_from_db()
    assert row.position == "b2"
    assert queries.takers(SYSTEM, given.resource, "b2")[0].taken
    assert [d.standing for d in row.deliveries.all()] == ["delivered", "delivered"]
    people = CallRecord.objects.filter(channel="delivery")
    assert people.count() == 2
    grants.suspend(given, reason="核查", by=SYSTEM)
    assert ask(cursor).status_code == 403


def test_the_feed_asks_for_all_that_the_grant_asks_for(
    fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int], client: Browser
) -> None:
    fill("b1", [person(n) for n in range(3)])
    given = grant(signature="required", networks=["10.1.2.0/24"])
    run_jobs()
    credential = services.client_of(receiver, given)
    assert credential is not None
    token = services.collect_secret(client=credential, by=receiver)
    key = signatures.new_key(signatures.ECDSA)
    register_key(client=credential, use="signature", pem=key.public.pem, by=receiver)

    def ask(address: str = "10.1.2.3", **headers: str) -> Any:
        return client.get(
            "/api/feed/",
            headers={"Authorization": f"Bearer {token}", **headers},
            REMOTE_ADDR=address,
        )

    def signed() -> dict[str, str]:
        told = (
            f'("@method" "@path" "@query");created={int(time.time())};'
            f'nonce="{secrets.token_hex(12)}";keyid="{key.public.kid}"'
        )
        base = f'"@method": GET\n"@path": /api/feed/\n"@query": ?\n"@signature-params": {told}'
        made = base64.b64encode(key.sign_raw(base.encode())).decode()
        return {"Signature-Input": f"s={told}", "Signature": f"s=:{made}:"}

    assert ask().status_code == 401
    once = signed()
    assert ask("10.9.9.9", **once).status_code == 403
    assert ask(**once).status_code == 200
    assert ask(**once).status_code == 401, "a signature is good once"
    pem = certificates.new_root("部门")[1]
    register_key(client=credential, use="certificate", pem=pem, by=receiver)
    assert ask(**signed()).status_code == 401, "a bound credential needs its certificate"


def test_a_cursor_is_not_made_by_its_holder_and_pulls_are_counted(
    fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int], client: Browser
) -> None:
    fill("b1", [person(n) for n in range(3)])
    fill("b2", [person(1)])
    given = grant(calls_per_day=3)
    run_jobs()
    credential = services.client_of(receiver, given)
    assert credential is not None
    token = services.collect_secret(client=credential, by=receiver)

    def ask(cursor: str = "", limit: str = "10") -> Any:
        return client.get(
            "/api/feed/",
            {"cursor": cursor, "limit": limit},
            headers={"Authorization": f"Bearer {token}"},
        )

    before = base64.urlsafe_b64encode(json.dumps(["", "b1", "", 0]).encode()).decode().rstrip("=")
    answer = ask()
    assert answer["X-Rows"] == "1"
    for forged in (before, answer["X-Next-Cursor"][:-4] + "AAAA", f"{'A' * 22}{before}"):
        assert ask(forged).status_code == 400, "the rows from before the grant are not given"
    assert [ask(limit=n).status_code for n in ("²", "9" * 5000, "-1")] == [400] * 3
    assert ask(answer["X-Next-Cursor"]).status_code == 200
    assert [ask().status_code for _ in range(2)] == [200, 429]


# ---- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_a_grant_for_files_gives_a_masked_scoped_file(
    fill: Fill, grant: Make, receiver: Actor, form: str, run_jobs: Callable[[], int]
) -> None:
    fill("b1", [person(1), person(2, name="=1+1"), person(3, town="B")])
    given = grant(
        method="文件下载", masks={"citizen_number": "citizen_number"}, scope={"town": ["A"]}
    )
    row = actions.ask_file(grant=given, form=form, by=receiver)
    with pytest.raises(UserError, match="正在生成"):
        actions.ask_file(grant=given, form=form, by=receiver)
    run_jobs()
    row.refresh_from_db()
    assert row.error == ""
    assert (row.rows, row.progress, row.position) == (2, 1, "b1")
    path = actions.fetch_file(row=row, by=receiver)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row.digest
    if form == "csv":
        told = rows_of(path.read_bytes())
        assert list(told[0]) == ["公民身份号码", "姓名", "金额", "出生日期"]
        assert sorted(r["姓名"] for r in told) == ["'=1+1", "张1"]
        assert {r["公民身份号码"] for r in told} == {"329***********0001", "329***********0002"}
    elif form == "xlsx":
        sheet = openpyxl.load_workbook(path).active
        values = list(sheet.iter_rows(values_only=True))
        assert values[0][:2] == ("公民身份号码", "姓名")
        assert sorted(str(v[1]) for v in values[1:]) == ["'=1+1", "张1"]
    else:
        assert parquet.read_table(path).column_names == ["citizen_number", "name", "amount", "born"]
    call = CallRecord.objects.get(channel="file")
    assert (call.grant_code, call.rows) == (given.code, 2)
    fill("b2", [person(1, name="改")], "incremental")
    (one,) = queries.takers(SYSTEM, given.resource, "b2")
    assert (one.taken, one.words) == (False, "手中的文件是更正前的，须重新下载")
    grants.suspend(given, reason="核查", by=SYSTEM)
    with pytest.raises(UserError):
        actions.fetch_file(row=row, by=receiver)
    run_jobs()
    assert not path.exists()


def test_a_file_expires(
    fill: Fill, grant: Make, receiver: Actor, run_jobs: Callable[[], int]
) -> None:
    fill("b1", [person(1)])
    row = actions.ask_file(grant=grant(method="文件下载"), form="csv", by=receiver)
    run_jobs()
    row.refresh_from_db()
    path = queries.path_of(row)
    assert path.exists()
    Download.objects.filter(pk=row.pk).update(expires_at=row.finished_at)
    with pytest.raises(UserError, match="过期"):
        actions.fetch_file(row=row, by=receiver)
    assert actions.sweep_files(by=SYSTEM) == 1
    assert not path.exists()


def test_a_grant_gives_only_what_its_operations_say(
    fill: Fill, grant: Make, receiver: Actor
) -> None:
    fill("b1", [person(1)])
    with pytest.raises(UserError):
        actions.ask_file(grant=grant(method="批量交换"), form="csv", by=receiver)
    with pytest.raises(UserError):
        actions.open_subscription(grant=grant(method="服务接口"), kind="pull", by=receiver)
    both = grant(method="服务接口", operations=["feed", "file"])
    actions.ask_file(grant=both, form="csv", by=receiver)
    actions.open_subscription(grant=both, kind="pull", by=receiver)
    assert Delivery.objects.count() == 0
    assert os.path.isdir(files.settings.HOME)
