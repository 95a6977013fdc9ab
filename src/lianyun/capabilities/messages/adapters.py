"""Adapters: what the packs declare of messages, the city's name and address, what identity can reach."""

from __future__ import annotations

import os
from functools import cache

from lianyun.kernel import packs

from .rules import declared, sending


@cache
def declarations() -> tuple[dict[str, declared.Kind], tuple[str, ...]]:
    """(kinds by key, faults in words) of all packs; a faulty kind tells nobody."""
    kinds, faults = declared.read(packs.lists("messages.yaml"))
    return kinds, tuple(faults)


def kinds() -> dict[str, declared.Kind]:
    """Every kind of message by its key."""
    return declarations()[0]


@cache
def heard() -> dict[str, list[declared.Kind]]:
    """The kinds of message that hear of each kind of event."""
    return declared.by_event(kinds())


@cache
def terms() -> sending.Terms:
    """Hours of rest, limits and days (packs/core/message_terms.yaml)."""
    return sending.Terms.of(packs.mapping("core", "message_terms.yaml"))


def city() -> str:
    """The city's name."""
    return str(packs.mapping("core", "city.yaml").get("name", ""))


def site() -> str:
    """The address under which the public finds this installation; '' where none is configured."""
    return (os.environ.get("LIANYUN_SITE") or "").rstrip("/")


__all__ = ["city", "declarations", "heard", "kinds", "site", "terms"]
