"""Actions: issue, renew, suspend, end; make files; show, give, ask, answer."""

from .documents import (
    PORTION,
    make_copy,
    make_files,
    original,
    original_ofd,
    sheet_of,
    withdraw_copy,
)
from .endings import end_left, end_licence, resume_licence, suspend_licence
from .issuing import change_licence, issue_licence
from .keys import credential_of, new_signing_key, signing_key
from .kinds import publish_type
from .library import tell_library
from .limits import TooMany, spend, tidy
from .registers import issue_from_register
from .reminders import tell_due
from .review import PATH, decide_draft, draw_up
from .showing import answer, ask, give, see, show, take, take_back

__all__ = [
    "PATH",
    "PORTION",
    "TooMany",
    "answer",
    "ask",
    "change_licence",
    "credential_of",
    "decide_draft",
    "draw_up",
    "end_left",
    "end_licence",
    "give",
    "issue_from_register",
    "issue_licence",
    "make_copy",
    "make_files",
    "new_signing_key",
    "original",
    "original_ofd",
    "publish_type",
    "resume_licence",
    "see",
    "sheet_of",
    "show",
    "signing_key",
    "spend",
    "suspend_licence",
    "take",
    "take_back",
    "tell_due",
    "tell_library",
    "tidy",
    "withdraw_copy",
]
