"""Views: delivery over HTTP: subscriptions, who takes data, dead letters, files, the feed."""

from __future__ import annotations

from .desk import act, dead, detail, edit, listing, new, receivers, settle, takers
from .feed import feed
from .files import fetch, files, make, progress

__all__ = [
    "act",
    "dead",
    "detail",
    "edit",
    "feed",
    "fetch",
    "files",
    "listing",
    "make",
    "new",
    "progress",
    "receivers",
    "settle",
    "takers",
]
