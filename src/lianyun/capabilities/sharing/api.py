"""Sharing's door: ask, walk a case's steps, stop and end a share, misuse, needs, return flows."""

from __future__ import annotations

from .actions import (
    ask_extension,
    ask_for_basket,
    ask_stop,
    confirm_disposal,
    count_use,
    do_step,
    find_overlaps,
    finish_use,
    open_dispute,
    open_misuse,
    post_need,
    put_in_basket,
    request_basket,
    request_return,
    request_share,
    resume_share,
    revoke_share,
    suspend_share,
    write_use,
)
from .queries import desk, disposal_of, grant_of, grants_of, matters, open_misuse_of, resource_of
from .rules import Need, Request, Returned

__all__ = [
    "Need",
    "Request",
    "Returned",
    "ask_extension",
    "ask_for_basket",
    "ask_stop",
    "confirm_disposal",
    "count_use",
    "desk",
    "disposal_of",
    "do_step",
    "find_overlaps",
    "finish_use",
    "grant_of",
    "grants_of",
    "matters",
    "open_dispute",
    "open_misuse",
    "open_misuse_of",
    "post_need",
    "put_in_basket",
    "request_basket",
    "request_return",
    "request_share",
    "resource_of",
    "resume_share",
    "revoke_share",
    "suspend_share",
    "write_use",
]
