"""Statistics: counts, sums and means by declared dimensions, without groups too small to be told."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from ... import rules
from ...rules.kinds import MOST_DIMENSIONS, SMALLEST_GROUP, asked
from ...rules.suppression import Cell, Key, hidden
from ..calls import Call, Refused, Reply
from .grounds import Grounds, quoted, quoted_table

if TYPE_CHECKING:
    from ..plane import Plane
    from ..rights import Right

MOST_GROUPS = 5_000
KEPT = 32
KEPT_SECONDS = 300.0
DOMINANT = 0.85
"""Where one row makes up more of a sum than this, the sum as good as names it."""
FUNCTIONS = ("sum", "avg")


@dataclass(frozen=True, slots=True)
class Counted:
    """A finished table of groups: values of each dimension, count, sums; without what is suppressed."""

    stamp: dt.datetime | None
    made: float
    groups: list[tuple[Key, int, dict[str, tuple[int, Any]]]]
    suppressed: bool


async def make(grounds: Grounds) -> Statistics | None:
    """The answer of a statistics service; None without a dimension that the grant allows."""
    one = Statistics(grounds)
    return one if one.dimensions else None


class Statistics:
    """Groups under the smallest number are left out, and others with them where one could subtract.

    The whole table over all dimensions named (grouped or filtered by) is suppressed first and cut
    afterwards, so that asking in another way gives nothing more. A finished table is kept until its
    service is refreshed; the grant is asked with every call.
    """

    def __init__(self, grounds: Grounds) -> None:
        design = grounds.design
        self.grounds = grounds
        masks = grounds.terms.get("masks") or {}
        fields = grounds.fields
        # The order is the service's own: the same question has one table however it is put.
        self.dimensions = [
            c for c in design.get("by", ()) if c in fields and masks.get(c, "none") == "none"
        ]
        # What is not given in clear is not given as a sum either: a grant that means the sums alone
        # gives the field in clear and statistics as its only operation. Invented rows may be summed.
        self.measures, self.masked = rules.measures_of(
            design, fields, {} if grounds.trial else masks
        )
        self.group = max(3, int(design.get("group") or SMALLEST_GROUP))
        self.unit = grounds.unit
        self.scope_tests, self.scope_values = grounds.scope(2)
        self.kept: dict[tuple[str, ...], Counted] = {}
        self.locks: dict[tuple[str, ...], asyncio.Lock] = {}
        self.stamp = (
            f"SELECT s.published_at FROM {grounds.in_force} ok "
            f"LEFT JOIN services_service s ON s.id = {grounds.service}"
        )

    def _statement(self, axes: tuple[str, ...]) -> str:
        chosen = [f"{quoted(c)}::text" for c in axes]
        parts = [*chosen, "count(*)"]
        parts.append(f"count(DISTINCT {quoted(self.unit)})" if self.unit else "count(*)")
        for c in self.measures:
            value = f"{quoted(c)}::numeric"
            parts += [f"count({quoted(c)})", f"sum({value})", f"max(abs({value}))"]
        where = f" WHERE {' AND '.join(self.scope_tests)}" if self.scope_tests else ""
        grouped = f" GROUP BY {', '.join(chosen)}" if chosen else ""
        inner = (
            f"SELECT {', '.join(f'{p} AS _c{n}' for n, p in enumerate(parts))} "
            f"FROM {quoted_table(self.grounds.table)}{where}{grouped} LIMIT {MOST_GROUPS + 1}"
        )
        return f"SELECT t.* FROM {self.grounds.in_force} ok LEFT JOIN LATERAL ({inner}) t ON true"

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """One table."""
        call.operation = "statistics"
        params = rules.split_query(call.query)
        by, filters, columns = self._asked(params)
        axes = tuple(d for d in self.dimensions if d in by or d in filters)
        call.key_hash = hashlib.blake2b(
            repr(sorted(params.items())).encode(), digest_size=16, key=plane.key
        ).hexdigest()
        await plane.leases.take(call)
        table = await self._table(plane, right, axes)
        place = {a: n for n, a in enumerate(axes)}
        groups: list[dict[str, Any]] = []
        for key, count, sums in table.groups:
            if any(key[place[n]] != v for n, v in filters.items()):
                continue
            one: dict[str, Any] = {d: key[place[d]] for d in by}
            for name, (function, column) in columns.items():
                one[name] = count if function == "count" else _measure(function, *sums[column])
            groups.append(one)
        call.rows = len(groups)
        if not groups:
            call.outcome = "empty"
        body = {
            "resource": right.resource,
            "by": by,
            "smallest_group": self.group,
            "suppressed": table.suppressed,
            "count": len(groups),
            "groups": groups,
        }
        return Reply(200, orjson.dumps(body, default=str))

    def _asked(
        self, params: dict[str, str]
    ) -> tuple[list[str], dict[str, str], dict[str, tuple[str, str]]]:
        """Dimensions, filters, and measures by their name in the answer; raises BadCall."""
        left = dict(params)
        try:
            by = asked(left.pop("by", ""), self.dimensions, MOST_DIMENSIONS)
        except ValueError as wrong:
            raise rules.BadCall(f"分组维度 by：{wrong}") from wrong
        known = ["count", *(f"{f}_{c}" for c in self.measures for f in FUNCTIONS)]
        wanted = left.pop("measures", "count")
        if closed := [
            c for c in self.masked if {f"{f}_{c}" for f in FUNCTIONS} & set(wanted.split(","))
        ]:
            raise Refused(
                403,
                "forbidden",
                f"授权中 {'、'.join(closed)} 是脱敏的，不能汇总",
                "只需要汇总结果的，请申请只含“统计”用途、该数据项不脱敏的授权",
            )
        try:
            measures = asked(wanted, known, 20)
        except ValueError as wrong:
            raise rules.BadCall(f"统计量 measures：{wrong}") from wrong
        if strange := [n for n in left if n not in self.dimensions]:
            raise rules.BadCall(f"不能按 {'、'.join(strange)} 筛选")
        if len({*by, *left}) > MOST_DIMENSIONS:
            raise rules.BadCall(f"分组与筛选的维度合计最多 {MOST_DIMENSIONS} 个")
        columns = {}
        for name in dict.fromkeys(["count", *measures]):
            function, _, column = name.partition("_")
            columns[name] = (function, column)
        return by, left, columns

    async def _table(self, plane: Plane, right: Right, axes: tuple[str, ...]) -> Counted:
        loop = asyncio.get_running_loop()
        asked_ = await plane.ask(self.stamp, (right.grant_id,))
        if not asked_:
            raise await plane.rights.refusal(right)
        stamp = asked_[0][0]
        lock = self.locks.setdefault(axes, asyncio.Lock())
        async with lock:
            kept = self.kept.get(axes)
            if (
                kept is not None
                and stamp is not None
                and kept.stamp == stamp
                and loop.time() - kept.made < KEPT_SECONDS
            ):
                return kept
            found = await plane.ask(self._statement(axes), (right.grant_id, *self.scope_values))
            if not found:
                raise await plane.rights.refusal(right)
            made = self._suppressed(found, len(axes), stamp, loop.time())
            if len(self.kept) >= KEPT:
                self.kept.clear()
            self.kept[axes] = made
            return made

    def _suppressed(
        self, found: list[asyncpg.Record], width: int, stamp: dt.datetime | None, now: float
    ) -> Counted:
        if len(found) > MOST_GROUPS:
            raise Refused(400, "bad_request", "分组过多", f"一次最多 {MOST_GROUPS} 组，请减少维度")
        cells: dict[Key, Cell] = {}
        rows: list[tuple[Key, int, dict[str, tuple[int, Any]]]] = []
        for record in found:
            if record[width] is None or not record[width]:
                continue
            key: Key = tuple(record[:width])
            count, units = record[width], record[width + 1]
            sums: dict[str, tuple[int, Any]] = {}
            barred = False
            for n, column in enumerate(self.measures):
                known, total, most = record[width + 2 + 3 * n : width + 5 + 3 * n]
                sums[column] = (known, total)
                barred |= 0 < known < self.group
                barred |= bool(total) and most > Decimal(str(DOMINANT)) * abs(total)
            cells[key] = Cell(count, units, barred)
            rows.append((key, count, sums))
        gone = hidden(cells, self.group)
        told = [r for r in rows if r[0] not in gone]
        told.sort(key=lambda r: tuple((v is None, v or "") for v in r[0]))
        return Counted(stamp, now, told, bool(gone))


def _measure(function: str, known: int, total: Any) -> Any:
    """A sum or a mean as a number of at most four decimals; None where nothing is known."""
    if not known or total is None:
        return None
    value = total if function == "sum" else total / known
    rounded = round(Decimal(value), 4).normalize()
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)


__all__ = ["Statistics", "make"]
