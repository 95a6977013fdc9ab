"""Queries: the newest edition of a declaration; declarations are public, whoever the viewer is."""

from __future__ import annotations

from lianyun.kernel.access import Actor

from .models import Edition


def newest(viewer: Actor, kind: str, code: str) -> Edition | None:
    """The newest edition of this thing, or None."""
    return Edition.objects.filter(kind=kind, code=code).order_by("-number").first()


def all_newest(viewer: Actor, kind: str) -> list[Edition]:
    """The newest edition of everything of a kind, by code."""
    rows = Edition.objects.filter(kind=kind).order_by("code", "-number")
    return list(rows.distinct("code"))


def codes(viewer: Actor, kind: str) -> frozenset[str]:
    """The codes of everything of a kind."""
    return frozenset(Edition.objects.filter(kind=kind).values_list("code", flat=True))
