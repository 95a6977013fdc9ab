"""Jobs: runs that were asked for, decisions to apply, sources that changed, runs that died."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions, queries


def run(name: str) -> None:
    """Run a linkage that was asked for."""
    actions.run_linkage(name=name, by=SYSTEM)


def apply(name: str) -> None:
    """Bring a linkage's crosswalk up to date with its decisions."""
    actions.apply_decisions(name=name, by=SYSTEM)


def refresh() -> None:
    """Run again, each night, the linkages whose sources have new rows."""
    for name in queries.stale(SYSTEM):
        actions.queue_run(name=name, by=SYSTEM)


def reconcile() -> None:
    """Close the runs whose process died."""
    actions.close_dead(by=SYSTEM)
