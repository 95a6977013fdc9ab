"""Jobs: what the worker does for collection: queued loads, due sources, dead loads, freshness."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions, adapters


def run_batch(batch: str) -> None:
    """Load a queued batch; a load that fails is told by its batch, never tried again by itself."""
    actions.carry_queued(batch, by=SYSTEM)


def due_sources() -> None:
    """Begin a load of every source whose hour has come (each minute)."""
    actions.run_due(by=SYSTEM)


def reconcile() -> None:
    """Close the batches whose process died: from the lake if it had committed, else as failed."""
    actions.reconcile(by=SYSTEM)


def freshness() -> None:
    """Measure, once a day, how many datasets are fresh, late, dead and never read."""
    actions.measure_freshness(by=SYSTEM)


def sweep_uploads() -> None:
    """Remove, once a day, uploaded files that nobody loaded."""
    actions.sweep_uploads(by=SYSTEM)


def tend_lake() -> None:
    """Merge small files and clear deleted rows away where a table calls for it; loads go first."""
    adapters.tend_lake()
