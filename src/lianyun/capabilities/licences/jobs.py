"""Jobs: what is kept no longer than it is needed."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def tidy() -> None:
    """Forget unasked show codes and counts that are over."""
    actions.tidy(by=SYSTEM)


def tell_due() -> None:
    """Tell holders of licences that come to their end, once for each stage."""
    actions.tell_due(by=SYSTEM)


def tell_library() -> None:
    """Send what was issued, changed or ended here to the licences library."""
    actions.tell_library(by=SYSTEM)
