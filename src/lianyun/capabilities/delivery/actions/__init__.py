"""Actions: set up and settle subscriptions, carry parcels, answer pulls, make and hand out files."""

from __future__ import annotations

from .download import ask_file, collect_file, fetch_file, make_file, sweep_files
from .parcels import carry, queue, queue_due
from .pulling import pull
from .subscribe import (
    ask_anew,
    change_subscription,
    close_subscription,
    on_granted,
    on_new_data,
    on_resumed,
    on_stopped,
    open_subscription,
    pause_subscription,
    retry_dead,
    run_now,
    skip_dead,
    test_receiver,
)

__all__ = [
    "ask_anew",
    "ask_file",
    "carry",
    "change_subscription",
    "close_subscription",
    "collect_file",
    "fetch_file",
    "make_file",
    "on_granted",
    "on_new_data",
    "on_resumed",
    "on_stopped",
    "open_subscription",
    "pause_subscription",
    "pull",
    "queue",
    "queue_due",
    "retry_dead",
    "run_now",
    "skip_dead",
    "sweep_files",
    "test_receiver",
]
