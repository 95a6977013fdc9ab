"""Open data's door for its siblings and the demo: propose, approve, publish, look up."""

from __future__ import annotations

from .actions import add_sheet, answer, do_step, propose, rate, refresh, speak
from .models import Opening, Voice
from .queries.desk import in_counts, proposal, start, work_item
from .queries.site import home, opening, search

__all__ = [
    "Opening",
    "Voice",
    "add_sheet",
    "answer",
    "do_step",
    "home",
    "in_counts",
    "opening",
    "proposal",
    "propose",
    "rate",
    "refresh",
    "search",
    "speak",
    "start",
    "work_item",
]
