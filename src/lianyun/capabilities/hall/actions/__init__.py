"""Actions: begin, confirm, consent, look up, hand in, file, supplement, withdraw, deliver."""

from .beginning import (
    answer,
    begin,
    confirm,
    forget_drafts,
    help_begin,
    help_part,
    visitor,
)
from .consenting import consent, withdraw_consent
from .filing import (
    correct_form,
    deliver,
    file,
    make_ready,
    open_ready,
    see,
    supplement,
    withdraw,
)
from .looking import filled, look_up, verify
from .materials import confirm_on_paper, hand_in, promise, take_back
from .urging import urge

__all__ = [
    "answer",
    "begin",
    "confirm",
    "confirm_on_paper",
    "consent",
    "correct_form",
    "deliver",
    "file",
    "filled",
    "forget_drafts",
    "hand_in",
    "help_begin",
    "help_part",
    "look_up",
    "make_ready",
    "open_ready",
    "promise",
    "see",
    "supplement",
    "take_back",
    "urge",
    "verify",
    "visitor",
    "withdraw",
    "withdraw_consent",
]
