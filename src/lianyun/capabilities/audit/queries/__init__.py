"""Queries: the ledger of events, the record of calls, who has seen a person, the proof and receipts."""

from .ledger import (
    call_figures,
    calls,
    departments,
    event_kinds,
    ledger,
    names,
    readers_since,
    seen,
)
from .proof import GAP, Proof, Standing, Unproven, proof, seals, signing_keys, standing
from .receipts import receipt
from .tallies import ReadAbout, Tally, hours_since, keys_asked, read_about, tallies

__all__ = [
    "GAP",
    "Proof",
    "ReadAbout",
    "Standing",
    "Tally",
    "Unproven",
    "call_figures",
    "calls",
    "departments",
    "event_kinds",
    "hours_since",
    "keys_asked",
    "ledger",
    "names",
    "proof",
    "read_about",
    "readers_since",
    "receipt",
    "seals",
    "seen",
    "signing_keys",
    "standing",
    "tallies",
]
