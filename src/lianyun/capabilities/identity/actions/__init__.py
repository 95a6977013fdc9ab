"""Actions: enter and leave, prove who one is, act for others, open and close accounts."""

from .officers import (
    assign_role,
    change_password,
    create_account,
    create_personal_account,
    disable_account,
    enable_account,
    remove_role,
    reset_password,
    temporary_password,
)
from .persons import find_entity, find_person
from .sessions import (
    end_own_seats,
    end_seats,
    enter,
    leave,
    take_seat,
    unlock_account,
)

__all__ = [
    "assign_role",
    "change_password",
    "create_account",
    "create_personal_account",
    "disable_account",
    "enable_account",
    "end_own_seats",
    "end_seats",
    "enter",
    "find_entity",
    "find_person",
    "leave",
    "remove_role",
    "reset_password",
    "take_seat",
    "temporary_password",
    "unlock_account",
]
