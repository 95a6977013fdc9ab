"""Call: one request to a data service on its way from the credential to the record."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from .offers import Offer
    from .rights import Right

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json; charset=utf-8"
PROBLEM = b"application/problem+json; charset=utf-8"


class Refused(Exception):
    """A call that is not answered: status, outcome for the record, title and detail in Chinese."""

    def __init__(
        self, status: int, outcome: str, title: str, detail: str = "", retry: int = 60
    ) -> None:
        """`retry`: after how many seconds to come back (429)."""
        super().__init__(title)
        self.status, self.outcome, self.title, self.detail = status, outcome, title, detail
        self.retry = retry
        self.headers: list[Header] = []


@dataclass(slots=True)
class Call:
    """What is asked, by whom, and what its record will say; filled in on the way.

    `uid` is the call's number in the record, set when the call begins; `key_hash` the keyed hash
    of what was asked for; `others` the keyed hashes of further people whom the answer names.
    """

    uid: str
    method: str
    path: bytes
    query: bytes
    headers: Iterable[Header]
    body: bytes
    source: str
    started: float = field(default_factory=time.perf_counter)
    right: Right | None = None
    offer: Offer | None = None
    purpose: str = ""
    case_code: str = ""
    resource: str = ""
    key: str | None = None
    operation: str = "query"
    version: int = 1
    key_hash: str = ""
    others: list[str] | None = None
    rows: int = 0
    outcome: str = "ok"


@dataclass(slots=True)
class Reply:
    """An answer ready to be sent: status, body, its kind, and headers beyond the usual ones."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: list[Header] = field(default_factory=list)


def problem(status: int, title: str, detail: str = "", uid: str = "") -> bytes:
    """The body of a refusal (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if uid:
        body["instance"] = uid
    return orjson.dumps(body)


__all__ = [
    "JSON",
    "PROBLEM",
    "Call",
    "Header",
    "Receive",
    "Refused",
    "Reply",
    "Scope",
    "Send",
    "problem",
]
