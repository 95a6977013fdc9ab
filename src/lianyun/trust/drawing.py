"""Drawing: a seal's picture as outlines: one path that SVG and PDF fill alike, no font embedded.

Characters are outlines of Noto Sans CJK (SIL Open Font License 1.1, which allows documents made
with it). Form and size of official seals: 国发〔1999〕25号 (round, a star in the middle, the name on
the arc from left to right); the diameter is the city's to set.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import noto_cjk_sans_otc
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTCollection

RED = (0.80, 0.05, 0.10)
SIZE_MM = 42.0
"""Diameter of an official seal in millimetres."""
PERSONAL_MM = 18.0
_POINTS = 72 / 25.4
_CIRCLE = 0.5522847498

Op = tuple[str, tuple[float, ...]]
"""M, L, C or Z with coordinates in millimetres from the centre, y upwards."""


@dataclass(frozen=True)
class Drawing:
    """A picture of `size` millimetres square, its centre at 0, 0, filled with one colour."""

    size: float
    ops: tuple[Op, ...]

    @property
    def path(self) -> str:
        """The path in SVG's words, y upwards."""
        return " ".join(kind + " ".join(f"{v:.3f}" for v in at) for kind, at in self.ops)

    def svg(self, title: str = "") -> str:
        """A picture for pages; `title` is read aloud."""
        half, red = self.size / 2, "#{:02x}{:02x}{:02x}".format(*(round(c * 255) for c in RED))
        safe = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-half} {-half} {self.size} {self.size}"'
            f' role="img" aria-label="{safe}"><path transform="scale(1 -1)" fill="{red}"'
            f' d="{self.path}"/></svg>'
        )

    @cached_property
    def stream(self) -> bytes:
        """`pdf` compressed (FlateDecode), made once: a seal is drawn on many documents."""
        return zlib.compress(self.pdf(), 9)

    def pdf(self) -> bytes:
        """The content stream of a form whose box is 0 0 to size, in points."""
        half, out = self.size / 2, ["q", "{:.3f} {:.3f} {:.3f} rg".format(*RED)]
        words = {"M": "m", "L": "l", "C": "c", "Z": "h"}
        for kind, at in self.ops:
            moved = " ".join(f"{(v + half) * _POINTS:.3f}" for v in at)
            out.append(f"{moved} {words[kind]}".strip())
        out.append("f Q")
        return "\n".join(out).encode()


@lru_cache(256)
def from_path(size: float, path: str) -> Drawing:
    """A drawing from its own `path`; raises ValueError on anything else."""
    ops: list[Op] = []
    for word in (
        path.replace("M", "|M").replace("L", "|L").replace("C", "|C").replace("Z", "|Z").split("|")
    ):
        if word.strip():
            at = tuple(float(v) for v in word[1:].split())
            if len(at) != {"M": 2, "L": 2, "C": 6, "Z": 0}[word[0]]:
                raise ValueError("not a path of ours")
            ops.append((word[0], at))
    return Drawing(size, tuple(ops))


class _Outline(BasePen):
    """Takes one glyph down as ops in font units."""

    def __init__(self, glyphs: Any) -> None:
        super().__init__(glyphs)
        self.ops: list[Op] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self.ops.append(("M", pt))

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self.ops.append(("L", pt))

    def _curveToOne(
        self, one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]
    ) -> None:
        self.ops.append(("C", (*one, *two, *three)))

    def _closePath(self) -> None:
        self.ops.append(("Z", ()))


@lru_cache(1)
def font() -> tuple[Any, dict[int, str], float]:
    """Noto Sans CJK SC: glyphs by name, names by code point, units of one em."""
    folder = Path(noto_cjk_sans_otc.__file__).parent
    fonts = TTCollection(str(folder / "NotoSansCJK-Regular.ttc"), lazy=True).fonts
    font = next(f for f in fonts if f["name"].getDebugName(1) == "Noto Sans CJK SC")
    return font.getGlyphSet(), font.getBestCmap(), float(font["head"].unitsPerEm)


class NoGlyph(ValueError):
    """A character that the font does not draw; the message (Chinese) names it."""


@lru_cache(4096)
def _glyph(character: str) -> tuple[Op, ...]:
    """The outline of a character in a square of side 1 around 0, 0."""
    glyphs, known, em = font()
    name = known.get(ord(character))
    if name is None:
        raise NoGlyph(f"印章文字中的“{character}”没有字形")
    pen = _Outline(glyphs)
    glyphs[name].draw(pen)
    middle = 0.38
    return tuple(
        (kind, tuple(v / em - (0.5 if i % 2 == 0 else middle) for i, v in enumerate(at)))
        for kind, at in pen.ops
    )


def _placed(
    ops: tuple[Op, ...], wide: float, high: float, turn: float, x: float, y: float
) -> list[Op]:
    """Scaled, turned by `turn` radians to the left, moved."""
    cos, sin = math.cos(turn), math.sin(turn)
    out: list[Op] = []
    for kind, at in ops:
        pairs = zip(at[::2], at[1::2], strict=True)
        moved = [
            v
            for px, py in pairs
            for v in (
                x + wide * px * cos - high * py * sin,
                y + wide * px * sin + high * py * cos,
            )
        ]
        out.append((kind, tuple(moved)))
    return out


def _circle(radius: float, *, hole: bool = False) -> list[Op]:
    k, r = _CIRCLE * radius, radius
    ops: list[Op] = [
        ("M", (r, 0)),
        ("C", (r, k, k, r, 0, r)),
        ("C", (-k, r, -r, k, -r, 0)),
        ("C", (-r, -k, -k, -r, 0, -r)),
        ("C", (k, -r, r, -k, r, 0)),
        ("Z", ()),
    ]
    # A hole runs the other way round (the non-zero rule).
    return [
        (kind, tuple(-v if hole and i % 2 else v for i, v in enumerate(at))) for kind, at in ops
    ]


def _star(radius: float, y: float) -> list[Op]:
    inner = radius * 0.381966
    ops: list[Op] = []
    for i in range(10):
        r, angle = (inner if i % 2 else radius), math.pi / 2 + i * math.pi / 5
        ops.append(("L" if i else "M", (r * math.cos(angle), y + r * math.sin(angle))))
    return [*ops, ("Z", ())]


def official(name: str, below: str = "", size: float = SIZE_MM) -> Drawing:
    """A round seal: the organ's name on the arc, a star, and a line below it (证照专用章)."""
    if not 2 <= len(name) <= 40 or len(below) > 12:
        raise NoGlyph("印章刻字：名称 2 至 40 字，下方文字不超过 12 字")
    half = size / 2
    line = size * 0.0285
    ops = [*_circle(half), *_circle(half - line, hole=True)]
    ops += _star(size * 0.165, size * 0.02)
    count = len(name)
    high = size * (0.145 if count <= 12 else 0.125 if count <= 18 else 0.105)
    radius = half - line - size * 0.022 - high / 2
    # The line below needs the room under the star.
    widest = 240 if below else 285
    span = math.radians(min(widest, 24 * (count - 1)))
    step = span / (count - 1)
    wide = min(high, radius * step * 0.94)
    for i, character in enumerate(name):
        angle = math.pi / 2 + span / 2 - i * step
        ops += _placed(
            _glyph(character),
            wide,
            high,
            angle - math.pi / 2,
            radius * math.cos(angle),
            radius * math.sin(angle),
        )
    if below:
        tall = size * 0.095
        each = min(tall, size * 0.60 / len(below))
        for i, character in enumerate(below):
            x = (i - (len(below) - 1) / 2) * each
            ops += _placed(_glyph(character), each, tall, 0, x, -size * 0.26)
    return Drawing(size, tuple(ops))


def _square(half: float, *, hole: bool = False) -> list[Op]:
    corners = [(half, half), (-half, half), (-half, -half), (half, -half)]
    if hole:
        corners.reverse()
    first, *rest = corners
    return [("M", first), *(("L", c) for c in rest), ("Z", ())]


def personal(name: str, size: float = PERSONAL_MM) -> Drawing:
    """A square seal of a name, read from the right column downwards; 印 fills the last place."""
    if not 2 <= len(name) <= 20:
        raise NoGlyph("个人名章刻字为 2 至 20 字")
    text = name + "印" if len(name) == 3 else name
    columns = 2 if len(text) <= 8 else 3
    rows = math.ceil(len(text) / columns) if len(text) > 2 else 1
    half, line = size / 2, size * 0.045
    ops = [*_square(half), *_square(half - line, hole=True)]
    room = size - 2 * line - size * 0.06
    wide, high = room / columns, room / rows
    order = text if len(text) > 2 else text[::-1]
    for i, character in enumerate(order):
        column, row = (divmod(i, rows)) if len(text) > 2 else (1 - i, 0)
        x = room / 2 - wide * (column + 0.5)
        y = room / 2 - high * (row + 0.5)
        each = min(wide, high * 1.6) * 0.96
        ops += _placed(_glyph(character), each, min(high, wide * 1.8) * 0.96, 0, x, y)
    return Drawing(size, tuple(ops))


__all__ = [
    "PERSONAL_MM",
    "RED",
    "SIZE_MM",
    "Drawing",
    "NoGlyph",
    "Op",
    "font",
    "from_path",
    "official",
    "personal",
]
