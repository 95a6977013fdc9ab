"""Actions: every write of sharing, by the part of a share's life it belongs to."""

from .basket import ask_for_basket, put_in_basket, take_from_basket
from .disposals import begin_disposal, close_the_ended, confirm_disposal, finish_use, on_revoked
from .disputes import open_dispute
from .misuse import lapse_rectifications, open_misuse
from .needs import post_need
from .overlaps import decide_overlap, find_overlaps
from .records import delete_record, retain_records, write_use
from .requests import EXTENSION, REQUEST, ask_extension, request_basket, request_share
from .returns import request_return
from .steps import do_step
from .stops import ask_stop, resume_share, revoke_share, suspend_share
from .told import on_corrected, tell_days, tell_receivers
from .use import count_use

__all__ = [
    "EXTENSION",
    "REQUEST",
    "ask_extension",
    "ask_for_basket",
    "ask_stop",
    "begin_disposal",
    "close_the_ended",
    "confirm_disposal",
    "count_use",
    "decide_overlap",
    "delete_record",
    "do_step",
    "find_overlaps",
    "finish_use",
    "lapse_rectifications",
    "on_corrected",
    "on_revoked",
    "open_dispute",
    "open_misuse",
    "post_need",
    "put_in_basket",
    "request_basket",
    "request_return",
    "request_share",
    "resume_share",
    "retain_records",
    "revoke_share",
    "suspend_share",
    "take_from_basket",
    "tell_days",
    "tell_receivers",
    "write_use",
]
