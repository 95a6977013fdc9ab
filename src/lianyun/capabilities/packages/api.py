"""Packages' door: what is offered and what follows, a package begun, filed, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor

from .actions import (
    begin,
    carry,
    confirm,
    consent,
    file,
    go_on,
    hand_in,
    help_begin,
    note_faults,
    promise,
    verify,
    withdraw,
)
from .models import Filing
from .queries import filings as _filings
from .queries import offered as _offered
from .queries.filings import Progress, Wanted
from .queries.offered import Tile
from .rules.package import Package
from .rules.plan import Plan


def tiles(audience: str = "", life: str = "", viewer: Actor = ANONYMOUS) -> list[Tile]:
    """The packages that are offered to persons or firms, those asked for most first."""
    return _offered.tiles(viewer, audience, life)


def search(text: str, audience: str = "", viewer: Actor = ANONYMOUS) -> list[Tile]:
    """The packages for everyday words."""
    return _offered.search(viewer, text, audience)


def plan(code: str, answers: Mapping[str, Any], viewer: Actor = ANONYMOUS) -> Plan | None:
    """What follows from these answers in a package; None where it is not offered."""
    return _offered.plan(viewer, code, answers)


def progress(filing: Filing, viewer: Actor) -> Progress:
    """Where a filed package stands; the caller has judged the viewer's right."""
    return _filings.progress(viewer, filing)


def materials(filing: Filing, viewer: Actor) -> list[Wanted]:
    """The materials of a package, each once, for whom it belongs to."""
    return _filings.materials(viewer, filing)


def mine(viewer: Actor) -> list[Filing]:
    """The packages of the viewer, or of the firm acted for, newest first."""
    return list(_filings.mine(viewer)[:50])


def sync_declared(*, by: Actor = SYSTEM) -> dict[str, list[str]]:
    """Check the declared packages against the items published; what is wrong with each, on record."""
    found = _offered.check(by)
    note_faults(found, by=by)
    return found


def pack_faults() -> list[str]:
    """What is wrong with the packs' packages, without a database, one Chinese line each."""
    return _offered.declared_faults()


__all__ = [
    "Filing",
    "Package",
    "Plan",
    "Progress",
    "Tile",
    "Wanted",
    "begin",
    "carry",
    "confirm",
    "consent",
    "file",
    "go_on",
    "hand_in",
    "help_begin",
    "materials",
    "mine",
    "pack_faults",
    "plan",
    "progress",
    "promise",
    "search",
    "sync_declared",
    "tiles",
    "verify",
    "withdraw",
]
