"""Actions: every write of sharing, by the part of a share's life it belongs to."""

from .disposals import begin_disposal, close_the_ended, confirm_disposal, finish_use, on_revoked
from .misuse import lapse_rectifications, open_misuse
from .requests import EXTENSION, REQUEST, ask_extension, request_share
from .steps import do_step
from .stops import ask_stop, resume_share, revoke_share, suspend_share
from .told import on_corrected, tell_receivers

__all__ = [
    "EXTENSION",
    "REQUEST",
    "ask_extension",
    "ask_stop",
    "begin_disposal",
    "close_the_ended",
    "confirm_disposal",
    "do_step",
    "finish_use",
    "lapse_rectifications",
    "on_corrected",
    "on_revoked",
    "open_misuse",
    "request_share",
    "resume_share",
    "revoke_share",
    "suspend_share",
    "tell_receivers",
]
