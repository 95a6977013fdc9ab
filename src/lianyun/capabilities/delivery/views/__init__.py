"""Views: delivery over HTTP: subscriptions, who takes data, dead letters, files, the feed."""

from __future__ import annotations

from .desk import act, dead, detail, edit, listing, new, receivers, settle, takers
from .document import openapi
from .feed import collect, feed, ready
from .files import fetch, files, make, progress

__all__ = [
    "act",
    "collect",
    "dead",
    "detail",
    "edit",
    "feed",
    "fetch",
    "files",
    "listing",
    "make",
    "new",
    "openapi",
    "progress",
    "ready",
    "receivers",
    "settle",
    "takers",
]
