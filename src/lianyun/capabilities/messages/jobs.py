"""Jobs: each minute what happened is told and what is due is sent; mornings; the end of keeping."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel.access import SYSTEM
from lianyun.kernel.clock import calendar

from . import actions


def minute() -> None:
    """Read the ledger on, then send what is due."""
    actions.take(by=SYSTEM)
    actions.send_due(by=SYSTEM)


def morning() -> None:
    """On working days: tell officers what waits for them."""
    today = timezone.localdate()
    if calendar().is_working_day(today):
        actions.tell_work(today, by=SYSTEM)


def readings() -> None:
    """Tell who was read about yesterday."""
    actions.tell_readings(timezone.localdate() - dt.timedelta(days=1), by=SYSTEM)


def forget() -> None:
    """Delete what is kept no longer."""
    actions.forget(by=SYSTEM)
