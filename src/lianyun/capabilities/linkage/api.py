"""Linkage's door: run, decide, undo, apply."""

from __future__ import annotations

from .actions import apply_decisions, decide, queue_run, run_linkage, undo
from .models import Pair, Run
from .queries import first_waiting, names

__all__ = [
    "Pair",
    "Run",
    "apply_decisions",
    "decide",
    "first_waiting",
    "names",
    "queue_run",
    "run_linkage",
    "undo",
]
