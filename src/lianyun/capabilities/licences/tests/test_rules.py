"""Identifiers, types and credentials: real identifiers, wrong ones, and whatever a fuzzer thinks of."""

from __future__ import annotations

import contextlib
import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.capabilities.licences.queries import kinds
from lianyun.capabilities.licences.rules import credential, identifier, types

# Real identifiers that public repositories print (DTO comment, file name, vendor's test value) and
# one printed with a wrong check character.
REAL = (
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
)
WRONG = (
    "1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.M"
)
NOW = 1_795_000_000
KEY = credential.new_key()
KEYS = {KEY.kid: KEY}
WHOLE = credential.issue(
    issuer="https://city",
    kind="https://city/licences/types/x",
    claims={"name": "张三", "age_over_18": True, "number": "1"},
    open_claims={"licence_title": "居住证"},
    issued=NOW,
    expires=NOW + 600,
    status=("https://city/licences/status/0", 9),
    key=KEY,
)


@pytest.mark.parametrize("text", REAL)
def test_real_identifiers(text: str) -> None:
    assert str(identifier.parse(text)) == text


def test_wrong_identifiers() -> None:
    with pytest.raises(identifier.BadIdentifier, match="校验位"):
        identifier.parse(WRONG)
    for place in range(len("1.2.156.3005.2."), len(REAL[0]) - 2):
        if REAL[0][place] not in ".":
            other = "A" if REAL[0][place] != "A" else "B"
            with pytest.raises(identifier.BadIdentifier):
                identifier.parse(REAL[0][:place] + other + REAL[0][place + 1 :])


@given(st.text(max_size=200))
@settings(max_examples=80, deadline=None)
def test_no_text_breaks_the_parser_of_identifiers(text: str) -> None:
    for form in (text, f"{identifier.ROOT}.{text}"):
        with contextlib.suppress(identifier.BadIdentifier):
            assert str(identifier.parse(form)) == form


def test_declared_types_are_whole() -> None:
    found = kinds.declared()
    assert len(found) >= 6
    assert {k.layout for k in found.values()} == set(types.LAYOUTS)
    with pytest.raises(types.BadType, match="数据元 nothing 不存在"):
        types.read(
            {
                "name": "bad",
                "title": "坏",
                "issuer": "ga",
                "serial": "009",
                "holders": ["person"],
                "number": "a",
                "holder": {"number": "a", "name": "a"},
                "dates": {"issued": "a"},
                "elements": [{"name": "a", "element": "nothing"}],
            }
            | {"name": "bad_type"},
            {},
        )


def test_what_a_rightful_licence_may_lack_is_not_missed() -> None:
    kind = kinds.declared()["disability_card"]
    told = {i.name: "x" for i in kind.items if i.name != "guardian_name"}
    assert types.complete(kind, told)
    assert not types.complete(kind, {**told, "residence_address": ""})


def test_validity_ends_the_day_before_the_anniversary() -> None:
    assert types.after_years(dt.date(2024, 2, 29), 1) == dt.date(2025, 2, 27)
    assert types.after_years(dt.date(2026, 5, 20), 5) == dt.date(2031, 5, 19)


def test_proof_of_age_changes_on_the_birthday() -> None:
    kind = kinds.kind("residence_permit")
    told = {"citizen_number": "320703199003070016"}
    before = types.proofs(kind, told, dt.date(2008, 3, 6))
    after = types.proofs(kind, told, dt.date(2008, 3, 7))
    assert (before["age_over_18"], after["age_over_18"]) == (False, True)


def test_over_eighteen_and_nothing_else() -> None:
    shown = credential.reduced(WHOLE, ["age_over_18"])
    told = credential.check(shown, KEYS.get, NOW + 1)
    assert told.claims == {"age_over_18": True}
    assert "张三" not in shown
    assert told.status == ("https://city/licences/status/0", 9)
    again = credential.issue(
        issuer="https://city", kind="k", claims={"name": "张三"}, open_claims={}, issued=NOW,
        expires=NOW + 9, status=("u", 1), key=KEY,
    )  # fmt: skip
    first = set(json.loads(credential._unb64(WHOLE.split(".")[1]))["_sd"])
    assert not first & set(json.loads(credential._unb64(again.split(".")[1]))["_sd"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            lambda t: t[:60] + ("A" if t[60] != "A" else "B") + t[61:],
            {"changed", "form", "foreign"},
        ),
        (lambda t: t.replace("~", "~W10~", 1), {"changed"}),
        (lambda t: t.rstrip("~"), {"form"}),
        (lambda t: t + t.split("~")[1] + "~", {"changed"}),
    ],
)
def test_a_changed_credential_is_refused(change: object, code: set[str]) -> None:
    with pytest.raises(credential.BadCredential) as refused:
        credential.check(change(WHOLE), KEYS.get, NOW + 1)  # type: ignore[operator]
    assert refused.value.code in code


def test_a_foreign_signer_and_an_old_credential_are_named() -> None:
    with pytest.raises(credential.BadCredential) as refused:
        credential.check(WHOLE, {}.get, NOW + 1)
    assert refused.value.code == "foreign"
    with pytest.raises(credential.BadCredential) as late:
        credential.check(WHOLE, KEYS.get, NOW + 9_999)
    assert late.value.code == "expired"


def test_no_algorithm_but_the_agreed_one() -> None:
    head, body, signature = WHOLE.split("~")[0].split(".")
    for algorithm in ("none", "HS256"):
        told = json.dumps({"alg": algorithm, "typ": credential.TYPE, "kid": KEY.kid})
        token = f"{credential._b64(told.encode())}.{body}.{signature}~"
        with pytest.raises(credential.BadCredential):
            credential.check(token, KEYS.get, NOW + 1)
    assert head


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda b: b.decode("latin1"))))
@settings(max_examples=120, deadline=None)
def test_no_text_breaks_the_parser_of_credentials(text: str) -> None:
    token = WHOLE.split("~")[0]
    for form in (text, f"{text}~", f"{token}~{text}~", f"{token[:40]}{text}{token[40:]}~"):
        with contextlib.suppress(credential.BadCredential):
            assert credential.check(form, KEYS.get, NOW + 1).issuer == "https://city"


def test_a_status_list_tells_each_place() -> None:
    token = credential.status_token(
        uri="u", statuses={5: 2, 9: 1, 1000: 1}, size=4096, issued=NOW, seconds=60, key=KEY
    )
    told = [credential.status_in(token, n, KEYS.get, NOW) for n in (4, 5, 8, 9, 1000)]
    assert told == [0, 2, 0, 1, 1]
    with pytest.raises(credential.BadCredential):
        credential.status_in(token, 99_999, KEYS.get, NOW)
