"""Sharing's door: ask for data, walk a request's steps, stop and end a share."""

from __future__ import annotations

from .actions import (
    ask_extension,
    do_step,
    request_share,
    resume_share,
    revoke_share,
    suspend_share,
)
from .rules import Request

__all__ = [
    "Request",
    "ask_extension",
    "do_step",
    "request_share",
    "resume_share",
    "revoke_share",
    "suspend_share",
]
