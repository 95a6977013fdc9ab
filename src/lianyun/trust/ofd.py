"""OFD: a page of text, paths and pictures as a fixed-layout file (GB/T 33190-2016).

Only what a licence needs: one document, one page, one font of its own, PNG pictures. Every part is
stored uncompressed, so that the same page gives the same bytes with any library. Lengths are
millimetres, the origin is the upper left corner. Signed and checked by `sealing.ofd`.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from lxml import etree

from .drawing import Op, font

NAMESPACE = "http://www.ofdspec.org/2016"
FONT = "Noto Sans CJK SC"
SIGNATURES = "Doc_0/Signs/Signatures.xml"
_DOC = "Doc_0/"
_CONTENT = f"{_DOC}Pages/Page_0/Content.xml"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FONT_ID, _FIRST_IMAGE = 1, 2


@dataclass(frozen=True)
class Text:
    """One line: its baseline begins at x, y; `spacing` is added after each character."""

    text: str
    x: float
    y: float
    size: float
    colour: tuple[int, int, int] = (31, 35, 41)
    weight: int = 400
    spacing: float = 0.0


@dataclass(frozen=True)
class Path:
    """An outline in page coordinates, drawn with a line of `width`, or filled where it is 0."""

    ops: tuple[Op, ...]
    colour: tuple[int, int, int]
    width: float = 0.0


@dataclass(frozen=True)
class Image:
    """A PNG picture in its box."""

    png: bytes
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Page:
    """A page and what stands on it, the lowest first."""

    width: float
    height: float
    pieces: tuple[Text | Path | Image, ...]


@dataclass(frozen=True)
class About:
    """What a file says of itself (GB/T 33190, 7.4): `identifier` 32 hex digits, `facts` as CustomDatas."""

    identifier: str
    title: str
    author: str
    created: dt.date
    facts: Mapping[str, str]


def advances(text: str, size: float, spacing: float = 0.0) -> list[float]:
    """How far each character moves the next one, in millimetres."""
    glyphs, known, em = font()
    widths = [glyphs[known[ord(c)]].width / em if ord(c) in known else 1.0 for c in text]
    return [width * size + spacing for width in widths]


@lru_cache(8)
def _font_file(characters: str) -> bytes:
    """A TrueType font of these characters alone, made from the outlines of Noto Sans CJK SC."""
    glyphs, known, em = font()
    found = {ord(c): known[ord(c)] for c in characters if ord(c) in known}
    order = [".notdef", *sorted(set(found.values()) - {".notdef"})]
    drawn, metrics = {}, {}
    for name in order:
        pen = TTGlyphPen(None)
        glyphs[name].draw(Cu2QuPen(pen, 1.0, reverse_direction=True))
        drawn[name] = pen.glyph()
        metrics[name] = (round(glyphs[name].width), 0)
    made = FontBuilder(int(em), isTTF=True)
    made.setupGlyphOrder(order)
    made.setupCharacterMap(found)
    made.setupGlyf(drawn)
    table = made.font["glyf"]
    metrics = {n: (width, getattr(table[n], "xMin", 0)) for n, (width, _) in metrics.items()}
    made.setupHorizontalMetrics(metrics)
    made.setupHorizontalHeader(ascent=880, descent=-120)
    names = {"familyName": FONT, "styleName": "Regular", "psName": "NotoSansCJKsc-Regular",
             "licenseDescription": "SIL Open Font License 1.1"}  # fmt: skip
    made.setupNameTable(names)
    made.setupOS2(sTypoAscender=880, sTypoDescender=-120, usWinAscent=1160, usWinDescent=288)
    made.setupPost()
    # No clock in the file: the same text gives the same font.
    made.font["head"].created = made.font["head"].modified = 3_500_000_000
    made.font.recalcTimestamp = False
    out = io.BytesIO()
    made.font.save(out)
    return out.getvalue()


def add(parent: Any, name: str, text: str = "", **attributes: object) -> Any:
    """A child element; characters that XML does not know are left out."""
    told = {key: f"{v:g}" if isinstance(v, float) else str(v) for key, v in attributes.items()}
    made = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}", told)
    made.text = _NOT_XML.sub("", text) or None
    return made


def element(name: str, **attributes: str) -> Any:
    """The root of a part."""
    return etree.Element(f"{{{NAMESPACE}}}{name}", attributes, nsmap={"ofd": NAMESPACE})


def xml(root: Any) -> bytes:
    """A part's bytes."""
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{round(v, 3):g}" for v in values)


def _area(parent: Any, page: Page) -> None:
    add(add(parent, "PageArea"), "PhysicalBox", _numbers((0, 0, page.width, page.height)))


def _content(page: Page, numbers: Mapping[bytes, int]) -> tuple[bytes, int]:
    """Content.xml (GB/T 33190, 7.7 and clauses 9 to 11) and the last identifier used."""
    root = element("Page")
    last = _FIRST_IMAGE + len(numbers)
    layer = add(add(root, "Content"), "Layer", ID=last)
    words = {"M": "M", "L": "L", "C": "B", "Z": "C"}
    whole = _numbers((0, 0, page.width, page.height))
    for piece in page.pieces:
        last += 1
        if isinstance(piece, Image):
            box = (piece.x, piece.y, piece.width, piece.height)
            add(layer, "ImageObject", ID=last, ResourceID=numbers[piece.png],
                 Boundary=_numbers(box), CTM=_numbers((piece.width, 0, 0, piece.height, 0, 0)))  # fmt: skip
        elif isinstance(piece, Path):
            look: dict[str, Any] = {"Stroke": "false", "Fill": "true"}
            if piece.width:
                look = {"LineWidth": piece.width}
            made = add(layer, "PathObject", ID=last, Boundary=whole, **look)
            add(made, "StrokeColor" if piece.width else "FillColor", Value=_numbers(piece.colour))
            told = " ".join(f"{words[kind]} {_numbers(at)}".strip() for kind, at in piece.ops)
            add(made, "AbbreviatedData", told)
        else:
            text = _NOT_XML.sub("", piece.text)
            steps = advances(text, piece.size, piece.spacing)
            box = (piece.x, piece.y - piece.size, sum(steps), piece.size * 1.3)
            made = add(layer, "TextObject", ID=last, Boundary=_numbers(box), Font=_FONT_ID,
                        Size=piece.size, Weight=piece.weight)  # fmt: skip
            add(made, "FillColor", Value=_numbers(piece.colour))
            more = {"DeltaX": _numbers(steps[:-1])} if len(steps) > 1 else {}
            add(made, "TextCode", text, X=0, Y=piece.size, **more)
    return xml(root), last


def parts_of(about: About, page: Page, *, signed: bool) -> dict[str, bytes]:
    """Every part but the signature's own, in the order in which they stand in the file."""
    images = dict.fromkeys(p.png for p in page.pieces if isinstance(p, Image))
    numbers = {png: n for n, png in enumerate(images, start=_FIRST_IMAGE)}
    content, last = _content(page, numbers)

    ofd = element("OFD", Version="1.0", DocType="OFD")
    body = add(ofd, "DocBody")
    info = add(body, "DocInfo")
    for name, text in (
        ("DocID", about.identifier),
        ("Title", about.title),
        ("Author", about.author),
        ("CreationDate", about.created.isoformat()),
        ("Creator", "Lianyun"),
    ):
        add(info, name, text)
    facts = add(info, "CustomDatas")
    for name, text in about.facts.items():
        add(facts, "CustomData", text, Name=name)
    add(body, "DocRoot", f"{_DOC}Document.xml")
    if signed:
        add(body, "Signatures", SIGNATURES)

    document = element("Document")
    common = add(document, "CommonData")
    add(common, "MaxUnitID", str(last + 1))
    _area(common, page)
    add(common, "PublicRes", "PublicRes.xml")
    add(common, "DocumentRes", "DocumentRes.xml")
    add(add(document, "Pages"), "Page", ID=last + 1, BaseLoc="Pages/Page_0/Content.xml")

    public = element("Res", BaseLoc="Res")
    named = add(add(public, "Fonts"), "Font", ID=_FONT_ID, FontName=FONT, FamilyName=FONT)
    add(named, "FontFile", "font_1.ttf")
    own = element("Res", BaseLoc="Res")
    medias = add(own, "MultiMedias") if numbers else None
    for number in numbers.values():
        media = add(medias, "MultiMedia", ID=number, Type="Image", Format="PNG")
        add(media, "MediaFile", f"image_{number}.png")

    letters = "".join(sorted({c for p in page.pieces if isinstance(p, Text) for c in p.text}))
    return {
        "OFD.xml": xml(ofd),
        f"{_DOC}Document.xml": xml(document),
        f"{_DOC}PublicRes.xml": xml(public),
        f"{_DOC}DocumentRes.xml": xml(own),
        _CONTENT: content,
        f"{_DOC}Res/font_1.ttf": _font_file(letters),
        **{f"{_DOC}Res/image_{n}.png": png for png, n in numbers.items()},
    }


def packed(parts: Mapping[str, bytes]) -> bytes:
    """A ZIP file of stored entries without a clock: one form, and no other, for given parts."""
    out, listed = bytearray(), bytearray()
    for path, data in parts.items():
        name = path.encode("ascii")
        told = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data),
                           len(name), 0)  # fmt: skip
        listed += b"PK\x01\x02\x14\x00" + told + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + name
        out += b"PK\x03\x04" + told + name + data
    end = struct.pack("<HHHHIIH", 0, 0, len(parts), len(parts), len(listed), len(out), 0)
    return bytes(out + listed + b"PK\x05\x06" + end)


def write(about: About, page: Page) -> bytes:
    """The file without a signature; the same page gives the same bytes."""
    return packed(parts_of(about, page, signed=False))


__all__ = [
    "FONT",
    "NAMESPACE",
    "SIGNATURES",
    "About",
    "Image",
    "Page",
    "Path",
    "Text",
    "add",
    "advances",
    "element",
    "packed",
    "parts_of",
    "write",
    "xml",
]
