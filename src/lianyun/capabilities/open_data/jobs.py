"""Jobs: what open data does in the background."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def refresh(name: str) -> None:
    """Publish an opening's newest batch."""
    actions.refresh(name=name, by=SYSTEM)


def sheet(name: str, number: int) -> None:
    """Write a version's worksheet."""
    actions.add_sheet(name=name, number=number, by=SYSTEM)


def nightly() -> None:
    """Publish what a listener missed, count uses, take away what is too old."""
    actions.refresh_all(by=SYSTEM)
    actions.count_uses(by=SYSTEM)
    actions.sweep(by=SYSTEM)


def count() -> None:
    """Bring the numbers of uses up to date."""
    actions.count_uses(by=SYSTEM)
