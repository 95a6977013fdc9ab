"""Courier: the one door to whoever carries papers: place an order, ask how far it is.

The order tells the courier the two addresses and nothing of the matter. An order is placed once
however often it is tried: its key and its time stay the same.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from django.utils import timezone

from .declared import courier as declared
from .standin import stand_in

TRIES = 3
TIMEOUT = 5.0
"""Seconds for one try."""
DELIVERED = "delivered"


class CourierDown(Exception):
    """The courier does not answer, or answers nonsense; try again later."""


class CourierRefused(Exception):
    """The courier does not take the order; the message is the courier's."""


@dataclass(frozen=True)
class Scan:
    """One entry of a parcel's trail."""

    at: dt.datetime
    step: str
    words: str

    def plain(self) -> dict[str, str]:
        """Plain values for the row."""
        return {"at": self.at.isoformat(), "step": self.step, "words": self.words}


class Courier:
    """A courier's interface over HTTP: POST {base}/orders, GET {base}/orders/<waybill>."""

    def __init__(
        self, base: str, key: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=base, headers=headers, timeout=TIMEOUT, transport=transport
        )

    def place(
        self,
        once: str,
        sender: Mapping[str, str],
        receiver: Mapping[str, str],
        placed_at: dt.datetime,
    ) -> str:
        """Order a parcel; returns its waybill. Raises CourierDown, CourierRefused."""
        told = self._ask(
            "POST",
            "/orders",
            headers={"Idempotency-Key": once},
            json={
                "sender": dict(sender),
                "receiver": dict(receiver),
                "goods": "政务服务证照和材料",
                "placed_at": placed_at.isoformat(),
            },
        )
        waybill = told.get("waybill")
        if not isinstance(waybill, str) or not waybill:
            raise CourierDown("寄递企业没有给出运单号")
        return waybill[:40]

    def track(self, waybill: str) -> list[Scan]:
        """How far a parcel is, oldest entry first. Raises CourierDown, CourierRefused."""
        told = self._ask("GET", f"/orders/{waybill}")
        try:
            found = [
                Scan(dt.datetime.fromisoformat(s["at"]), str(s["step"]), str(s["words"])[:80])
                for s in told["scans"]
            ]
        except (KeyError, TypeError, ValueError) as wrong:
            raise CourierDown("寄递企业的答复无法识别") from wrong
        return sorted(found, key=lambda s: s.at)

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        wrong = "寄递企业没有响应"
        for _ in range(TRIES):
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError:
                continue
            if answer.status_code >= 500:
                continue
            try:
                told = answer.json()
            except ValueError:
                continue
            if answer.status_code >= 400:
                raise CourierRefused(str(told.get("error") or "寄递企业没有接单"))
            if isinstance(told, dict):
                return told
        raise CourierDown(wrong)


def courier() -> Courier:
    """The courier that the pack names; without an address the stand-in (模拟数据)."""
    told = declared()
    if url := str(told.get("url") or ""):
        return Courier(url, os.environ.get("LIANYUN_COURIER_KEY", ""))
    answer = stand_in(float(told.get("pace_minutes", 10)), timezone.now)
    return Courier("http://stand-in.invalid", transport=httpx.MockTransport(answer))


__all__ = ["DELIVERED", "Courier", "CourierDown", "CourierRefused", "Scan", "courier"]
