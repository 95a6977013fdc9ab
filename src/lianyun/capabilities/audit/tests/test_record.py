"""Records of exchanges: what they hold, how they are chained, and what verification sees."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest

from lianyun.capabilities.audit import api, rules
from lianyun.capabilities.audit.actions import records
from lianyun.capabilities.audit.models import CallLink, CallRecord
from lianyun.kernel.access import SYSTEM
from lianyun.trust.vault import VaultError

pytestmark = pytest.mark.django_db(transaction=True)

PERSON = "320703199003070016"


def exchange(**changed: object) -> str:
    """One recorded exchange of a file."""
    given: dict = {
        "channel": "file",
        "grant_code": "DATA-1",
        "resource": "people",
        "operation": "file",
        "version": 3,
        "by": SYSTEM,
        "people": [PERSON],
        "purpose": "低保核对",
        "case_code": "C-1",
        "request": b"GET /file",
        "response_digest": hashlib.sha256(b"rows").digest(),
        "rows": 2,
        "micros": 1500,
        "outcome": "ok",
    }
    return api.record_exchange(**{**given, **changed})


def test_an_exchange_is_recorded_whole() -> None:
    uid = exchange()
    call = CallRecord.objects.get(uid=uid)
    assert (call.channel, call.operation, call.version) == ("file", "file", 3)
    assert (call.case_code, call.grant_code, call.rows) == ("C-1", "DATA-1", 2)
    assert call.key_hash == api.keyed_hash(PERSON)
    salt = rules.salt_of(api.hash_key(), uid)
    asked = hashlib.sha256(b"GET /file").digest()
    assert call.request_digest == hashlib.sha256(salt + asked).hexdigest()
    assert call.response_digest != hashlib.sha256(b"rows").hexdigest()
    assert abs(rules.time_of(uid) - call.at) < dt.timedelta(seconds=5)
    assert api.verify().ok


def test_an_exchange_of_many_people_names_each_once() -> None:
    numbers = [f"{n:018d}" for n in range(2 * records.PEOPLE + 5)]
    exchange(people=[*numbers, *numbers[:9]], purpose="一\t行\\N", rows=len(numbers))
    calls = list(CallRecord.objects.all())
    named = [h for c in calls for h in (c.key_hash, *(c.others or ()))]
    assert (len(calls), len(named)) == (3, len(numbers))
    assert set(named) == {api.keyed_hash(n) for n in numbers}
    assert {c.purpose for c in calls} == {"一\t行\\N"}
    assert api.verify().ok
    last = api.keyed_hash(max(numbers, key=api.keyed_hash))
    for _ in range(2):
        assert CallRecord.objects.filter(others__contains=[last]).count() == 1
        api.sort_people()


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "post"},
        {"operation": "steal"},
        {"outcome": "fine"},
        {"response_digest": b"short"},
    ],
)
def test_unknown_words_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"unknown|32 bytes"):
        exchange(**wrong)
    assert CallRecord.objects.count() == 0


def test_many_people_make_several_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PEOPLE", 3)
    uid = exchange(people=[f"{n}" for n in range(7)], rows=7)
    assert CallRecord.objects.count() == 3
    hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    told = [*api.tallies(SYSTEM, [hour - dt.timedelta(hours=1), hour])]
    assert [(t.calls, t.rows) for t in told] == [(1, 7)]  # one exchange, counted once
    assert CallLink.objects.get().count == 3
    assert CallRecord.objects.get(uid=uid).others is not None
    assert api.verify().ok


@pytest.mark.parametrize("digest", ["sha256", "sm3"])
def test_each_column_and_the_link_are_covered(digest: str, settings: object) -> None:
    settings.PROOF_DIGEST = digest
    exchange()
    uid = exchange()
    exchange()
    assert CallLink.objects.first().digest == digest
    other = {
        str: "x",
        int: 77,
        dt.datetime: dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        type(None): ["0" * 32],
    }
    before = CallRecord.objects.get(uid=uid)
    for column in rules.COLUMNS:
        value = getattr(before, column)
        changed = 5 if column == "department_id" else other[type(value)]
        CallRecord.objects.filter(pk=before.pk).update(**{column: changed})
        assert "第 2 批的内容被改动过" in api.verify().calls_broken, column
        CallRecord.objects.filter(pk=before.pk).update(**{column: value})
        assert api.verify().ok, column
    link = CallLink.objects.get(number=2)
    for column, value in {"at": other[dt.datetime], "root": "0" * 64, "hash": "0" * 64}.items():
        CallLink.objects.filter(number=2).update(**{column: value})
        assert not api.verify().ok, column
        CallLink.objects.filter(number=2).update(**{column: getattr(link, column)})
    assert api.verify().ok


def test_links_of_the_first_form_still_verify() -> None:
    """A ledger from before the trees: fifteen columns, no root; new links go on after it."""
    row = ("a1", dt.datetime.now(dt.UTC), "api", "", "department:mz", "民政局", None)
    row = (*row, "G", "people", "低保", "", None, 1, 5, "ok")
    value = rules.link_hash(rules.GENESIS, 1, [row])
    CallLink.objects.create(number=1, at=row[1], count=1, hash=value)
    CallRecord.objects.create(**dict(zip(rules.COLUMNS[:15], row, strict=True)), link=1)
    assert api.verify().ok
    exchange()
    assert api.verify().ok
    CallRecord.objects.filter(uid="a1").update(rows=9)
    assert "第 1 批" in api.verify().calls_broken


def test_secrets_at_rest() -> None:
    text = api.encrypt(b"password", "delivery.password")
    assert api.decrypt(text, "delivery.password") == b"password"
    with pytest.raises(VaultError):
        api.decrypt(text, "cascade.password")
