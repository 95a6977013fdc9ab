"""Actions: every write of the login, each with its event."""

from .admissions import (
    admit,
    end_closed,
    end_of_person,
    end_of_seat,
    forget,
    give_consent,
    on_account_changed,
    tell_logout,
    withdraw_consent,
)
from .directories import (
    NameTaken,
    NewerVersion,
    actor_of_directory,
    add_member,
    change_member,
    close_directory,
    open_directory,
    remove_member,
    rotate_token,
)
from .keys import first_key, rotate_key, turn_keys
from .nationals import begin_national, finish_national
from .provider import (
    actor_of_system,
    answer_endpoint,
    exchange,
    issuer_of,
    provider,
    tell_claims,
)
from .systems import Design, change_system, close_system, register_system, rotate_secret

__all__ = [
    "Design",
    "NameTaken",
    "NewerVersion",
    "actor_of_directory",
    "actor_of_system",
    "add_member",
    "admit",
    "answer_endpoint",
    "begin_national",
    "change_member",
    "change_system",
    "close_directory",
    "close_system",
    "end_closed",
    "end_of_person",
    "end_of_seat",
    "exchange",
    "finish_national",
    "first_key",
    "forget",
    "give_consent",
    "issuer_of",
    "on_account_changed",
    "open_directory",
    "provider",
    "register_system",
    "remove_member",
    "rotate_key",
    "rotate_secret",
    "rotate_token",
    "tell_claims",
    "tell_logout",
    "turn_keys",
    "withdraw_consent",
]
