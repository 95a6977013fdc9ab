"""Facts from the lake: whom a rule fits, asked of a whole library in one statement; one party's facts."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from lianyun.capabilities.collection import api as collection
from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.lake.shelves import LakeError, quote, table_columns

from .rules import declared, expressions
from .rules.facts import TAKES, BadFact, Fact, Sheet, sheets

_SHAPES = {
    "years": "date_sub('year', {d}, {today})",
    "years_this_year": "(year({today}) - year({d}))",
    "months": "date_sub('month', {d}, {today})",
    "days": "date_diff('day', {d}, {today})",
    "days_left": "date_diff('day', {today}, {d})",
}


@cache
def all_facts() -> dict[str, Sheet]:
    """The facts that packs declare, by subject; raises BadFact."""
    return sheets(d.data for d in packs.declarations("facts"))


@cache
def declarations() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every declared rule and policy: code → (kind, content as JSON may hold it)."""
    out: dict[str, tuple[str, dict[str, Any]]] = {}
    for kind, folder in ((declared.OFFER, "offers"), (declared.SUBSIDY, "subsidies")):
        for found in packs.declarations(folder):
            told = {
                k: v.isoformat() if isinstance(v, dt.date) else v for k, v in found.data.items()
            }
            out[str(told.get("code") or found.name)] = (kind, told)
    return out


@cache
def settings() -> dict[str, Any]:
    """Words, days and their sources as packs/core/offers.yaml declares them."""
    return packs.mapping("core", "offers.yaml")


def place_of(source: str) -> str:
    """The SQL name of `library.x` or `trusted.y`."""
    schema, _, name = source.partition(".")
    return f"lake.{schema}.{quote(name)}"


# ---- the statement -------------------------------------------------------------------------


def _columns(con: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    schema, _, name = source.partition(".")
    return table_columns(con, schema, name)


def _rows_sql(
    fact: Fact, sheet: Sheet, have: Mapping[str, str], today: str
) -> tuple[str, list[str]] | None:
    """The value that a fact takes from rows of another table, by audience id; None without the table."""
    used = [c for c, _ in fact.match] + ([fact.column] if fact.column else [])
    if not have or any(c not in have for c in used):
        return None
    on = " AND ".join(
        f"CAST(s.{quote(c)} AS VARCHAR) = CAST(b.{quote('_' + own)} AS VARCHAR)"
        for c, own in fact.match
    )
    if fact.where:
        names = {c: f"s.{quote(c)}" for c in have} | {"today": today}
        on += f" AND {expressions.to_sql(fact.where, names)}"
    value = "s." + quote(fact.column) if fact.column else "*"
    return (
        f"SELECT b.id, {TAKES[fact.take]}({value}) AS v FROM base b JOIN {place_of(fact.source)} s "
        f"ON {on} GROUP BY b.id",
        [own for _, own in fact.match],
    )


def _pour(con: duckdb.DuckDBPyConnection, audience: Sequence[tuple[int, str]]) -> None:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE audience AS SELECT unnest(?::BIGINT[]) AS id, "
        "unnest(?::VARCHAR[]) AS key",
        [[a for a, _ in audience], [k for _, k in audience]],
    )


def _tell(
    con: duckdb.DuckDBPyConnection, sheet: Sheet, wanted: Mapping[str, Fact], today: dt.date
) -> None:
    """Make the table `told`: one row for each of the audience that the base library knows."""
    now = f"DATE '{today.isoformat()}'"
    base = place_of(f"library.{sheet.library}")
    have = _columns(con, f"library.{sheet.library}")
    if not have:
        raise LakeError("基础库还没有建立")
    plain = {f.name: f.field for f in wanted.values() if f.field}
    joins, picked, owns = [], [], {sheet.key}
    for number, fact in enumerate(f for f in wanted.values() if f.source):
        made = _rows_sql(fact, sheet, _columns(con, fact.source), now)
        if made is None:
            picked.append(f"NULL AS {quote(fact.name)}")
            continue
        sql, own = made
        owns |= set(own)
        joins.append(f"LEFT JOIN ({sql}) r{number} ON r{number}.id = b.id")
        value = f"r{number}.v"
        # A table that is there and has no row of hers says none; one that is not says nothing.
        picked.append(
            f"coalesce({value}, 0) AS {quote(fact.name)}"
            if fact.take in ("count", "sum")
            else f"{value} AS {quote(fact.name)}"
        )
    listed = ", ".join(
        [f"l.{quote(c) if c in have else 'NULL'} AS {quote('_' + c)}".replace("l.NULL", "NULL")
         for c in sorted(owns)]
        + [
            f"l.{quote(c)} AS {quote(n)}" if c in have else f"NULL AS {quote(n)}"
            for n, c in plain.items()
        ]
    )  # fmt: skip
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE base AS SELECT a.id, {listed} FROM audience a "
        f"JOIN {base} l ON l.{quote(sheet.key)} = a.key"
    )
    shown = ["b.id", *(f"b.{quote(n)}" for n in plain), *picked]
    shaped = [
        _SHAPES[f.shape].format(d=f"TRY_CAST({quote(f.of)} AS DATE)", today=now)
        + f" AS {quote(f.name)}"
        for f in wanted.values()
        if f.of
    ]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE told AS WITH joined AS ("
        f"SELECT {', '.join(shown)} FROM base b {' '.join(joins)}) "
        f"SELECT *{''.join(', ' + m for m in shaped)} FROM joined"
    )


def _touched(
    con: duckdb.DuckDBPyConnection,
    sheet: Sheet,
    wanted: Mapping[str, Fact],
    source: str,
    batch: str,
) -> None:
    """Leave in the audience only those about whom a batch of one source said something new."""
    base = place_of(f"library.{sheet.library}")
    asked = []
    if source == f"library.{sheet.library}":
        asked.append(
            f"SELECT a.id FROM audience a JOIN {base} l ON l.{quote(sheet.key)} = a.key "
            "WHERE l._batch = $batch"
        )
    elif _columns(con, source):
        for fact in {f.match: f for f in wanted.values() if f.source == source}.values():
            on = " AND ".join(
                f"CAST(s.{quote(c)} AS VARCHAR) = CAST(l.{quote(own)} AS VARCHAR)"
                for c, own in fact.match
            )
            asked.append(
                f"SELECT a.id FROM audience a JOIN {base} l ON l.{quote(sheet.key)} = a.key "
                f"JOIN {place_of(source)} s ON {on} WHERE s._batch = $batch"
            )
    found = " UNION ".join(asked) or "SELECT id FROM audience WHERE $batch IS NULL"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE audience AS SELECT * FROM audience WHERE id IN ({found})",
        {"batch": batch},
    )


@dataclass(frozen=True)
class Fitting:
    """Whom rules fit: `read` are all whose facts were looked at, `fits` by rule code."""

    read: frozenset[int]
    fits: dict[str, frozenset[int]]


def fitting(
    sheet: Sheet,
    rules: Sequence[declared.Declared],
    audience: Sequence[tuple[int, str]],
    today: dt.date,
    *,
    source: str = "",
    batch: str = "",
) -> Fitting:
    """Ask rules of an audience (party id, number) in bulk, or only of whom a batch touched.

    Raises UserError where the lake does not answer.
    """
    names = [n for r in rules for n in r.facts]
    wanted = sheet.wanted(names)
    fits: dict[str, frozenset[int]] = {}
    try:
        with collection.lake().connect(read_only=True) as con:
            _pour(con, audience)
            if source:
                _touched(con, sheet, wanted, source, batch)
            _tell(con, sheet, wanted, today)
            read = frozenset(r[0] for r in con.execute("SELECT id FROM told").fetchall())
            columns = {n: quote(n) for n in wanted}
            columns["today"] = f"DATE '{today.isoformat()}'"
            for rule in rules:
                sql = expressions.to_sql(rule.when, columns)
                rows = con.execute(f"SELECT id FROM told WHERE {sql}").fetchall()
                fits[rule.code] = frozenset(r[0] for r in rows)
    except (duckdb.Error, LakeError) as error:
        raise UserError(f"数据暂时读不到：{error}") from error
    return Fitting(read, fits)


@dataclass(frozen=True)
class Known:
    """What is known of one party: values by fact, which conditions hold, what each policy would pay (fen)."""

    values: dict[str, Any]
    holds: dict[tuple[str, str], bool]
    amounts: dict[str, int]


def known(
    sheet: Sheet, rules: Sequence[declared.Declared], key: str, today: dt.date
) -> Known | None:
    """One party's facts under these rules; None where the base library does not know the number."""
    wanted = sheet.wanted([n for r in rules for n in r.facts])
    columns = {n: quote(n) for n in wanted} | {"today": f"DATE '{today.isoformat()}'"}
    asked: list[tuple[str, str]] = []
    parts = []
    for rule in rules:
        for condition in rule.conditions:
            asked.append((rule.code, condition.id))
            parts.append(expressions.to_sql(condition.when, columns))
    paid = [r for r in rules if r.amount]
    for rule in paid:
        worth = expressions.to_sql(rule.amount, columns)
        parts.append(
            f"CAST(floor(least(greatest(coalesce({worth}, 0), 0) * 100, {rule.most})) AS BIGINT)"
        )
    try:
        with collection.lake().connect(read_only=True) as con:
            _pour(con, [(1, key)])
            _tell(con, sheet, wanted, today)
            listed = ", ".join([*(quote(n) for n in wanted), *parts]) or "1"
            row = con.execute(f"SELECT {listed} FROM told LIMIT 1").fetchone()
    except (duckdb.Error, LakeError) as error:
        raise UserError(f"数据暂时读不到：{error}") from error
    if row is None:
        return None
    at, upto = len(wanted), len(wanted) + len(asked)
    return Known(
        dict(zip(wanted, (_plain(v) for v in row[:at]), strict=True)),
        dict(zip(asked, (bool(v) for v in row[at:upto]), strict=True)),
        dict(zip((r.code for r in paid), (int(v or 0) for v in row[upto:]), strict=True)),
    )


def _plain(value: Any) -> Any:
    """A value of the lake as JSON may hold it."""
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value) if value % 1 else int(value)
    return value


def newest_row(
    dataset: str, match: Mapping[str, str], columns: Sequence[str]
) -> dict[str, Any] | None:
    """The newest row of a dataset that has these values: these columns, and when it was loaded."""
    try:
        with collection.lake().connect(read_only=True) as con:
            have = table_columns(con, "trusted", dataset)
            if not have or any(c not in have for c in (*match, *columns)):
                return None
            tests = " AND ".join(f"CAST({quote(c)} AS VARCHAR) = ?" for c in match)
            day = "update_time" if "update_time" in have else "_loaded_at"
            listed = ", ".join([*(quote(c) for c in columns), f"{quote(day)} AS _day"])
            row = con.execute(
                f"SELECT {listed} FROM lake.trusted.{quote(dataset)} WHERE {tests} "
                "ORDER BY _loaded_at DESC LIMIT 1",
                list(match.values()),
            ).fetchone()
    except (duckdb.Error, LakeError) as error:
        raise UserError(f"数据暂时读不到：{error}") from error
    return None if row is None else dict(zip([*columns, "_day"], map(_plain, row), strict=True))


__all__ = [
    "BadFact",
    "Fitting",
    "Known",
    "all_facts",
    "declarations",
    "fitting",
    "known",
    "newest_row",
    "place_of",
    "settings",
]
