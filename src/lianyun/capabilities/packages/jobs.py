"""Jobs: packages that wait are looked after, drafts that nobody filed are forgotten."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions
from .queries import filings


def go_on() -> None:
    """What an event may have missed (a worker that was killed): nothing stays waiting for nothing."""
    for filing in filings.unfinished(SYSTEM):
        actions.go_on(filing, by=SYSTEM, again=False)


def forget() -> None:
    """Forget packages that nobody has filed for long."""
    actions.forget_drafts(by=SYSTEM)
