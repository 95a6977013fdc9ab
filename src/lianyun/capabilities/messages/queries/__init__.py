"""Queries: whom an event is told to, one's own messages, how sending goes."""

from .figures import (
    FAILED,
    HELD,
    SENT,
    SIMULATED,
    WAITS,
    Figures,
    by_kind,
    daily,
    figures,
    sendings,
    stands_in,
)
from .own import Switch, inbox, message, recent, switches, unread, ways_of
from .readers import Plan, next_events, plans
from .rounds import near_line, readings, work

__all__ = [
    "FAILED",
    "HELD",
    "SENT",
    "SIMULATED",
    "WAITS",
    "Figures",
    "Plan",
    "Switch",
    "by_kind",
    "daily",
    "figures",
    "inbox",
    "message",
    "near_line",
    "next_events",
    "plans",
    "readings",
    "recent",
    "sendings",
    "stands_in",
    "switches",
    "unread",
    "ways_of",
    "work",
]
