"""Desk's door: lamps, the door of every step, the archive; for ratings, supervision and the sample city."""

from __future__ import annotations

from . import rules
from .actions import (
    accept_late,
    claim,
    decide_together,
    deliver_by_rule,
    resume_case,
    suspend_case,
    work,
)
from .queries import (
    SUBJECT,
    cases,
    counts,
    item_title,
    lamp_of,
    queue,
    settings,
    with_lamp,
    yellow,
    yellow_until,
)

LAMPS, TONES, lamp_words = rules.LAMPS, rules.TONES, rules.lamp_words
decision = rules.decision

__all__ = [
    "LAMPS",
    "SUBJECT",
    "TONES",
    "accept_late",
    "cases",
    "claim",
    "counts",
    "decide_together",
    "decision",
    "deliver_by_rule",
    "item_title",
    "lamp_of",
    "lamp_words",
    "queue",
    "resume_case",
    "settings",
    "suspend_case",
    "with_lamp",
    "work",
    "yellow",
    "yellow_until",
]
