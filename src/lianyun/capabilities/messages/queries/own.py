"""Own: a person's messages, how many are unread, what may be switched on and off."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor

from .. import adapters
from ..models import Choice, Message, Sending
from ..rules import declared

MOST = 100
"""The header counts no further."""


def _mine(viewer: Actor) -> QuerySet[Message]:
    if viewer.party is None:
        return Message.objects.none()
    rows = Message.objects.filter(party_id=viewer.party.pk, shown=True)
    # Who acts for a firm sees the firm's; himself, everything that he was told.
    return rows.filter(about=viewer.behalf) if viewer.behalf is not None else rows


def unread(viewer: Actor) -> int:
    """How many of the viewer's messages are unread, 100 at most."""
    return _mine(viewer).filter(read_at=None).order_by()[:MOST].count()


def inbox(viewer: Actor, group: str = "", *, unread_only: bool = False) -> QuerySet[Message]:
    """The viewer's messages, newest first; `group` as the packs call it."""
    rows = _mine(viewer).select_related("about").order_by("-id")
    if group:
        rows = rows.filter(key__in=[k.key for k in adapters.kinds().values() if k.group == group])
    return rows.filter(read_at=None) if unread_only else rows


def recent(viewer: Actor, limit: int = 5) -> list[Message]:
    """The newest messages."""
    return list(inbox(viewer)[:limit])


def message(viewer: Actor, number: int) -> tuple[Message, list[Sending]] | None:
    """One of the viewer's own messages with what became of it; None for another's."""
    found = _mine(viewer).select_related("about").filter(pk=number).first()
    return (found, list(found.sendings.order_by("channel"))) if found else None


@dataclass(frozen=True)
class Switch:
    """One kind with its ways as the page of settings shows them: (way, title, on, may be switched)."""

    kind: declared.Kind
    ways: tuple[tuple[str, str, bool, bool], ...]


def switches(viewer: Actor) -> dict[str, list[Switch]]:
    """What the viewer may be told, by group: a citizen's kinds, and an officer's where there is a post."""
    chosen = {
        (c.key, c.channel): c.on for c in Choice.objects.filter(party=viewer.party)
    }  # fmt: skip
    out: dict[str, list[Switch]] = {}
    for kind in adapters.kinds().values():
        if kind.for_officers and not viewer.roles:
            continue
        ways = tuple(
            (w, title, kind.goes(w, chosen.get((kind.key, w))), kind.may_switch(w))
            for w, title in declared.CHANNELS.items()
            if w in kind.ways
        )
        out.setdefault(kind.group, []).append(Switch(kind, ways))
    return out


def ways_of(viewer: Actor) -> dict[str, str]:
    """The viewer's own addresses by way, masked; a way without one is missing."""
    return identity.addresses(viewer.party) if viewer.party is not None else {}


__all__ = ["Switch", "inbox", "message", "recent", "switches", "unread", "ways_of"]
