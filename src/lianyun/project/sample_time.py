"""Sample time: what the sample city does as if it had been done some days ago.

A city of one morning would have no overdue step. Only the sample uses it: everything still goes
through the doors that people use, with the clock set back while it does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.utils import timezone

SHOWN = ("kernel", "hall", "forms")
"""Whose rows bear the earlier time: the case, its application, its form."""


@contextmanager
def earlier(days: int) -> Iterator[None]:
    """Set this process's clock back for as long as the block runs."""
    now = timezone.now

    def then() -> dt.datetime:
        return now() - dt.timedelta(days=days)

    fields = [
        field
        for label in SHOWN
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
        if field.default is now
    ]
    timezone.now = then
    for field in fields:
        field.__dict__["_get_default"] = then
    try:
        yield
    finally:
        timezone.now = now
        for field in fields:
            field.__dict__["_get_default"] = now
