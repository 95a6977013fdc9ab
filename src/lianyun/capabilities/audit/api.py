"""Audit's door: record a reading or an exchange, hash a key, keep a secret, tie a person, verify all.

`encrypt` and `decrypt` are the settings-bound door of `lianyun.trust.vault` (which knows no
settings): whoever keeps a secret in the database `needs: audit` and takes them from here.
"""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM, Actor
from lianyun.trust.signatures import PrivateKey

from .actions import (
    SealFailed,
    append_calls,
    link_person,
    people_in,
    record_exchange,
    record_reading,
    rotate_key,
    seal_calls,
    signer,
    sort_people,
)
from .adapters import decrypt, encrypt, hash_key, keyed_hash
from .queries import (
    GAP,
    Proof,
    ReadAbout,
    Standing,
    Tally,
    Unproven,
    hours_since,
    keys_asked,
    proof,
    read_about,
    readers_since,
    receipt,
    signing_keys,
    standing,
    tallies,
)
from .rules import CHANNELS, COLUMNS, EXCHANGES, Row, new_uid, salt_of, salted
from .rules import keyed_hash as hash_with_key


def stamping_key() -> PrivateKey:
    """The key of this installation's time-stamping authority, made first if there is none.

    Whoever runs an authority of its own certifies this key anew, so that there is one clock.
    """
    return signer().authority.key


def verify(by: Actor = SYSTEM) -> Proof:
    """Walk the chain of events and the chain of calls; the first broken link of each is named."""
    return proof(by)


__all__ = [
    "CHANNELS",
    "COLUMNS",
    "EXCHANGES",
    "GAP",
    "Proof",
    "ReadAbout",
    "Row",
    "SealFailed",
    "Standing",
    "Tally",
    "Unproven",
    "append_calls",
    "decrypt",
    "encrypt",
    "hash_key",
    "hash_with_key",
    "hours_since",
    "keyed_hash",
    "keys_asked",
    "link_person",
    "new_uid",
    "people_in",
    "read_about",
    "readers_since",
    "receipt",
    "record_exchange",
    "record_reading",
    "rotate_key",
    "salt_of",
    "salted",
    "seal_calls",
    "signing_keys",
    "sort_people",
    "stamping_key",
    "standing",
    "tallies",
    "verify",
]
