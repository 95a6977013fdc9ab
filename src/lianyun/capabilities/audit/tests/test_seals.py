"""Seals and receipts: one flipped byte anywhere is found; down, grace, closed, back; two at once; killed."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from lianyun.capabilities.audit import api, queries, rules
from lianyun.capabilities.audit.actions import anchor, keys, seals
from lianyun.capabilities.audit.models import CallLink, CallRecord, CallSeal, SealerTry, SigningKey
from lianyun.capabilities.audit.tests.test_record import exchange
from lianyun.kernel import event
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, Denied, UserError
from lianyun.kernel.event import record
from lianyun.kernel.models import Event, Party, Resource
from lianyun.trust import check_receipt, signatures

pytestmark = pytest.mark.django_db(transaction=True)


def sealed(count: int = 3) -> list[str]:
    """Exchanges, recorded one by one and sealed together."""
    uids = [exchange() for _ in range(count)]
    assert api.seal_calls() == count
    return uids


def key(use: str = "seal", algorithm: str = "ecdsa-p256-sha256") -> str:
    """The certificate of a key in use."""
    return SigningKey.objects.get(use=use, algorithm=algorithm, retired_at=None).certificate


def test_sealed_and_verified() -> None:
    sealed()
    sealed(2)
    assert api.seal_calls() == 0
    proof = api.verify()
    assert proof.ok, proof
    assert (proof.seals, proof.links, proof.unsealed) == (2, 5, 0)
    exchange()
    assert api.verify().unsealed == 1
    first, second = CallSeal.objects.order_by("number")
    assert rules.statement_of(second.note)["before"] == rules.seal_value(
        "sha256", first.note, bytes(first.token)
    )
    assert {name for name, _, _ in rules.signatures_of(first.note)} == set(signatures.ALGORITHMS)


@pytest.mark.parametrize("digest", ["sha256", "sm3"])
def test_a_receipt_holds_for_whoever_trusts_one_key(digest: str, settings: Any) -> None:
    settings.PROOF_DIGEST = digest
    uid = sealed(5)[3]
    receipt = json.loads(json.dumps(api.receipt(SYSTEM, uid)))
    public = {a: signatures.public_key(key(algorithm=a)).pem for a in signatures.ALGORITHMS}
    for trusted, by in (
        (public[signatures.ECDSA], {signatures.ECDSA}),
        (public[signatures.SM2], {signatures.SM2}),
        (key(), {signatures.ECDSA}),
        (key("root"), set(signatures.ALGORITHMS)),
    ):
        found = check_receipt.check(receipt, trusted)
        assert set(found["signed_by"]) == by
        assert found["record"]["grant_code"] == "DATA-1"
    proven = check_receipt.check(receipt, key(), b"GET /file", b"rows")["proven"]
    assert proven == ["record", "request", "response"]
    with pytest.raises(check_receipt.Bad, match="request"):
        check_receipt.check(receipt, key(), b"GET /other")
    stranger = signatures.new_key(signatures.ECDSA).public.pem
    with pytest.raises(check_receipt.Bad, match="信任"):
        check_receipt.check(receipt, stranger)


def test_every_changed_character_of_a_receipt_is_seen() -> None:
    uid = sealed(4)[1]
    text = json.dumps(api.receipt(SYSTEM, uid), ensure_ascii=False)
    trusted = key()
    receipt = json.loads(text)
    check_receipt.check(receipt, trusted)
    unseen = []
    changes: list[tuple[str, int, str]] = []
    for field in ("record", "link", "seal", "token"):
        value = receipt[field]
        for at in range(len(value)):
            other = "0" if value[at] != "0" else "1"
            changes.append((field, at, value[:at] + other + value[at + 1 :]))
    token = base64.b64decode(receipt["token"])
    for at in range(len(token)):
        for bit in (1, 16):
            flipped = token[:at] + bytes((token[at] ^ bit,)) + token[at + 1 :]
            changes.append(("token", at, base64.b64encode(flipped).decode()))
    for field, at, value in changes:
        try:
            check_receipt.check({**receipt, field: value}, trusted)
        except check_receipt.Bad:
            continue
        unseen.append((field, at, value[max(0, at - 8) : at + 8]))
    assert len(changes) > 4000
    assert not unseen
    for field in ("record_path", "link_path"):
        for name in ("index", "size"):
            changed = {**receipt, field: {**receipt[field], name: receipt[field][name] + 1}}
            with pytest.raises(check_receipt.Bad):
                check_receipt.check(changed, trusted)


def test_the_script_stands_alone(tmp_path: Path) -> None:
    """As an outside party runs it: the one file, a Python without the product, the key."""
    uid = sealed()[0]
    script = tmp_path / "check_receipt.py"
    script.write_text(Path(check_receipt.__file__).read_text("utf-8"), "utf-8")
    (tmp_path / "receipt.json").write_text(json.dumps(api.receipt(SYSTEM, uid)), "utf-8")
    (tmp_path / "key.pem").write_text(signatures.public_key(key()).pem)
    (tmp_path / "request").write_bytes(b"GET /file")
    command = [sys.executable, "-S", "-c", (
        "import sys; sys.path[:0] = [p for p in sys.argv.pop(1).split(':')]\n"
        "import importlib.abc, runpy\n"
        "class No(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('lianyun', 'django', 'gmssl_pyx'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "sys.argv[0] = 'check_receipt.py'\n"
        "runpy.run_path('check_receipt.py', run_name='__main__')"
    ), os.pathsep.join(p for p in sys.path if "site-packages" in p), "receipt.json", "--key",
        "key.pem", "--request", "request"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert uid in done.stdout
    (tmp_path / "receipt.json").write_text(
        json.dumps({**api.receipt(SYSTEM, uid), "record": "[]"}), "utf-8"
    )
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1


def test_openssl_alone_checks_seal_and_stamp(tmp_path: Path) -> None:
    """For whoever wants no Python at all (docs/guides/proof.md)."""
    receipt = api.receipt(SYSTEM, sealed()[0])
    statement, *lines = receipt["seal"].splitlines()
    (tmp_path / "seal").write_text(receipt["seal"])
    (tmp_path / "statement").write_text(statement)
    (tmp_path / "token").write_bytes(base64.b64decode(receipt["token"]))
    (tmp_path / "root.pem").write_text(receipt["roots"][0])

    def openssl(*arguments: str) -> int:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True).returncode

    stamp = ["ts", "-verify", "-data", "seal", "-in", "token", "-token_in", "-CAfile", "root.pem"]
    assert openssl(*stamp) == 0
    for line in lines:
        algorithm, kid, text = line.split(" ")
        (tmp_path / "leaf.pem").write_text(receipt["certificates"][kid])
        (tmp_path / "signature").write_bytes(base64.b64decode(text))
        assert openssl("verify", "-CAfile", "root.pem", "leaf.pem") == 0
        public = signatures.public_key(receipt["certificates"][kid]).pem
        (tmp_path / "key.pem").write_text(public)
        options = (
            ["-sm3", "-sigopt", "distid:1234567812345678"] if "sm2" in algorithm else ["-sha256"]
        )
        verify = ["dgst", *options, "-verify", "key.pem", "-signature", "signature", "statement"]
        assert openssl(*verify) == 0


# ---- one flipped byte ------------------------------------------------------------------------


def _flip_text(value: str, at: int) -> str:
    return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]


def test_one_flipped_byte_of_a_seal_or_token_is_found() -> None:
    sealed()
    for model_field in ("note", "token"):
        seal = CallSeal.objects.get()
        value = seal.note if model_field == "note" else bytes(seal.token)
        # Every twentieth place of the last seal: the walk costs a millisecond or two each.
        for at in range(0, len(value), 20):
            if isinstance(value, str):
                changed: Any = _flip_text(value, at)
            else:
                changed = value[:at] + bytes((value[at] ^ 1,)) + value[at + 1 :]
            CallSeal.objects.update(**{model_field: changed})
            assert "签章第 1 号" in api.verify().seals_broken, (model_field, at)
        CallSeal.objects.update(**{model_field: value})
        assert api.verify().ok


@pytest.mark.parametrize(
    "change",
    [
        {"at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
        {"first_link": 2},
        {"last_link": 2},
        {"calls": 9},
        {"number": 7},
    ],
)
def test_columns_of_a_seal_are_what_it_says(change: dict) -> None:
    sealed()
    CallSeal.objects.update(**change)
    assert not api.verify().ok


def test_a_forger_with_the_database_alone_is_found() -> None:
    """Records, links and statement made anew to fit: only the signature cannot be."""
    sealed()
    call = CallRecord.objects.order_by("link").last()
    CallRecord.objects.filter(pk=call.pk).update(rows=9)
    link = CallLink.objects.get(number=call.link)
    rows = [tuple(r) for r in CallRecord.objects.filter(link=3).values_list(*rules.COLUMNS)]
    before = CallLink.objects.get(number=2).hash
    root = rules.root("sha256", rows)
    value = rules.link_value(
        "sha256", rules.link_text("sha256", 3, link.at, link.count, before, root)
    )
    CallLink.objects.filter(number=3).update(root=root, hash=value)
    assert "与调用记录不符" in api.verify().seals_broken
    seal = CallSeal.objects.get()
    said = rules.statement_of(seal.note)
    hashes = list(CallLink.objects.order_by("number").values_list("hash", flat=True))
    new = seal.note.replace(said["root"], rules.seal_root("sha256", hashes))
    CallSeal.objects.update(note=new)
    assert "签名无效" in api.verify().seals_broken
    # Own keys: they would need the root's.
    forged = signatures.new_key(signatures.ECDSA)
    SigningKey.objects.filter(use="seal", algorithm=signatures.ECDSA).update(kid=forged.public.kid)
    assert "密钥不明" in api.verify().seals_broken


def test_a_cut_off_end_is_found_once_anchored() -> None:
    sealed()
    anchor(by=SYSTEM)
    CallSeal.objects.all().delete()
    assert "被删除" in api.verify().calls_broken
    CallRecord.objects.filter(link=3).delete()
    CallLink.objects.filter(number=3).delete()
    assert "截断" in api.verify().calls_broken


def test_the_ledger_of_events_is_anchored_in_seals() -> None:
    Event.objects.all().delete()
    record("something.happened", "system:x", by=SYSTEM)
    event.seal()
    sealed()
    assert rules.statement_of(CallSeal.objects.get().note)["events"][0] == 1
    assert api.verify().ok
    Event.objects.filter(seq=1).delete()
    assert "台账" in api.verify().seals_broken


def test_events_alone_are_sealed_once_a_minute(settings: Any) -> None:
    record("something.happened", "system:x", by=SYSTEM)
    event.seal()
    api.seal_calls()
    assert CallSeal.objects.count() == 1
    CallSeal.objects.update(at=F("at"))
    for _ in range(3):
        record("something.happened", "system:x", by=SYSTEM)
        event.seal()
        api.seal_calls()
    assert CallSeal.objects.count() == 1
    assert api.verify().ok


# ---- who may have a receipt ------------------------------------------------------------------


def test_receipts_are_for_those_concerned() -> None:
    owner = Party.objects.get(slug="ga")
    taker = Party.objects.get(slug="mz")
    other = Party.objects.get(slug="jy")
    Resource.objects.create(code="1", name="people", kind="dataset", title="人口", owner=owner)

    def reader(department: Party) -> Actor:
        return Actor(held={"audit.read": frozenset({department.pk})})

    uid = exchange(by=Actor(party=taker, department=taker))
    with pytest.raises(UserError, match="尚未签章"):
        api.receipt(SYSTEM, uid)
    api.seal_calls()
    for viewer in (reader(owner), reader(taker), SYSTEM):
        assert api.receipt(viewer, uid)["call"] == uid
    for viewer in (reader(other), ANONYMOUS):
        with pytest.raises(UserError, match="无权"):
            api.receipt(viewer, uid)
    with pytest.raises(UserError, match="没有这个编号"):
        api.receipt(SYSTEM, "nothing")
    CallRecord.objects.filter(uid=uid).update(client="lyc_1")
    with pytest.raises(UserError, match="无权"):
        api.receipt(SYSTEM, uid, client="lyc_2")


# ---- keys ------------------------------------------------------------------------------------


def test_private_keys_rest_encrypted_and_keys_change_without_a_gap() -> None:
    sealed()
    for row in SigningKey.objects.all():
        assert "PRIVATE" not in row.secret
        assert (
            signatures.private_key(api.decrypt(row.secret, keys.USE).decode()).public.kid == row.kid
        )
    old = key()
    with pytest.raises(Denied):
        api.rotate_key(algorithm=signatures.ECDSA, reason="到期", by=ANONYMOUS)
    with pytest.raises(UserError, match="原因"):
        api.rotate_key(algorithm=signatures.ECDSA, reason=" ", by=SYSTEM)
    api.rotate_key(algorithm=signatures.ECDSA, reason="到期", by=SYSTEM)
    uid = sealed()[0]
    assert key() != old
    assert api.verify().ok
    with pytest.raises(check_receipt.Bad, match="信任"):
        check_receipt.check(api.receipt(SYSTEM, uid), old)
    assert check_receipt.check(api.receipt(SYSTEM, uid), key("root"))["seal"] == 2


# ---- down, grace, closed, back ---------------------------------------------------------------


def _down(settings: Any, url: str = "http://127.0.0.1:9/") -> None:
    settings.TIME_STAMP_URL = url


def test_down_grace_closed_back(settings: Any) -> None:
    sealed(1)
    settings.TIME_STAMP_ROOTS = ""
    roots = Path(settings.HOME) / "roots.pem"
    roots.write_text(key("root"))
    settings.TIME_STAMP_ROOTS = str(roots)
    _down(settings)
    exchange()
    with pytest.raises(api.SealFailed, match="无法连接"):
        api.seal_calls()
    standing = api.standing(ANONYMOUS)
    assert standing.open
    assert "无法连接" in standing.reason
    # Within the grace exchanges go on; after it they are refused, readings in the house are not.
    exchange()
    CallLink.objects.filter(number__gt=1).update(at=F("at") - dt.timedelta(minutes=9))
    assert api.standing(ANONYMOUS).open
    exchange()
    CallLink.objects.filter(number__gt=1).update(at=F("at") - dt.timedelta(minutes=2))
    closed = api.standing(ANONYMOUS)
    assert not closed.open
    assert "暂停" in closed.reason
    before = CallRecord.objects.count()
    with pytest.raises(api.Unproven, match="无法连接"):
        exchange()
    assert CallRecord.objects.count() == before
    api.record_reading(by=SYSTEM, resource="people")
    exchange(channel="open", operation="query")
    # Back by itself. (The links' times were moved by hand: what is proven is that all are sealed.)
    settings.TIME_STAMP_URL = ""
    api.seal_calls()
    assert api.standing(ANONYMOUS).open
    assert api.standing(ANONYMOUS).reason == ""
    assert CallSeal.objects.order_by("-number").first().last_link == CallLink.objects.count()
    exchange()


def test_a_lost_key_file_is_named(settings: Any, tmp_path: Path) -> None:
    sealed(1)
    settings.HOME = tmp_path
    exchange()
    with pytest.raises(api.SealFailed, match=r"vault\.key"):
        api.seal_calls()
    assert "vault.key" in api.standing(ANONYMOUS).reason
    assert CallSeal.objects.count() == 1


def test_a_dead_sealer_is_named() -> None:
    sealed(1)
    exchange()
    CallLink.objects.filter(number=2).update(at=timezone.now() - dt.timedelta(minutes=5))
    SealerTry.objects.update(at=timezone.now() - dt.timedelta(minutes=5))
    assert "没有运行" in api.standing(ANONYMOUS).reason


def test_an_untrusted_stamp_is_refused_at_once(settings: Any) -> None:
    """A token that nobody could check later is worse than none."""
    sealed(1)
    roots = Path(settings.HOME) / "other.pem"
    settings.TIME_STAMP_ROOTS = str(roots)
    settings.TIME_STAMP_URL = "http://127.0.0.1:9/"
    exchange()
    with pytest.raises(api.SealFailed, match="无法读取"):
        api.seal_calls()


# ---- two at once, killed ---------------------------------------------------------------------


def test_two_sealers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        exchange()
    keys.signer()
    inside, go = threading.Event(), threading.Event()
    real = seals._token

    def slow(*arguments: Any) -> bytes:
        inside.set()
        assert go.wait(20)
        return real(*arguments)

    monkeypatch.setattr(seals, "_token", slow)
    done: list[int] = []

    def work() -> None:
        try:
            done.append(api.seal_calls())
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(20)
    assert api.seal_calls() == 0
    go.set()
    thread.join(20)
    assert done == [4]
    assert CallSeal.objects.count() == 1
    assert api.verify().ok


_KILLED = """
import os, sys, django
django.setup()
from lianyun.capabilities.audit.actions import seals
def stop(*_):
    print("inside", flush=True)
    sys.stdin.read()
seals._token = stop
seals.seal_calls()
"""


def test_a_killed_sealer_leaves_nothing() -> None:
    sealed(1)
    exchange()
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "LIANYUN_DATABASE_URL": os.environ["LIANYUN_DATABASE_URL"]},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"inside"
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    # The server notices the lost connection and lets go of the lock.
    for _ in range(100):
        if api.seal_calls() == 1:
            break
        time.sleep(0.1)
    assert CallSeal.objects.count() == 2
    assert api.verify().ok


def test_receipts_find_their_record_by_time() -> None:
    uid = sealed(1)[0]
    at = rules.time_of(uid)
    assert abs(at - timezone.now()) < dt.timedelta(minutes=1)
    assert rules.time_of("zz") is None
    assert queries.receipt(SYSTEM, uid)["salt"] == rules.salt_of(api.hash_key(), uid).hex()
    assert hashlib.sha256(b"").hexdigest() not in json.dumps(api.receipt(SYSTEM, uid))
