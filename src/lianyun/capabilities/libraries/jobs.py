"""Jobs: what libraries do in the background."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def build(name: str) -> None:
    """Build a library that was asked for, or whose sources have new rows."""
    actions.build_library(name=name, by=SYSTEM)
