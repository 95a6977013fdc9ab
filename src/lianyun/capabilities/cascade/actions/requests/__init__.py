"""Request actions: a department here asks for data there; the law's clock runs there, both see its dates."""

from .asked import (
    on_case_event,
    on_grant_event,
    take_end,
    take_request,
    take_supplement,
    take_withdrawal,
)
from .asking import ask_upper, do_step, problems, withdraw_ask
from .granted import (
    end_leases,
    open_service,
    renew,
    take_grant,
    take_grant_change,
    take_progress,
)

__all__ = [
    "ask_upper",
    "do_step",
    "end_leases",
    "on_case_event",
    "on_grant_event",
    "open_service",
    "problems",
    "renew",
    "take_end",
    "take_grant",
    "take_grant_change",
    "take_progress",
    "take_request",
    "take_supplement",
    "take_withdrawal",
    "withdraw_ask",
]
