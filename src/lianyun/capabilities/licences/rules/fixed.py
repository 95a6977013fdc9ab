"""Fixed layout: a licence's sheet as a page of an OFD file, with the elements, sizes and places of the printed one."""

from __future__ import annotations

import datetime as dt
import hashlib

from lianyun.trust.ofd import About, Image, Page, Path, Text, advances

from .drawing import PAGES, Sheet, picture

_PT = 25.4 / 72
_SIZES = {
    # title, body, gap between rows (points); code, note, label (mm); how deep the head begins (points)
    "landscape": (33.0, 12.5, 12.5, 27.0, 120.0, 34.0, 6.0),
    "portrait": (31.0, 13.0, 15.0, 28.0, 66.0, 46.0, 45.0),
    "card": (23.0, 11.0, 10.0, 24.0, 78.0, 26.0, 1.0),
}
_INK, _GREY, _RED = (31, 35, 41), (90, 90, 90), (180, 35, 24)
_Pieces = list[Text | Path | Image]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _box(x: float, y: float, wide: float, high: float) -> tuple[tuple[str, tuple[float, ...]], ...]:
    corners = ((x + wide, y), (x + wide, y + high), (x, y + high))
    return (("M", (x, y)), *(("L", c) for c in corners), ("Z", ()))


def _diamond(x: float, y: float, half: float) -> tuple[tuple[str, tuple[float, ...]], ...]:
    corners = ((x + half, y), (x, y + half), (x - half, y))
    return (("M", (x, y - half)), *(("L", c) for c in corners), ("Z", ()))


def _lines(text: str, size: float, room: float) -> list[str]:
    """The text broken to lines no wider than the room; between any two characters, as Chinese is."""
    out: list[str] = []
    line, used = "", 0.0
    for character, step in zip(text, advances(text, size), strict=True):
        if line and (used + step > room or character == "\n"):
            out, line, used = [*out, line], "", 0.0
        if character != "\n":
            line, used = line + character, used + step
    return [*out, line]


def _centred(text: str, middle: float, y: float, size: float, colour: tuple[int, int, int],
             *, spacing: float = 0.0, weight: int = 400) -> Text:  # fmt: skip
    wide = sum(advances(text, size, spacing)) - spacing
    return Text(text, middle - wide / 2, y, size, colour, weight, spacing)


def _frame(width: float, height: float, colour: tuple[int, int, int]) -> _Pieces:
    out: _Pieces = [
        Path(_box(6, 6, width - 12, height - 12), colour, 2.6 * _PT),
        Path(_box(7.6, 7.6, width - 15.2, height - 15.2), colour, 0.6 * _PT),
    ]
    for x in (6.7, width - 6.7):
        for y in (6.7, height - 6.7):
            out += [Path(_diamond(x, y, 3.07), (255, 255, 255)),
                    Path(_diamond(x, y, 3.07), colour, 0.9 * _PT), Path(_diamond(x, y, 1.5), colour)]  # fmt: skip
    return out


def _rows(sheet: Sheet, y: float, scale: float) -> tuple[_Pieces, float]:
    """The elements from `y` downwards, and where they end."""
    width, _, inset = PAGES[sheet.kind.layout]
    _, body, gap, _, _, share, _ = _SIZES[sheet.kind.layout]
    colour, size, portrait = _rgb(sheet.kind.colour), body * _PT * scale, sheet.kind.layout == "portrait"  # fmt: skip
    left = inset + 4 + (6 if portrait else 2)
    whole = width - 2 * left
    half = (whole - 9) / 2
    rows: list[list[tuple[str, str]]] = []
    single = [(i.title, v) for i, v in sheet.pairs if i.wide or portrait]
    narrow = [(i.title, v) for i, v in sheet.pairs if not i.wide and not portrait]
    rows += [narrow[n : n + 2] for n in range(0, len(narrow), 2)]
    rows += [[pair] for pair in single]
    soft = tuple(round(c + (255 - c) * 0.82) for c in colour)
    out: _Pieces = []
    for row in rows:
        deepest = y
        for column, (title, value) in enumerate(row):
            x = left + column * (half + 9)
            wide = half if (title, value) in narrow else whole
            out.append(Text(title, x, y + size, size * 0.9, colour))
            room, at = wide - share - 7 * _PT, y
            for line in _lines(value, size, room):
                out.append(Text(line, x + share + 7 * _PT, at + size, size, _INK, 500))
                at += size * 1.45
            deepest = max(deepest, at)
        for column, pair in enumerate(row):
            x = left + column * (half + 9)
            wide = half if pair in narrow else whole
            under = (("M", (x, deepest)), ("L", (x + wide, deepest)))
            out.append(Path(under, (soft[0], soft[1], soft[2]), 0.4 * _PT))
        y = deepest + 0.6 * gap * _PT * scale
    return out, y


def page_of(sheet: Sheet) -> Page:
    """The page: frame, heading, elements, code and note, issuer and date; the seal comes with signing.

    Elements that need more room than there is are set smaller, to four tenths at the least.
    """
    kind = sheet.kind
    width, height, inset = PAGES[kind.layout]
    title, body, _, code, note, _, deep = _SIZES[kind.layout]
    colour, middle = _rgb(kind.colour), width / 2
    out = _frame(width, height, colour)
    size, y = body * 0.82 * _PT, inset + deep * _PT
    y += size * 0.7
    out.append(_centred(f"{sheet.city} · 电子证照", middle, y, size, colour, spacing=size * 0.35))
    size = title * _PT
    y += size * 1.75
    spread = 0.45 if len(kind.heading) < 6 else 0.16
    out.append(_centred(kind.heading, middle, y, size, colour, spacing=size * spread, weight=700))
    y += size * 0.75
    line = 0.31 * (width - 2 * inset - 8)
    out.append(Path((("M", (middle - line, y)), ("L", (middle + line, y))), colour, 0.7 * _PT))
    size = body * 0.78 * _PT
    y += size * 1.8
    out.append(_centred(f"证照编号　{sheet.number}", middle, y, size, (70, 70, 70)))
    y += 11 if kind.layout == "portrait" else 5

    bottom = height - inset + 1
    scale = 1.0
    rows, end = _rows(sheet, y, scale)
    while end > bottom - code and scale > 0.4:
        scale *= 0.93
        rows, end = _rows(sheet, y, scale)
    out += rows

    x = inset + 4
    out.append(Path(_box(x, bottom - code, code, code), (255, 255, 255)))
    side = code - 2.4
    out.append(Image(picture(sheet.link), x + 1.2, bottom - code + 1.2, side, side))
    size = (7.2 if kind.layout == "landscape" else 6.6) * _PT
    told = [
        f"扫码或登录 {sheet.site} 核验真伪与当前状态",
        f"电子证照标识 {sheet.identifier}",
        sheet.validity,
    ]
    lines = [(part, _GREY) for text in told for part in _lines(text, size, note)]
    if sheet.sample:
        lines += [
            (part, _RED) for part in _lines("模拟数据 · 演示环境制作，不具有法律效力", size, note)
        ]
    for n, (text, ink) in enumerate(reversed(lines)):
        out.append(Text(text, x + code + 4, bottom - 0.8 - n * size * 1.5, size, ink))
    size, place = body * _PT, width - inset - 4 - 33
    out.append(_centred(sheet.issuer, place, bottom - 3 - size * 1.5, size, _INK))
    out.append(_centred(sheet.issued, place, bottom - 3, size, _INK))
    return Page(width, height, tuple(out))


def about_of(sheet: Sheet, issued: dt.date) -> About:
    """What the file says of itself; the identifier is the licence's, so that it stays the same."""
    return About(
        identifier=hashlib.sha256(f"ofd:{sheet.identifier}".encode()).hexdigest()[:32],
        title=sheet.kind.title,
        author=sheet.issuer,
        created=issued,
        facts={
            "电子证照标识": sheet.identifier,
            "证照类型": sheet.kind.title,
            "证照编号": sheet.number,
            "颁发机关": sheet.issuer,
            "核验地址": sheet.link,
        },
    )


__all__ = ["about_of", "page_of"]
