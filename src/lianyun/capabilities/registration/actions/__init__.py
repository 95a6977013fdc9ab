"""Actions of registration: firms registered, changed, cancelled; notices published and objected to."""

from .changes import abandon, on_decided, settle
from .notices import answer_objection, end_due, move_on, object_to, on_stepped, publish, withdraw
from .openings import on_registered, register_firm, store

__all__ = [
    "abandon",
    "answer_objection",
    "end_due",
    "move_on",
    "object_to",
    "on_decided",
    "on_registered",
    "on_stepped",
    "publish",
    "register_firm",
    "settle",
    "store",
    "withdraw",
]
