"""Jobs: applications that were never filed are forgotten."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def forget() -> None:
    """Forget applications that nobody has filed for long."""
    actions.forget_drafts(by=SYSTEM)
