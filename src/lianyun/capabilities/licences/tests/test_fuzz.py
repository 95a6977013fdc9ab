"""Fuzz: a byte of a credential, a status list or a file turned over is never taken for the real one."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import pytest

from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.licences.queries import verdicts
from lianyun.capabilities.licences.rules import credential
from lianyun.kernel.access import ANONYMOUS, Actor
from lianyun.kernel.models import Party
from lianyun.trust import check_licence

from .test_rules import KEY, KEYS, NOW, WHOLE

JWKS = {"keys": [KEY.as_dict(private=False)]}
LIST = credential.status_token(
    uri="https://city/licences/status/0", statuses={5: 1}, size=64, issued=NOW, seconds=60, key=KEY
)
BROKEN = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, zlib.error)
"""What the lone script names as a form that it cannot read (check_licence.main)."""


def turned(data: bytes, step: int, masks: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """The bytes with one of them changed, at every `step`th place."""
    for at in range(0, len(data), step):
        for mask in masks:
            yield at, data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]


def tokens(step: int, masks: tuple[int, ...]) -> None:
    assert credential.check(WHOLE, KEYS.get, NOW).issuer == "https://city"
    assert check_licence.check(WHOLE, JWKS, NOW)[0]["iss"] == "https://city"
    for _, made in turned(WHOLE.encode(), step, masks):
        text = made.decode("latin1")
        with pytest.raises(credential.BadCredential):
            credential.check(text, KEYS.get, NOW)
        with pytest.raises((check_licence.Bad, *BROKEN)):
            check_licence.check(text, JWKS, NOW)
    body = check_licence.check(WHOLE, JWKS, NOW)[0]
    assert credential.status_in(LIST, 9, KEYS.get, NOW) == 0
    assert "有效" in check_licence.state_of(body, LIST, JWKS, NOW)
    for _, made in turned(LIST.encode(), step, masks):
        text = made.decode("latin1")
        with pytest.raises(credential.BadCredential):
            credential.status_in(text, 9, KEYS.get, NOW)
        with pytest.raises((check_licence.Bad, *BROKEN)):
            check_licence.state_of(body, text, JWKS, NOW)


def test_no_changed_token_passes() -> None:
    tokens(9, (1,))


@pytest.mark.slow
def test_no_changed_token_passes_whatever_byte() -> None:
    tokens(1, (1, 4, 32, 128))


@pytest.mark.slow
@pytest.mark.django_db
def test_no_changed_file_passes(sealed: Party, permit: Licence, citizen: Actor) -> None:
    """Two thousand places of a licence's PDF and OFD, chosen by chance with a fixed seed."""
    chance = random.Random(38540)
    for make, form in ((actions.original, "pdf"), (actions.original_ofd, "ofd")):
        _, data = make(permit, by=citizen)
        assert verdicts.by_file(ANONYMOUS, data).code == "valid"
        begin = data.index(b"/Contents <") if form == "pdf" else len(data)
        for _ in range(1000):
            at = chance.randrange(len(data))
            made = data[:at] + bytes((data[at] ^ chance.randrange(1, 256),)) + data[at + 1 :]
            told = verdicts.by_file(ANONYMOUS, made)
            # The signature's hexadecimal text may be written in small letters: the same bytes.
            same = at > begin and made.lower() == data.lower()
            assert not told.good or same, (form, at)
