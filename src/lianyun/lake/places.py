"""Places: coordinate systems in which departments write points, told apart and brought to one.

China's surveys use CGCS2000 (EPSG:4490), web maps GCJ-02, Baidu BD-09; the offsets are some
300 to 700 m. WGS 84 differs from CGCS2000 by centimetres and counts as the same. The conversions
are published formulas, not law; the way back from GCJ-02 is found by iteration (under 0.1 m).
Everything is plain SQL over columns, so that it runs in bulk on any engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from .shelves import LakeError, literal

CGCS2000, GCJ02, BD09 = "EPSG:4490", "GCJ-02", "BD-09"
SYSTEMS = (CGCS2000, GCJ02, BD09)
NAMES = {CGCS2000: "2000 国家大地坐标系", GCJ02: "GCJ-02（互联网地图）", BD09: "BD-09（百度地图）"}
AXIS, ECCENTRICITY = 6378245.0, 0.00669342162296594323
SWING = math.pi * 3000 / 180
ROUNDS = 3
"""Iterations of the way back from GCJ-02; each gains some three digits."""

Ring = Sequence[Sequence[float]]


def _offset(x: str, y: str) -> tuple[str, str]:
    """SQL of GCJ-02's offset in degrees at a CGCS2000 point: (longitude, latitude)."""
    u, v = f"({x} - 105.0)", f"({y} - 35.0)"
    wave = f"(20.0 * sin(6.0 * pi() * {u}) + 20.0 * sin(2.0 * pi() * {u})) * 2.0 / 3.0"
    north = (
        f"(-100.0 + 2.0 * {u} + 3.0 * {v} + 0.2 * {v} * {v} + 0.1 * {u} * {v} "
        f"+ 0.2 * sqrt(abs({u})) + {wave} "
        f"+ (20.0 * sin(pi() * {v}) + 40.0 * sin({v} / 3.0 * pi())) * 2.0 / 3.0 "
        f"+ (160.0 * sin({v} / 12.0 * pi()) + 320.0 * sin({v} * pi() / 30.0)) * 2.0 / 3.0)"
    )
    east = (
        f"(300.0 + {u} + 2.0 * {v} + 0.1 * {u} * {u} + 0.1 * {u} * {v} "
        f"+ 0.1 * sqrt(abs({u})) + {wave} "
        f"+ (20.0 * sin(pi() * {u}) + 40.0 * sin({u} / 3.0 * pi())) * 2.0 / 3.0 "
        f"+ (150.0 * sin({u} / 12.0 * pi()) + 300.0 * sin({u} / 30.0 * pi())) * 2.0 / 3.0)"
    )
    bend = f"(1.0 - {ECCENTRICITY} * sin(radians({y})) * sin(radians({y})))"
    return (
        f"({east} * 180.0 / ({AXIS} / sqrt({bend}) * cos(radians({y})) * pi()))",
        f"({north} * 180.0 / ({AXIS * (1 - ECCENTRICITY)} / ({bend} * sqrt({bend})) * pi()))",
    )


def from_cgcs2000(relation: str, x: str, y: str, system: str) -> str:
    """SQL of `relation` with ``_lon`` and ``_lat``: its CGCS2000 columns x, y in another system."""
    if system == CGCS2000:
        return f"SELECT *, {x} AS _lon, {y} AS _lat FROM {relation}"
    east, north = _offset(x, y)
    gcj = f"SELECT *, {x} + {east} AS _gx, {y} + {north} AS _gy FROM {relation}"
    if system == GCJ02:
        return f"SELECT *, _gx AS _lon, _gy AS _lat FROM ({gcj}) g"
    if system != BD09:
        raise LakeError(f"坐标系“{system}”不认识，应为 {'、'.join(SYSTEMS)}")
    polar = (
        f"SELECT *, sqrt(_gx * _gx + _gy * _gy) + 0.00002 * sin(_gy * {SWING}) AS _far, "
        f"atan2(_gy, _gx) + 0.000003 * cos(_gx * {SWING}) AS _turn FROM ({gcj}) g"
    )
    return (
        "SELECT *, _far * cos(_turn) + 0.0065 AS _lon, _far * sin(_turn) + 0.006 AS _lat "
        f"FROM ({polar}) p"
    )


def to_cgcs2000(relation: str, x: str, y: str, system: str) -> str:
    """SQL of `relation` with ``_lon`` and ``_lat``: its columns x, y of `system` in CGCS2000.

    Degrees; NULL stays NULL. Further working columns start with an underscore.
    """
    if system == CGCS2000:
        return f"SELECT *, {x} AS _lon, {y} AS _lat FROM {relation}"
    if system not in SYSTEMS:
        raise LakeError(f"坐标系“{system}”不认识，应为 {'、'.join(SYSTEMS)}")
    if system == BD09:
        u, v = f"({x} - 0.0065)", f"({y} - 0.006)"
        polar = (
            f"SELECT *, sqrt({u} * {u} + {v} * {v}) - 0.00002 * sin({v} * {SWING}) AS _far, "
            f"atan2({v}, {u}) - 0.000003 * cos({u} * {SWING}) AS _turn FROM {relation}"
        )
        gcj = f"SELECT *, _far * cos(_turn) AS _gx, _far * sin(_turn) AS _gy FROM ({polar}) p"
    else:
        gcj = f"SELECT *, {x} AS _gx, {y} AS _gy FROM {relation}"
    sql, lon, lat = gcj, "_gx", "_gy"
    for turn in range(ROUNDS):
        east, north = _offset(lon, lat)
        last = turn == ROUNDS - 1
        names = ("_lon", "_lat") if last else (f"_x{turn}", f"_y{turn}")
        sql = (
            f"SELECT *, _gx - {east} AS {names[0]}, _gy - {north} AS {names[1]} "
            f"FROM ({sql}) r{turn}"
        )
        lon, lat = names
    return sql


@dataclass(frozen=True)
class Verdict:
    """Which system points of known divisions most likely are in.

    `outside` counts, per system, the points that would lie outside the division they claim.
    `system` is None where the points do not tell: too few of them lie near a border.
    """

    system: str | None
    points: int
    outside: dict[str, int]

    @property
    def name(self) -> str:
        """The verdict in Chinese."""
        return NAMES[self.system] if self.system else "不能判定"


def likely_system(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    x: str,
    y: str,
    division: str,
    borders: Mapping[str, Sequence[Ring]],
    *,
    sample: int = 20_000,
) -> Verdict:
    """Tells the system of a relation's points from the divisions (`division`, a code) they claim.

    `borders` gives each division's rings in CGCS2000 degrees; claims about other divisions do not
    count. A system wins if it leaves clearly fewer points outside than any other: less than half
    as many and at least three fewer. At most about `sample` points are looked at.
    """
    edges = [
        (code, *map(float, a[:2]), *map(float, b[:2]))
        for code, rings in borders.items()
        for ring in rings
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)
    ]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE border (code VARCHAR, x1 DOUBLE, y1 DOUBLE, x2 DOUBLE, "
        "y2 DOUBLE)"
    )
    con.executemany("INSERT INTO border VALUES (?, ?, ?, ?, ?)", edges)
    codes = ", ".join(literal(code) for code in borders) or "''"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE spot AS SELECT row_number() OVER () AS n, x, y, code FROM ("
        f"SELECT CAST({x} AS DOUBLE) AS x, CAST({y} AS DOUBLE) AS y, "
        f"CAST({division} AS VARCHAR) AS code FROM {relation}) r "
        f"WHERE x IS NOT NULL AND y IS NOT NULL AND code IN ({codes}) "
        f"ORDER BY hash(x, y) LIMIT {int(sample)}"
    )
    row = con.execute("SELECT count(*) FROM spot").fetchone()
    points = int(row[0]) if row else 0
    outside = {}
    for system in SYSTEMS:
        placed = to_cgcs2000("spot", "x", "y", system)
        # a point is inside if a ray to the east crosses its division's borders an odd number of times
        row = con.execute(
            "SELECT count(*) FILTER (crossings % 2 = 0) FROM (SELECT p.n, "
            "count(*) FILTER ((b.y1 > p._lat) <> (b.y2 > p._lat) AND p._lon < "
            "(b.x2 - b.x1) * (p._lat - b.y1) / (b.y2 - b.y1) + b.x1) AS crossings "
            f"FROM ({placed}) p JOIN border b ON b.code = p.code GROUP BY p.n) c"
        ).fetchone()
        outside[system] = int(row[0]) if row else 0
    ranked = sorted(outside, key=lambda s: outside[s])
    best, second = ranked[0], ranked[1]
    clear = outside[best] * 2 < outside[second] and outside[second] - outside[best] >= 3
    return Verdict(best if clear else None, points, outside)
