"""Case: work in motion: a declared path, parallel branches, work items with a clock, an outcome.

The engine's state is text (its key order matters, so never jsonb); what people search by stands in
rows of our own: work items with permission, department, due day and timer, answers of other
systems, and pauses with their article.
"""

from .rows import Answer, Case, Numbering, Pause, WorkItem, bureau, overdue_items, work_items
from .verbs import (
    claim,
    due_timers,
    extend,
    fire,
    hand_over,
    migrate,
    open_case,
    receive,
    resume,
    step,
    suspend,
    urge,
    withdraw,
)
from .walk import replay

__all__ = [
    "Answer",
    "Case",
    "Numbering",
    "Pause",
    "WorkItem",
    "bureau",
    "claim",
    "due_timers",
    "extend",
    "fire",
    "hand_over",
    "migrate",
    "open_case",
    "overdue_items",
    "receive",
    "replay",
    "resume",
    "step",
    "suspend",
    "urge",
    "withdraw",
    "work_items",
]
