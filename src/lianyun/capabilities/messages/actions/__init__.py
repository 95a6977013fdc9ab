"""Actions: make messages of what happened, send them, choose, send again, forget."""

from .making import on_account_erased, take, tell_readings, tell_work
from .own import choose, mark_read, read_all
from .sending import forget, resend, send_due

__all__ = [
    "choose",
    "forget",
    "mark_read",
    "on_account_erased",
    "read_all",
    "resend",
    "send_due",
    "take",
    "tell_readings",
    "tell_work",
]
