"""Actions: rounds walked, children entered, lines reviewed, places allotted, confirmed, given up."""

from .allotting import allot
from .placing import (
    choose,
    choose_many,
    confirm,
    confirm_many,
    decline,
    note_withdrawal,
    on_application_closed,
    settle_round,
)
from .registering import begin, consent, file, register_many
from .reviewing import answer_review, ask_review, check_papers, object_to, settle_objection
from .rounds import edit_round, make_round, move, reschedule

__all__ = [
    "allot",
    "answer_review",
    "ask_review",
    "begin",
    "check_papers",
    "choose",
    "choose_many",
    "confirm",
    "confirm_many",
    "consent",
    "decline",
    "edit_round",
    "file",
    "make_round",
    "move",
    "note_withdrawal",
    "object_to",
    "on_application_closed",
    "register_many",
    "reschedule",
    "settle_objection",
    "settle_round",
]
