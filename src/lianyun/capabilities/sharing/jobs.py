"""Jobs: what sharing does by itself each night: rights that end, terms that run out."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel.access import SYSTEM

from . import actions


def follow_lives() -> None:
    """Disposal tasks for ended rights, reminders before the end, lapsed rectifications."""
    actions.close_the_ended(by=SYSTEM)
    actions.lapse_rectifications(by=SYSTEM)
    actions.retain_records(by=SYSTEM)
    actions.find_overlaps(by=SYSTEM)


def tell_days() -> None:
    """Before the day begins: whose legal day comes near or has passed hears of it."""
    actions.tell_days(by=SYSTEM)


def count_use() -> None:
    """Every hour: today's calls under each grant, and early in the day yesterday's once more."""
    now = timezone.localtime()
    days = [now.date()]
    if now.hour < 3:
        days.insert(0, now.date() - dt.timedelta(days=1))
    actions.count_use(days=days, by=SYSTEM)
