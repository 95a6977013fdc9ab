"""Map: county polygons coloured by a value, drawn as SVG on the server, livened by MapLibre."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lianyun.kernel.packs import packs_dir

WIDTH = 640
SHADES = ("#d3e6fa", "#abd0f5", "#7fb5ec", "#5599de", "#2f7bca", "#155fae")
NOTHING = "#e3eaf1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class County:
    """One county: its division code, name, SVG path and label point."""

    code: str
    name: str
    path: str
    x: float
    y: float


@cache
def _source() -> Path | None:
    folder = packs_dir() / "core" / "geo"
    for pattern in ("*county*.geojson", "*count*.geojson", "*district*.geojson", "*.geojson"):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    return None


@cache
def geojson() -> dict[str, Any]:
    """The counties as GeoJSON (EPSG:4490, which a page may draw as WGS 84)."""
    file = _source()
    if file is None:
        return {"type": "FeatureCollection", "features": []}
    return json.loads(file.read_text("utf-8"))


def code_of(properties: Mapping[str, Any]) -> str:
    """The six-digit division code of a feature, whatever its source called it."""
    for key in ("code", "adcode", "gb", "district_code", "id"):
        text = str(properties.get(key) or "")
        if text:
            return text.removeprefix("156")[:6]
    return ""


@cache
def counties() -> tuple[tuple[County, ...], float]:
    """All counties projected (plate carrée at mid latitude) into a box of WIDTH, and its height."""
    features = geojson()["features"]
    if not features:
        return (), 0.0
    shapes = [(f["properties"], _rings(f["geometry"])) for f in features]
    point, height = _projection()

    made = []
    for properties, rings in shapes:
        drawn = [[point(x, y) for x, y in ring] for ring in rings]
        largest = max(drawn, key=lambda ring: abs(_area(ring)))
        cx, cy = _centre(largest)
        path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring) + "Z" for ring in drawn)
        name = str(properties.get("name") or properties.get("NAME") or "")
        made.append(County(code_of(properties), name, path, round(cx, 1), round(cy, 1)))
    return tuple(made), round(height, 1)


@cache
def _projection() -> tuple[Callable[[float, float], tuple[float, float]], float]:
    """How longitude and latitude become a place in the box of WIDTH, and the height of the box."""
    rings = [ring for f in geojson()["features"] for ring in _rings(f["geometry"])]
    xs = [x for ring in rings for x, _ in ring]
    ys = [y for ring in rings for _, y in ring]
    squeeze = math.cos(math.radians((min(ys) + max(ys)) / 2))
    scale = (WIDTH - 40) / ((max(xs) - min(xs)) * squeeze)
    left, top = min(xs), max(ys)

    def point(x: float, y: float) -> tuple[float, float]:
        return (20 + (x - left) * squeeze * scale, 20 + (top - y) * scale)

    return point, (max(ys) - min(ys)) * scale + 40


def placed(places: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places (longitude, latitude) in the box in which the counties are drawn."""
    if not geojson()["features"]:
        return []
    point, _ = _projection()
    return [point(x, y) for x, y in places]


def _rings(geometry: Mapping[str, Any]) -> list[list[list[float]]]:
    parts = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        parts = [parts]
    return [ring for polygon in parts for ring in polygon]


def _area(ring: list[tuple[float, float]]) -> float:
    return (
        sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)) / 2
    )


def _centre(ring: list[tuple[float, float]]) -> tuple[float, float]:
    area = _area(ring) or 1.0
    x = y = 0.0
    for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
        cross = a[0] * b[1] - b[0] * a[1]
        x += (a[0] + b[0]) * cross
        y += (a[1] + b[1]) * cross
    return x / (6 * area), y / (6 * area)


def _label_point(geometry: Mapping[str, Any]) -> list[float]:
    """Where a county's name stands: the centre of its largest part (longitude, latitude)."""
    rings = [[(x, y) for x, y in ring] for ring in _rings(geometry)]
    x, y = _centre(max(rings, key=lambda ring: abs(_area(ring))))
    return [round(x, 5), round(y, 5)]


@dataclass(frozen=True)
class Choropleth:
    """Counties coloured by `values` (division code → number); `links` (code → address)."""

    title: str
    values: Mapping[str, float | int]
    unit: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"map-{next(_numbers)}")

    @property
    def height(self) -> float:
        """The height of the SVG box."""
        return counties()[1]

    @property
    def width(self) -> int:
        """The width of the SVG box."""
        return WIDTH

    def shapes(self) -> list[dict[str, Any]]:
        """Counties with fill, value and link, for the template."""
        top = max(self.values.values(), default=0) or 1
        out = []
        for county in counties()[0]:
            value = self.values.get(county.code)
            out.append(
                {
                    "county": county,
                    "value": value,
                    "fill": _shade(value, top),
                    "url": self.links.get(county.code, ""),
                }
            )
        return out

    def features(self) -> dict[str, Any]:
        """GeoJSON with name, value and colour in the properties, for MapLibre."""
        top = max(self.values.values(), default=0) or 1
        out = []
        for feature in geojson()["features"]:
            code = code_of(feature["properties"])
            value = self.values.get(code)
            out.append(
                {
                    "type": "Feature",
                    "properties": {
                        "name": feature["properties"].get("name", ""),
                        "code": code,
                        "value": value,
                        "fill": _shade(value, top),
                        "url": self.links.get(code, ""),
                        "at": _label_point(feature["geometry"]),
                    },
                    "geometry": feature["geometry"],
                }
            )
        return {
            "type": "FeatureCollection",
            "features": out,
            "unit": self.unit,
            "title": self.title,
        }


def _shade(value: float | int | None, top: float) -> str:
    if value is None:
        return NOTHING
    return SHADES[min(int(value / top * len(SHADES)), len(SHADES) - 1)]
