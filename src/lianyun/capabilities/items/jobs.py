"""Jobs: what the worker does for items."""

from __future__ import annotations

from .actions import perform_import


def run_import(code: str) -> None:
    """Do an import that somebody started on the import page."""
    perform_import(code)
