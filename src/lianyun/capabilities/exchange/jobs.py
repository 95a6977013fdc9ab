"""Jobs: count calls each minute, look for misuse every ten."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from . import actions


def tally() -> None:
    """Bring the hourly counts up to date."""
    actions.tally()


def watch() -> None:
    """Look at today's calls; in the first hour of a day also at those of the day before."""
    actions.tally()
    now = timezone.localtime()
    if now.hour == 0:
        actions.watch(now.date() - dt.timedelta(days=1))
    actions.watch(now.date())
