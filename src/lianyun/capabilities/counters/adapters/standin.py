"""Stand-in: a courier that is none (模拟数据), answering over the same HTTP as a real one would.

It keeps nothing: the waybill bears the minute of the order, so that any process can tell how far the
parcel would be by now. The same order (idempotency key, time) gets the same waybill.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable

import httpx

PREFIX, STAMP = "MN", "%Y%m%d%H%M"
STEPS = (
    (0, "ordered", "已下单"),
    (1, "collected", "快递员已上门收件"),
    (2, "moving", "到达连云港分拨中心"),
    (3, "delivering", "正在派送"),
    (4, "delivered", "已签收"),
)
REQUIRED = ("sender", "receiver", "placed_at")


def waybill_of(key: str, placed: dt.datetime) -> str:
    """The number of an order: MN, the minute (UTC), six digits of its key, a check digit."""
    digits = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 1_000_000
    body = f"{placed.astimezone(dt.UTC).strftime(STAMP)}{digits:06d}"
    return f"{PREFIX}{body}{sum(map(int, body)) % 10}"


def placed_at(waybill: str) -> dt.datetime | None:
    """When a waybill of ours was made; None for any other text."""
    body, last = waybill[2:-1], waybill[-1:]
    if not (waybill.startswith(PREFIX) and len(body) == 18 and (body + last).isdecimal()):
        return None
    if sum(map(int, body)) % 10 != int(last):
        return None
    try:
        return dt.datetime.strptime(body[:12], STAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def stand_in(
    pace_minutes: float, now: Callable[[], dt.datetime]
) -> Callable[[httpx.Request], httpx.Response]:
    """The courier's server as a function: POST /orders, GET /orders/<waybill>.

    A parcel comes one step further every `pace_minutes`.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.rstrip("/")
        if request.method == "POST" and path.endswith("/orders"):
            return _order(request)
        if request.method == "GET" and "/orders/" in path:
            return _trail(path.rsplit("/", 1)[1], pace_minutes, now())
        return httpx.Response(404, json={"error": "没有这个地址"})

    return answer


def _order(request: httpx.Request) -> httpx.Response:
    key = request.headers.get("Idempotency-Key", "")
    try:
        told = json.loads(request.content)
        placed = dt.datetime.fromisoformat(told["placed_at"])
        lacking = [k for k in REQUIRED if not told.get(k)]
    except (ValueError, KeyError, TypeError):
        return httpx.Response(400, json={"error": "订单不完整"})
    if not key or lacking or placed.tzinfo is None:
        return httpx.Response(400, json={"error": "订单不完整"})
    return httpx.Response(201, json={"waybill": waybill_of(key, placed), "sample": True})


def _trail(waybill: str, pace: float, now: dt.datetime) -> httpx.Response:
    placed = placed_at(waybill)
    if placed is None:
        return httpx.Response(404, json={"error": "没有这张运单"})
    scans = [
        {"at": at.isoformat(), "step": step, "words": words}
        for count, step, words in STEPS
        if (at := placed + dt.timedelta(minutes=pace * count)) <= now
    ]
    return httpx.Response(200, json={"waybill": waybill, "scans": scans, "sample": True})


__all__ = ["placed_at", "stand_in", "waybill_of"]
