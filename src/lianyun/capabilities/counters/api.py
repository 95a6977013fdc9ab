"""Counters' door: halls, tickets and appointments for siblings and for the sample city."""

from __future__ import annotations

from .actions.bookings import book, book_for, cancel, rebook
from .actions.closings import close_day, lift_closing
from .actions.devices import add_device, enroll
from .actions.halls import sign_off, sign_on, sync_declared
from .actions.parcels import choose, post
from .actions.tickets import (
    call_next,
    check_in,
    finish,
    pass_over,
    recall,
    serve,
    take,
)
from .queries.bookings import bookable_days, free
from .queries.figures import day as figures_of_day
from .queries.halls import counters, hall_of, halls, halls_for
from .queries.tickets import Near, near, queues

__all__ = [
    "Near",
    "add_device",
    "book",
    "book_for",
    "bookable_days",
    "call_next",
    "cancel",
    "check_in",
    "choose",
    "close_day",
    "counters",
    "enroll",
    "figures_of_day",
    "finish",
    "free",
    "hall_of",
    "halls",
    "halls_for",
    "lift_closing",
    "near",
    "pass_over",
    "post",
    "queues",
    "rebook",
    "recall",
    "serve",
    "sign_off",
    "sign_on",
    "sync_declared",
    "take",
]
