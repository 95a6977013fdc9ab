"""Audit's door: record a reading or an exchange, hash a key, keep a secret, tie a person, verify all.

`encrypt` and `decrypt` are the settings-bound door of `lianyun.trust.vault` (which knows no
settings): whoever keeps a secret in the database `needs: audit` and takes them from here.
"""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM, Actor

from .actions import (
    append_calls,
    hash_key,
    keyed_hash,
    link_person,
    people_in,
    record_exchange,
    record_reading,
)
from .adapters import decrypt, encrypt
from .queries import Proof, proof, readers_since
from .rules import COLUMNS, Row
from .rules import keyed_hash as hash_with_key


def verify(by: Actor = SYSTEM) -> Proof:
    """Walk the chain of events and the chain of calls; the first broken link of each is named."""
    return proof(by)


__all__ = [
    "COLUMNS",
    "Proof",
    "Row",
    "append_calls",
    "decrypt",
    "encrypt",
    "hash_key",
    "hash_with_key",
    "keyed_hash",
    "link_person",
    "people_in",
    "readers_since",
    "record_exchange",
    "record_reading",
    "verify",
]
