"""De-identification: rows as they may go out to everybody, and how far anyone can be picked out of them.

A recipe says of every column whether it stays, goes or is made coarser, and which columns together
might point at somebody (quasi-identifiers). Rows that fewer than k others resemble in those columns
are held back, so that whoever knows a person's age, town and the like is left with at least k rows
(k-anonymity, Sweeney 2002); a group whose sensitive value is the same for all is held back as well
(l-diversity, Machanavajjhala 2006). Everything is measured by SQL over the rows themselves: before,
with the recipe, and once more over what is about to go out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from .shelves import Lake, LakeError, literal, quote, valid_name

KEEP, DROP, AGE, MONTH, YEAR, REGION, BAND, GRID = (
    "keep", "drop", "age", "month", "year", "region", "band", "grid",
)  # fmt: skip
HOWS = (KEEP, DROP, AGE, MONTH, YEAR, REGION, BAND, GRID)
PLAIN, QUASI, SENSITIVE = "plain", "quasi", "sensitive"
ROLES = (PLAIN, QUASI, SENSITIVE)
ROWS, COUNTS = "rows", "counts"
SUPPRESS, NOISE = "suppress", "noise"
COUNT = "record_count"
"""The column that holds the number of rows where only counts go out."""
OLDEST = 90
"""Years: whoever is older stands in one band, since few are."""
BINS: tuple[tuple[int, int | None], ...] = (
    (1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, None),
)  # fmt: skip
"""Sizes of groups for the picture: from, to."""
_SOURCES = ("trusted", "library")


@dataclass(frozen=True)
class Treatment:
    """What becomes of one column, and whether it could help to find somebody.

    `width` is years for `age`, characters for `region`, units for `band`, degrees for `grid`.
    """

    name: str
    how: str = KEEP
    role: str = PLAIN
    width: float = 0


@dataclass(frozen=True)
class Recipe:
    """What goes out: columns and their treatment, k, l, whole rows or counts, and which rows.

    `scope` keeps the rows whose columns hold one of the listed values (as text).
    """

    treatments: tuple[Treatment, ...]
    k: int = 1
    l: int = 1  # noqa: E741 - the letter is the measure's name
    form: str = ROWS
    small: str = SUPPRESS
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[Treatment, ...]:
        """The columns that go out, in their order."""
        return tuple(t for t in self.treatments if t.how != DROP)

    @property
    def quasi(self) -> tuple[Treatment, ...]:
        """The kept columns that could together point at somebody; all of them where counts go out."""
        if self.form == COUNTS:
            return self.kept
        return tuple(t for t in self.kept if t.role == QUASI)

    @property
    def raw(self) -> bool:
        """Whether rows would go out as they are: none held back, no column dropped or coarser."""
        return (
            self.form == ROWS
            and not self.quasi
            and all(t.how == KEEP for t in self.treatments)
            and not self.scope
        )


@dataclass(frozen=True)
class Risk:
    """What the measure found: rows and groups before and with the recipe, and what is held back.

    `sizes_before` and `sizes_after` are rows by size of their group, in the order of BINS.
    `smallest_after` is the smallest group that goes out; 0 where nothing does.
    """

    rows: int
    out: int
    suppressed: int
    groups_before: int
    uniques_before: int
    smallest_before: int
    groups_coarse: int
    uniques_coarse: int
    groups_after: int
    smallest_after: int
    least_diverse: int
    sizes_before: tuple[int, ...]
    sizes_after: tuple[int, ...]

    @property
    def share_suppressed(self) -> float:
        """Which part of the rows is held back."""
        return self.suppressed / self.rows if self.rows else 0.0

    @property
    def highest(self) -> float:
        """The chance of picking the right row out of the smallest group that goes out."""
        return 1 / self.smallest_after if self.smallest_after else 0.0


def _source(con: duckdb.DuckDBPyConnection, table: str) -> tuple[str, dict[str, str]]:
    schema, _, name = table.rpartition(".")
    schema = schema or "trusted"
    if schema not in _SOURCES:
        raise LakeError(f"只能开放 trusted 或 library 中的表，不能开放“{table}”")
    place = f"lake.{quote(schema)}.{quote(valid_name(name))}"
    try:
        have = con.execute(f"DESCRIBE {place}").fetchall()
    except duckdb.CatalogException as error:
        raise LakeError(f"“{name}”还没有归集数据，不能开放") from error
    return place, {str(row[0]): str(row[1]) for row in have}


def _number(value: float) -> str:
    return f"{value:g}"


def expression(t: Treatment, kind: str, today: dt.date) -> str:
    """SQL that makes one column coarser; raises LakeError where the type does not allow it."""
    column = quote(t.name)
    dates = kind in ("DATE", "TIMESTAMP")
    numbers = kind in ("BIGINT", "INTEGER", "DOUBLE", "HUGEINT") or kind.startswith("DECIMAL")
    if t.how == KEEP:
        return column
    if t.how == AGE and dates and t.width >= 1:
        years = f"date_sub('year', CAST({column} AS DATE), DATE {literal(today.isoformat())})"
        low = f"CAST(floor({years} / {_number(t.width)}) * {_number(t.width)} AS INTEGER)"
        return (
            f"CASE WHEN {column} IS NULL OR {years} < 0 THEN NULL "
            f"WHEN {years} >= {OLDEST} THEN '{OLDEST}岁以上' "
            f"ELSE {low} || '–' || ({low} + {_number(t.width - 1)}) || '岁' END"
        )
    if t.how == MONTH and dates:
        return f"strftime({column}, '%Y-%m')"
    if t.how == YEAR and dates:
        return f"strftime({column}, '%Y')"
    if t.how == REGION and kind == "VARCHAR" and t.width >= 2:
        return f"left({column}, {int(t.width)})"
    if t.how == BAND and numbers and t.width > 0:
        width = _number(t.width)
        low = f"CAST(floor({column} / {width}) * {width} AS BIGINT)"
        return f"CASE WHEN {column} IS NOT NULL THEN {low} || '–' || ({low} + {width}) END"
    if t.how == GRID and numbers and t.width > 0:
        return f"CAST(round({column} / {_number(t.width)}) * {_number(t.width)} AS DOUBLE)"
    raise LakeError(f"数据项“{t.name}”（{kind}）不能用“{t.how}”处理")


def _checked(recipe: Recipe, have: Mapping[str, str]) -> None:
    unknown = [t.name for t in recipe.treatments if t.name not in have]
    unknown += [c for c in recipe.scope if c not in have]
    if unknown:
        raise LakeError(f"数据湖的表里没有这些数据项：{'、'.join(unknown)}")
    if not recipe.kept:
        raise LakeError("至少保留一个数据项")
    if recipe.form == COUNTS and COUNT in {t.name for t in recipe.kept}:
        raise LakeError(f"数据项不能取名“{COUNT}”")


def _where(recipe: Recipe) -> str:
    conditions = [
        f"CAST({quote(c)} AS VARCHAR) IN ({', '.join(literal(v) for v in values) or 'NULL'})"
        for c, values in recipe.scope.items()
    ]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _take(
    con: duckdb.DuckDBPyConnection, table: str, recipe: Recipe, *, measured: bool = False
) -> dict[str, str]:
    """Copies the columns that matter into a temporary table `taken`; returns their types.

    With `measured` these are only the ones that the measure looks at.
    """
    place, have = _source(con, table)
    _checked(recipe, have)
    names = [
        t.name
        for t in recipe.treatments
        if t.role != PLAIN or (t.how != DROP and (recipe.form == COUNTS or not measured))
    ]
    con.execute("DROP TABLE IF EXISTS temp.taken")
    con.execute(
        f"CREATE TEMP TABLE taken AS SELECT {', '.join(map(quote, names))} "
        f"FROM {place}{_where(recipe)}"
    )
    return {n: have[n] for n in names}


def _ungrouped(recipe: Recipe) -> bool:
    """Whether all rows are one group, of which only the size matters."""
    return not recipe.quasi and all(t.role == PLAIN for t in recipe.treatments)


def _one_group(rows: int) -> Risk:
    """The measure of rows that are not grouped."""
    sizes = tuple(rows if low <= rows and (not high or rows <= high) else 0 for low, high in BINS)
    some, alone = int(rows > 0), int(rows == 1)
    return Risk(rows, rows, 0, some, alone, rows, some, alone, some, rows, 0, sizes, sizes)


def _coarse(recipe: Recipe, kinds: Mapping[str, str], today: dt.date) -> str:
    """SQL of the taken rows with the recipe's columns, as far as they were taken."""
    listed = ", ".join(
        f"{expression(t, kinds[t.name], today)} AS {quote(t.name)}"
        for t in recipe.kept
        if t.name in kinds
    )
    return f"SELECT {listed} FROM temp.taken"


def _groups(recipe: Recipe, coarse: str) -> str:
    """SQL of the groups that look alike: n rows, and d the smallest variety of a sensitive column."""
    names = ", ".join(quote(t.name) for t in recipe.quasi)
    sensitive = [t for t in recipe.kept if t.role == SENSITIVE] if recipe.form == ROWS else []
    # An empty value is a value too; a group in which all are empty gives nothing away.
    variety = [
        f"CASE WHEN count({c}) > 0 THEN count(DISTINCT {c}) + "
        f"CASE WHEN count({c}) < count(*) THEN 1 ELSE 0 END END"
        for c in (quote(t.name) for t in sensitive)
    ]
    d = (
        "NULL"
        if not variety
        else variety[0]
        if len(variety) == 1
        else f"least({', '.join(variety)})"
    )
    by = f" GROUP BY {names}" if names else ""
    first = f"{names}, " if names else ""
    return f"SELECT {first}count(*) AS n, {d} AS d FROM ({coarse}){by}"


def _good(recipe: Recipe) -> str:
    """SQL over groups: whether a group goes out."""
    wanted = f"n >= {int(recipe.k)}" if recipe.quasi else "TRUE"
    if recipe.form == COUNTS and recipe.small == NOISE:
        wanted = "TRUE"
    if recipe.l > 1:
        wanted += f" AND (d IS NULL OR d >= {int(recipe.l)})"
    return wanted


def _bins(prefix: str, condition: str = "TRUE") -> str:
    parts = []
    for i, (low, high) in enumerate(BINS):
        within = f"n >= {low}" + (f" AND n <= {high}" if high else "")
        parts.append(f"coalesce(sum(n) FILTER ({within} AND {condition}), 0) AS {prefix}{i}")
    return ", ".join(parts)


def _before(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> tuple[Any, ...]:
    """Groups, uniques, smallest and bins over the quasi-identifiers as they are."""
    names = [quote(t.name) for t in recipe.treatments if t.role == QUASI]
    if not names:
        names = [quote(t.name) for t in recipe.quasi]
    by = f" GROUP BY {', '.join(names)}" if names else ""
    row = con.execute(
        f"SELECT count(*), count(*) FILTER (n = 1), coalesce(min(n), 0), {_bins('b')} "
        f"FROM (SELECT count(*) AS n FROM temp.taken{by}) WHERE n > 0"
    ).fetchone()
    assert row is not None
    return row


def _held_back(con: duckdb.DuckDBPyConnection, recipe: Recipe, coarse: str) -> float:
    """Which part of the rows a recipe would hold back, and nothing more."""
    row = con.execute(
        f"SELECT coalesce(sum(n) FILTER (NOT ({_good(recipe)})) / sum(n), 0) "
        f"FROM ({_groups(recipe, coarse)})"
    ).fetchone()
    return float(row[0]) if row else 0.0


def _measured(
    con: duckdb.DuckDBPyConnection, recipe: Recipe, groups_of: str, before: tuple[Any, ...]
) -> Risk:
    """The whole measure; `groups_of` is SQL of the groups, or a table that holds them."""
    good = _good(recipe)
    row = con.execute(
        "SELECT coalesce(sum(n), 0), count(*), count(*) FILTER (n = 1), "
        f"coalesce(sum(n) FILTER ({good}), 0), count(*) FILTER ({good}), "
        f"coalesce(min(n) FILTER ({good}), 0), coalesce(min(d) FILTER ({good}), 0), "
        f"{_bins('a', good)} FROM ({groups_of}) WHERE n > 0"
    ).fetchone()
    assert row is not None
    rows, groups, uniques, out, after, smallest, diverse, *bins = (int(v) for v in row)
    return Risk(
        rows,
        out,
        rows - out,
        int(before[0]),
        int(before[1]),
        int(before[2]),
        groups,
        uniques,
        after,
        smallest,
        diverse,
        tuple(int(v) for v in before[3:]),
        tuple(bins),
    )


def measure(lake: Lake, table: str, recipe: Recipe, today: dt.date) -> Risk:
    """How far the rows of a lake table could be traced, before and with a recipe; writes nothing."""
    with lake.connect(read_only=True) as con:
        if _ungrouped(recipe):
            place, have = _source(con, table)
            _checked(recipe, have)
            for t in recipe.kept:
                expression(t, have[t.name], today)
            row = con.execute(f"SELECT count(*) FROM {place}{_where(recipe)}").fetchone()
            return _one_group(int(row[0]) if row else 0)
        kinds = _take(con, table, recipe, measured=True)
        groups = _groups(recipe, _coarse(recipe, kinds, today))
        return _measured(con, recipe, groups, _before(con, recipe))


def soften(
    lake: Lake,
    table: str,
    recipe: Recipe,
    ladders: Mapping[str, Sequence[Treatment]],
    limit: float,
    today: dt.date,
) -> tuple[Recipe, Risk]:
    """Makes a recipe coarser step by step until at most `limit` of the rows are held back.

    `ladders` gives for a column its coarser treatments in order (DROP at the end, if at all); the
    quasi-identifier with the most different values goes next, as in Sweeney's Datafly, or a sensitive
    column, where it is not the groups that are too small but its values too much alike. Returns the
    last recipe and its measure even where the ladders end before the limit is met.
    """
    left = {name: list(steps) for name, steps in ladders.items()}
    with lake.connect(read_only=True) as con:
        kinds = _take(con, table, recipe, measured=True)
        before = _before(con, recipe)

        def done() -> tuple[Recipe, Risk]:
            return recipe, _measured(con, recipe, _groups(recipe, coarse), before)

        while True:
            coarse = _coarse(recipe, kinds, today)
            if _held_back(con, recipe, coarse) <= limit:
                return done()
            candidates = [t for t in recipe.quasi if left.get(t.name)]
            alike = [t for t in recipe.kept if t.role == SENSITIVE and left.get(t.name)]
            if alike and recipe.l > 1 and _held_back(con, replace(recipe, l=1), coarse) <= limit:
                candidates = alike[:1]
            if not candidates:
                return done()
            if len(candidates) == 1:
                chosen = candidates[0].name
            else:
                counts = con.execute(
                    "SELECT "
                    + ", ".join(f"approx_count_distinct({quote(t.name)})" for t in candidates)
                    + f" FROM ({coarse})"
                ).fetchone()
                assert counts is not None
                chosen = max(zip(counts, candidates, strict=True), key=lambda e: e[0])[1].name
            step = left[chosen].pop(0)
            if step.how == DROP and len(recipe.kept) == 1:
                return done()
            recipe = replace(
                recipe,
                treatments=tuple(step if t.name == chosen else t for t in recipe.treatments),
            )


def prepare(
    con: duckdb.DuckDBPyConnection, table: str, recipe: Recipe, today: dt.date, secret: str
) -> Risk:
    """Makes the temporary table `outgoing`, the rows that may go out.

    Where counts go out with noise, each is rounded up or down to a multiple of k, the chance being
    what is left over and the die a digest of `secret` and the cell: so the sums stay true on average
    and the same cell never gets a second throw. Raises LakeError where the rows that came out do not
    hold what the recipe promises.
    """
    con.execute("DROP TABLE IF EXISTS temp.outgoing")
    if _ungrouped(recipe):
        place, have = _source(con, table)
        _checked(recipe, have)
        listed = ", ".join(
            f"{expression(t, have[t.name], today)} AS {quote(t.name)}" for t in recipe.kept
        )
        con.execute(f"CREATE TEMP TABLE outgoing AS SELECT {listed} FROM {place}{_where(recipe)}")
        row = con.execute("SELECT count(*) FROM temp.outgoing").fetchone()
        return _one_group(int(row[0]) if row else 0)
    kinds = _take(con, table, recipe)
    coarse = _coarse(recipe, kinds, today)
    con.execute("DROP TABLE IF EXISTS temp.grouped")
    con.execute(f"CREATE TEMP TABLE grouped AS {_groups(recipe, coarse)}")
    risk = _measured(con, recipe, "SELECT * FROM temp.grouped", _before(con, recipe))
    good, names = _good(recipe), [quote(t.name) for t in recipe.kept]
    if recipe.form == COUNTS:
        listed = ", ".join(names)
        count = "n"
        if recipe.small == NOISE and recipe.k > 1:
            cell = "concat_ws('|', " + ", ".join(f"coalesce({n}::VARCHAR, '')" for n in names) + ")"
            die = f"md5_number_lower({literal(secret)} || {cell}) % {recipe.k}"
            up = f"CASE WHEN {die} < n % {recipe.k} THEN {recipe.k} ELSE 0 END"
            count = f"n - n % {recipe.k} + ({up})"
        query = (
            f"SELECT {listed}, CAST({count} AS BIGINT) AS {quote(COUNT)} "
            f"FROM temp.grouped WHERE {good} AND {count} > 0"
        )
    elif recipe.quasi:
        quasi = ", ".join(quote(t.name) for t in recipe.quasi)
        on = " AND ".join(
            f"r.{quote(t.name)} IS NOT DISTINCT FROM g.{quote(t.name)}" for t in recipe.quasi
        )
        query = (
            f"SELECT {', '.join('r.' + n for n in names)} FROM ({coarse}) r JOIN "
            f"(SELECT {quasi} FROM temp.grouped WHERE {good}) g ON {on}"
        )
    else:
        query = coarse
    con.execute(f"CREATE TEMP TABLE outgoing AS {query}")
    _prove(con, recipe, risk)
    return risk


def _prove(con: duckdb.DuckDBPyConnection, recipe: Recipe, risk: Risk) -> None:
    """Measures what is about to go out; raises LakeError where a group is too small after all."""
    if not recipe.quasi:
        return
    if recipe.form == COUNTS:
        least = con.execute(f"SELECT min({quote(COUNT)}) FROM temp.outgoing").fetchone()
    else:
        names = ", ".join(quote(t.name) for t in recipe.quasi)
        least = con.execute(
            f"SELECT min(n) FROM (SELECT count(*) AS n FROM temp.outgoing GROUP BY {names})"
        ).fetchone()
    if least and least[0] is not None and least[0] < recipe.k:
        raise LakeError(f"匿名化没有达到要求：最小分组 {least[0]} 行，应不少于 {recipe.k} 行")
