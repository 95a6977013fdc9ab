"""Queries: seals and their uses as a viewer may see them, and what the authority says to everybody."""

from .authority import (
    Standing,
    authorities,
    certificate_of,
    pending_issuer,
    roots,
    seal_of_serial,
    standing,
    withdrawal_of,
    withdrawn,
)
from .seals import case, figures, mine, seal, seals, usable, uses

__all__ = [
    "Standing",
    "authorities",
    "case",
    "certificate_of",
    "figures",
    "mine",
    "pending_issuer",
    "roots",
    "seal",
    "seal_of_serial",
    "seals",
    "standing",
    "usable",
    "uses",
    "withdrawal_of",
    "withdrawn",
]
