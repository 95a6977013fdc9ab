"""Sharing's door: ask, walk a request's steps, stop and end a share."""

from __future__ import annotations

from .actions import (
    ask_extension,
    ask_stop,
    confirm_disposal,
    do_step,
    finish_use,
    open_misuse,
    request_share,
    resume_share,
    revoke_share,
    suspend_share,
)
from .queries import desk, grant_of, resource_of
from .rules import Request

__all__ = [
    "Request",
    "ask_extension",
    "ask_stop",
    "confirm_disposal",
    "desk",
    "do_step",
    "finish_use",
    "grant_of",
    "open_misuse",
    "request_share",
    "resource_of",
    "resume_share",
    "revoke_share",
    "suspend_share",
]
