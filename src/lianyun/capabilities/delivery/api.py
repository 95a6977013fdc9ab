"""Delivery's door: set up a subscription, bring it up to date, files, who has not taken a batch."""

from __future__ import annotations

from .actions import ask_file, carry, make_file, open_subscription
from .models import Delivery, Download, Subscription
from .queries import Untaken, dead_letters, received, takers

__all__ = [
    "Delivery",
    "Download",
    "Subscription",
    "Untaken",
    "ask_file",
    "carry",
    "dead_letters",
    "make_file",
    "open_subscription",
    "received",
    "takers",
]
