"""Cascade's door: enrol nodes, ask an upper one, upload, and see what crossed."""

from __future__ import annotations

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case

from . import queries
from .actions import (
    arrange_upload,
    ask_upper,
    confirm_link,
    do_step,
    identify,
    invite,
    join,
    send_flow,
    set_address,
)
from .adapters.wire import HOSTS_FILE
from .models import Mirror, Transfer
from .queries import links


def offer_named(viewer: Actor, name: str) -> Mirror | None:
    """The entry of an upper node with this identifier, once it has come."""
    return queries.offers(viewer).filter(name=name).first()


def case_of(viewer: Actor, exchange: str) -> Case | None:
    """The case here of a request across nodes, once it has come."""
    found = queries.asks(viewer).filter(exchange=exchange).first()
    return found.case if found else None


def adopted(viewer: Actor, code: str) -> int:
    """How many entries of a lower node stand in our catalogue."""
    return queries.entries(viewer).filter(link__code=code).exclude(resource=None).count()


def conflicts(viewer: Actor, code: str) -> int:
    """How many entries of a lower node wait for a decision."""
    return queries.entries(viewer).filter(link__code=code).exclude(conflict="").count()


def arrived(viewer: Actor, code: str, kind: str) -> Transfer | None:
    """The newest transfer of a kind (upload | return) with a node that has come to its end."""
    rows = queries.transfers(viewer).filter(link__code=code, kind=kind, stage=Transfer.DONE)
    return rows.first()


__all__ = [
    "HOSTS_FILE",
    "adopted",
    "arrange_upload",
    "arrived",
    "ask_upper",
    "case_of",
    "confirm_link",
    "conflicts",
    "do_step",
    "identify",
    "invite",
    "join",
    "links",
    "offer_named",
    "send_flow",
    "set_address",
]
