"""Actions: the writes of audit: records of calls, keys, seals, the anchor in the ledger of events."""

from .keys import make_keys, rotate_key, signer
from .records import (
    append_calls,
    link_person,
    people_in,
    record_exchange,
    record_reading,
    sort_people,
)
from .seals import SealFailed, anchor, seal_calls

__all__ = [
    "SealFailed",
    "anchor",
    "append_calls",
    "link_person",
    "make_keys",
    "people_in",
    "record_exchange",
    "record_reading",
    "rotate_key",
    "seal_calls",
    "signer",
    "sort_people",
]
