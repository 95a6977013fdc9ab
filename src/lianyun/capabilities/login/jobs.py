"""Jobs: what ends by itself, keys that grow old, entries that are forgotten."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def end_closed() -> None:
    """End entries whose login is over, so that systems are told."""
    actions.end_closed(by=SYSTEM)


def turn_keys() -> None:
    """Announce the next signing key when the present one has lived its life."""
    actions.turn_keys(by=SYSTEM)


def forget() -> None:
    """Delete what ended long ago."""
    actions.forget(by=SYSTEM)
