"""Drawing: what is printed on a licence's file, and where its seal stands; the layout itself is a pack's template."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import segno

from .types import Item, LicenceType

PAGES = {
    "landscape": (297.0, 210.0, 15.0),
    "portrait": (210.0, 297.0, 15.0),
    "card": (210.0, 135.0, 10.0),
}


@dataclass(frozen=True)
class Copy:
    """For what a purpose-bound copy may be used, whom it is given to, until which day."""

    purpose: str
    recipient: str
    until: str


@dataclass(frozen=True)
class Sheet:
    """All that is printed on one file."""

    kind: LicenceType
    number: str
    identifier: str
    issuer: str
    issued: str
    validity: str
    link: str
    values: Mapping[str, str]
    sample: bool
    city: str = ""
    copy: Copy | None = None

    @property
    def pairs(self) -> list[tuple[Item, str]]:
        """The elements that are printed one by one, with their values."""
        return [
            (i, self.values[i.name])
            for i in self.kind.items
            if not i.hidden and self.values.get(i.name) and i.name != self.kind.number
        ]

    @property
    def site(self) -> str:
        """Where the file is verified, as people read it."""
        return self.link.split("/verify/")[0].split("//")[-1] + "/verify/"

    @property
    def told(self) -> str:
        """The sheet as the template reads it."""
        pairs = [{"title": i.title, "value": v, "wide": i.wide} for i, v in self.pairs]
        told: dict[str, Any] = {
            "layout": self.kind.layout,
            "colour": self.kind.colour,
            "title": self.kind.title,
            "heading": self.kind.heading,
            "number": self.number,
            "identifier": self.identifier,
            "issuer": self.issuer,
            "issued": self.issued,
            "validity": self.validity,
            "link": self.link,
            "site": self.site,
            "pairs": pairs,
            "qr": code(self.link),
            "sample": self.sample,
            "city": self.city,
            "copy": vars(self.copy) if self.copy else None,
        }
        return json.dumps(told, ensure_ascii=False)


def code(text: str, *, dark: str = "#1f2329") -> str:
    """A QR code as SVG (ISO/IEC 18004, level M, quiet zone of two modules)."""
    out = io.BytesIO()
    mark = _mark(text)
    mark.save(out, kind="svg", xmldecl=False, border=2, dark=dark, omitsize=True)
    return out.getvalue().decode()


def picture(text: str) -> bytes:
    """The same code as PNG."""
    out = io.BytesIO()
    mark = _mark(text)
    mark.save(out, kind="png", scale=8, border=2)
    return out.getvalue()


def _mark(text: str) -> segno.QRCode:
    # One mask pattern for all: to weigh the eight costs four times the rest, every reader reads each,
    # and addresses that end in random digits leave no pattern that one of them would have to break.
    return segno.make(text, error="m", micro=False, mask=2)


def seal_place(layout: str) -> tuple[float, float]:
    """The seal's centre on the page: x and y in millimetres from the lower left corner.

    It lies over issuer and date, as 骑年盖月 asks (GB/T 9704-2012, 7.3.5).
    """
    width, _, inset = PAGES[layout]
    return width - inset - 4.0 - 33.0, inset + 8.0


__all__ = ["PAGES", "Copy", "Sheet", "code", "picture", "seal_place"]
