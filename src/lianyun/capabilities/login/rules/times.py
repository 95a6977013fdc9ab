"""Times: how long codes, tokens and keys are good, and when a login is too old."""

from __future__ import annotations

import datetime as dt

CODE_SECONDS = 60
ACCESS_SECONDS = 600
ID_TOKEN_SECONDS = 600
ADMISSION_SECONDS = 8 * 60 * 60
"""A system's tokens end with the login at the city, at the latest after its longest life."""

KEY_LIFE = dt.timedelta(days=90)
KEY_ANNOUNCED = dt.timedelta(hours=24)
"""So long is the next key published before it signs: systems keep the key set for some hours."""
KEY_KEPT = dt.timedelta(hours=24)
"""So long is a key published after it has signed for the last time: longer than any token of it."""


def wanted_age(text: str | None) -> int | None:
    """The `max_age` of a request in seconds, None where there is none; raises ValueError."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise ValueError("max_age")
    return int(text)


def too_old(entered_at: dt.datetime, max_age: int | None, now: dt.datetime) -> bool:
    """Whether a login is older than a system accepts."""
    return max_age is not None and now - entered_at > dt.timedelta(seconds=max_age)


__all__ = [
    "ACCESS_SECONDS",
    "ADMISSION_SECONDS",
    "CODE_SECONDS",
    "ID_TOKEN_SECONDS",
    "KEY_ANNOUNCED",
    "KEY_KEPT",
    "KEY_LIFE",
    "too_old",
    "wanted_age",
]
