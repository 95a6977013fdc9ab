"""Editions' door: the newest edition of a declaration, and a new one.

Whoever looks for a declaration asks the packs first: a city that has adopted a pack has its files.
"""

from __future__ import annotations

from lianyun.kernel.access import ANONYMOUS

from . import queries
from .actions import publish
from .models import Edition, OrderedJSON


def find(kind: str, code: str) -> Edition | None:
    """The newest edition of this thing, or None; one statement."""
    return queries.newest(ANONYMOUS, kind, code)


def newest(kind: str) -> list[Edition]:
    """The newest edition of everything of a kind; one statement."""
    return queries.all_newest(ANONYMOUS, kind)


def codes(kind: str) -> frozenset[str]:
    """The codes of everything of a kind; one statement."""
    return queries.codes(ANONYMOUS, kind)


__all__ = ["Edition", "OrderedJSON", "codes", "find", "newest", "publish"]
