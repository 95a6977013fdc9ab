"""Parcels: papers that a courier carries, to the hall or home; what an address must say; its stages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

ORIGINALS, RESULT = "originals", "result"
WAYS = {ORIGINALS: "寄送材料原件到大厅", RESULT: "办理结果寄给我"}
CHOSEN, SENT, CARRIED, DELIVERED, CANCELLED = "chosen", "sent", "carried", "delivered", "cancelled"
STAGES = {
    CHOSEN: ("已选择寄送", "blue"),
    SENT: ("已下单", "blue"),
    CARRIED: ("运送中", "amber"),
    DELIVERED: ("已签收", "green"),
    CANCELLED: ("已取消", "grey"),
}
_PHONE = re.compile(r"1\d{10}|0\d{2,3}-?\d{7,8}")


class BadAddress(ValueError):
    """An address that no courier can use; the message is for whoever typed it."""


@dataclass(frozen=True)
class Address:
    """Who sends or receives: only the courier is told it."""

    name: str
    phone: str
    place: str

    @property
    def shown(self) -> str:
        """What of it may stand on pages: 张** 138****5678 连云港市海州区…"""
        place = self.place[:9] + ("…" if len(self.place) > 9 else "")
        return f"{self.name[:1]}** {self.phone[:3]}****{self.phone[-4:]} {place}"

    def plain(self) -> dict[str, str]:
        """Plain values, for the sealed column and for the courier."""
        return {"name": self.name, "phone": self.phone, "place": self.place}


def address(given: Mapping[str, str]) -> Address:
    """An address as it was typed; raises BadAddress with what is missing."""
    name, phone, place = (" ".join(given.get(k, "").split()) for k in ("name", "phone", "place"))
    if not name or len(name) > 50:
        raise BadAddress("请填写姓名")
    if not _PHONE.fullmatch(phone):
        raise BadAddress("请填写手机号码或带区号的电话")
    if not 6 <= len(place) <= 200:
        raise BadAddress("请填写详细地址（街道、小区、门牌号）")
    return Address(name, phone, place)


__all__ = [
    "CANCELLED",
    "CARRIED",
    "CHOSEN",
    "DELIVERED",
    "ORIGINALS",
    "RESULT",
    "SENT",
    "STAGES",
    "WAYS",
    "Address",
    "BadAddress",
    "address",
]
