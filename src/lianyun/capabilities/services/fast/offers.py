"""Offer: one kind and version of a service as a right may call it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Protocol

from .. import rules
from .calls import Call, Header, Refused, Reply

if TYPE_CHECKING:
    from .plane import Plane
    from .rights import Right

CHINA = dt.timezone(dt.timedelta(hours=8))
METHODS = {"verify": ("POST",)}
"""How a kind is called, where not by GET and HEAD."""


class Answer(Protocol):
    """Answers calls under one right.

    It must ask whether the grant is in force at this instant (best in the statement that reads;
    where it is not, raise `await plane.rights.refusal(right)`), set `call.operation` and
    `call.key_hash` before anything can fail, take the call of the limits by
    `await plane.leases.take(call)` when the call is found well-formed, and set `others`, `rows` and
    `outcome`. Raises Refused, or BadCall for what is malformed.
    """

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """The reply to one call."""


@dataclass(slots=True)
class Offer:
    """What stands behind an address for a right; `answer` is None where nothing is open yet."""

    kind: str
    version: int
    answer: Answer | None
    allowed: bool
    per_day: int = 0
    per_second: int = 0
    sunset: dt.date | None = None
    headers: list[Header] = field(default_factory=list)

    def deprecate(self, newest: int, resource: str) -> None:
        """Tell callers of an older version by Sunset (RFC 8594) and of its successor."""
        self.headers = [(b"api-version", str(self.version).encode())]
        if self.sunset is not None:
            end = dt.datetime.combine(self.sunset, dt.time(), CHINA).astimezone(dt.UTC)
            self.headers.append((b"sunset", format_datetime(end, usegmt=True).encode()))
        if newest > self.version:
            verb = rules.VERBS[self.kind]
            place = f"/api/data/v{newest}/{resource}{':' + verb if verb else ''}"
            self.headers.append((b"link", f'<{place}>; rel="successor-version"'.encode()))

    def over(self) -> bool:
        """Whether the version's last day has passed."""
        return self.sunset is not None and dt.datetime.now(CHINA).date() >= self.sunset


def chosen(offers: list[Offer], version: int) -> Offer:
    """The offer that a call means: the version named, or the oldest that still stands; raises Refused.

    A caller who names no version keeps what it was built against for as long as that exists.
    """
    if version:
        found = next((o for o in offers if o.version == version), None)
        if found is None:
            raise Refused(404, "not_found", f"没有第 {version} 版数据服务")
    else:
        found = next((o for o in offers if not o.over()), offers[-1])
    if found.over():
        raise Refused(
            410,
            "not_found",
            f"第 {found.version} 版数据服务已停止",
            f"请改用第 {offers[-1].version} 版",
        )
    if not found.allowed:
        title = rules.KINDS[found.kind]
        raise Refused(403, "forbidden", f"授权不包含{title}", "请在共享申请中增加此用途")
    return found


__all__ = ["METHODS", "Answer", "Offer", "chosen"]
