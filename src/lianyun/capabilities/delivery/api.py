"""Delivery's door: set up a subscription, bring it up to date, files, who has not taken a batch.

`signature`, `genuine` and `pause` are the house's one way of signing a POST and of trying again.
"""

from __future__ import annotations

from .actions import ask_file, carry, make_file, open_subscription
from .models import Delivery, Download, Subscription
from .queries import Untaken, dead_letters, received, takers
from .rules import genuine, pause, signature

__all__ = [
    "Delivery",
    "Download",
    "Subscription",
    "Untaken",
    "ask_file",
    "carry",
    "dead_letters",
    "genuine",
    "make_file",
    "open_subscription",
    "pause",
    "received",
    "signature",
    "takers",
]
