"""Jobs: what the law does by itself."""

from __future__ import annotations

from . import actions


def accept_late() -> None:
    """Accept what was not answered within five working days (行政许可法 art. 32)."""
    actions.accept_late()
