"""Release: the files of one open version, written once, and the only way in which rows are read from them.

A version is a folder: `data.parquet` and the same rows as CSV (UTF-8 with byte order mark), XLSX and
JSON. Whoever asks over the API gets rows of that Parquet file, so that an answer can hold nothing
that the download does not. Statements are made here from declared columns; nothing of a visitor's
request is ever SQL, only values for its parameters.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from .deidentify import Recipe, Risk, prepare
from .shelves import Lake, LakeError, literal, load_extension, open_duckdb, quote

PARQUET, CSV, XLSX, JSON = "parquet", "csv", "xlsx", "json"
FORMATS = (CSV, XLSX, JSON, PARQUET)
SHEET_ROWS = 1_000_000
"""Rows: a worksheet ends at 1,048,576; above this no XLSX is written."""
PREVIEW = 20
CATEGORIES = 100
"""Values: a column with more different ones makes no chart by category."""
POINTS = 1500
OUTGOING = "SELECT * FROM temp.outgoing ORDER BY ALL"
"""The rows in their order: by their own values, which tells nothing of where they came from."""
BOM = b"\xef\xbb\xbf"
OPERATORS = ("eq", "ne", "in", "gte", "lte", "contains", "empty")


class BadQuestion(LakeError):
    """A visitor's filter, order or page that this data does not have; the text says which."""


@dataclass(frozen=True)
class Written:
    """One version: rows, the measure, files as {format: {bytes, sha256}}, columns and their profile."""

    rows: int
    risk: Risk
    files: dict[str, dict[str, Any]]
    columns: list[tuple[str, str]]
    preview: list[list[Any]]
    profile: dict[str, dict[str, Any]]
    points: list[list[Any]]


def write(
    lake: Lake,
    table: str,
    recipe: Recipe,
    folder: Path,
    *,
    titles: Mapping[str, str],
    today: dt.date,
    secret: str = "",
    refuse: Any = None,
) -> Written:
    """Writes one version into `folder`, which appears whole or not at all.

    `titles` head the columns of CSV and XLSX (Parquet and JSON keep the names). `refuse(risk)` may
    raise before anything is written. Raises LakeError.
    """
    draft = folder.with_name(f".{folder.name}.{threading.get_ident()}")
    shutil.rmtree(draft, ignore_errors=True)
    with lake.connect(read_only=True) as con:
        risk = prepare(con, table, recipe, today, secret)
        if refuse is not None:
            refuse(risk)
        draft.mkdir(parents=True)
        try:
            columns = [
                (str(r[0]), str(r[1])) for r in con.execute("DESCRIBE temp.outgoing").fetchall()
            ]
            found = con.execute("SELECT count(*) FROM temp.outgoing").fetchone()
            assert found is not None
            rows = int(found[0])
            _write_files(con, draft, columns, titles)
            preview = [
                [_plain(v) for v in row]
                for row in con.execute(
                    "SELECT * EXCLUDE (file_row_number) FROM "
                    f"read_parquet({literal(str(draft / 'data.parquet'))}, file_row_number = true) "
                    f"WHERE file_row_number % {max(-(-rows // PREVIEW), 1)} = 0 "
                    "ORDER BY file_row_number"
                ).fetchall()
            ]
            profile = _profile(con, columns)
            points = _points(con, columns)
            files = {
                kind: {"bytes": path.stat().st_size, "sha256": _digest(path)}
                for kind in FORMATS
                if (path := draft / f"data.{kind}").exists()
            }
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return Written(rows, risk, files, columns, preview, profile, points)


def _defused(column: str, kind: str) -> str:
    """SQL of a cell that no spreadsheet takes for a formula, without characters XML cannot hold."""
    if kind != "VARCHAR":
        return quote(column)
    text = f"regexp_replace({quote(column)}, '[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]', '', 'g')"
    return (
        f"CASE WHEN regexp_matches({text}, '^[\\s]*[=+\\-@\\t\\r]') THEN '''' || {text} "
        f"ELSE {text} END"
    )


def _write_files(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    columns: Sequence[tuple[str, str]],
    titles: Mapping[str, str],
) -> None:
    def copy(query: str, kind: str, options: str) -> None:
        con.execute(f"COPY ({query}) TO {literal(str(folder / f'data.{kind}'))} ({options})")

    copy(OUTGOING, PARQUET, "FORMAT parquet, COMPRESSION zstd")
    copy(OUTGOING, JSON, "FORMAT json, ARRAY true")
    headed = ", ".join(
        f"{_defused(name, kind)} AS {quote(titles.get(name, name))}" for name, kind in columns
    )
    plain = folder / "plain"
    con.execute(
        f"COPY (SELECT {headed} FROM ({OUTGOING})) TO {literal(str(plain))} "
        "(FORMAT csv, HEADER true)"
    )
    with (folder / "data.csv").open("wb") as out, plain.open("rb") as body:
        out.write(BOM)
        shutil.copyfileobj(body, out, 1 << 20)
    plain.unlink()


def write_sheet(
    folder: Path, columns: Mapping[str, str], titles: Mapping[str, str]
) -> dict[str, Any] | None:
    """The worksheet of a version that stands already: {bytes, sha256}; None above SHEET_ROWS rows.

    Apart from the rest, since it costs ten times as much as all other files together.
    """
    source = f"read_parquet({literal(str(folder / 'data.parquet'))})"
    target, draft = folder / "data.xlsx", folder / f".sheet.{threading.get_ident()}"
    con = open_duckdb()
    try:
        con.execute("SET preserve_insertion_order = true")
        found = con.execute(f"SELECT count(*) FROM {source}").fetchone()
        if found is None or found[0] > SHEET_ROWS:
            return None
        load_extension(con, "excel")
        sheet = ", ".join(
            f"left({_defused(name, kind)}, 32000) AS {quote(titles.get(name, name))}"
            if kind == "VARCHAR"
            else f"{quote(name)} AS {quote(titles.get(name, name))}"
            for name, kind in columns.items()
        )
        con.execute(
            f"COPY (SELECT {sheet} FROM {source}) TO {literal(str(draft))} "
            "(FORMAT xlsx, HEADER true, SHEET '数据')"
        )
    finally:
        con.close()
    draft.rename(target)
    return {"bytes": target.stat().st_size, "sha256": _digest(target)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers stay numbers, days and times become text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _profile(
    con: duckdb.DuckDBPyConnection, columns: Sequence[tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    """Of each column: how many different values, how many empty, least and greatest; the commonest
    values of those that have few."""
    if not columns:
        return {}
    parts = []
    for name, _ in columns:
        c = quote(name)
        parts += [
            f"approx_count_distinct({c})",
            f"count(*) - count({c})",
            f"CAST(min({c}) AS VARCHAR)",
            f"CAST(max({c}) AS VARCHAR)",
        ]
    row = con.execute(f"SELECT {', '.join(parts)} FROM temp.outgoing").fetchone()
    assert row is not None
    out: dict[str, dict[str, Any]] = {}
    for i, (name, kind) in enumerate(columns):
        distinct, empty, low, high = row[4 * i : 4 * i + 4]
        short = (str(v)[:80] if v is not None else None for v in (low, high))
        least, greatest = short
        told: dict[str, Any] = {
            "distinct": int(distinct),
            "empty": int(empty),
            "least": least,
            "greatest": greatest,
        }
        if kind in ("VARCHAR", "BOOLEAN") and 1 < distinct <= CATEGORIES:
            told["values"] = [
                [str(v), int(n)]
                for v, n in con.execute(
                    f"SELECT {quote(name)}, count(*) FROM temp.outgoing "
                    f"WHERE {quote(name)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {CATEGORIES}"
                ).fetchall()
            ]
        elif kind in ("DATE", "TIMESTAMP") and distinct > 1:
            told["months"] = [
                [str(v), int(n)]
                for v, n in con.execute(
                    f"SELECT strftime({quote(name)}, '%Y-%m'), count(*) FROM temp.outgoing "
                    f"WHERE {quote(name)} IS NOT NULL GROUP BY 1 ORDER BY 1 DESC LIMIT 36"
                ).fetchall()
            ][::-1]
        out[name] = told
    return out


def _points(con: duckdb.DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> list[list[Any]]:
    """Longitude, latitude and a label of at most POINTS rows, spread over the whole file."""
    names = {name for name, _ in columns}
    if not {"longitude", "latitude"} <= names:
        return []
    label = next((n for n, k in columns if k == "VARCHAR" and n.endswith("_name")), None)
    label = label or next((n for n, k in columns if k == "VARCHAR"), None)
    told = f"left({quote(label)}, 40)" if label else "''"
    rows = con.execute(
        f"SELECT round(longitude, 5)::DOUBLE, round(latitude, 5)::DOUBLE, {told} FROM temp.outgoing "
        "WHERE longitude IS NOT NULL AND latitude IS NOT NULL "
        f"USING SAMPLE reservoir({POINTS} ROWS) REPEATABLE (7)"
    ).fetchall()
    return [list(r) for r in rows]


# ---- reading -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A page of rows that somebody wants, in declared names and plain values only.

    `filters` are (column, operator, value); `order` is (column, descending); `text` is looked for in
    all columns that hold text.
    """

    filters: tuple[tuple[str, str, Any], ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    columns: tuple[str, ...] = ()
    text: str = ""
    limit: int = 100
    offset: int = 0
    total: bool = True


_opening = threading.Lock()
_reader: dict[str, duckdb.DuckDBPyConnection] = {}
_counted: dict[tuple[Any, ...], int] = {}
COUNTED = 2000
"""Counts that a process remembers: of a version and the conditions on its rows."""


@contextmanager
def _reading(base: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of this process's DuckDB that can open files below `base` and nothing else."""
    key = str(base.resolve())
    with _opening:
        root = _reader.get(key)
        if root is None:
            root = open_duckdb("256MB", 2)
            root.execute("SET preserve_insertion_order = true")
            root.execute("SET parquet_metadata_cache = true")
            root.execute(f"SET allowed_directories = [{literal(key)}]")
            root.execute("SET enable_external_access = false")
            root.execute("SET lock_configuration = true")
            _reader[key] = root
    cursor = root.cursor()
    try:
        yield cursor
    finally:
        cursor.close()


def ask(
    base: Path, folder: Path, columns: Mapping[str, str], question: Question, rows: int
) -> tuple[list[str], list[list[Any]], int | None]:
    """A page of a version's rows: names, rows as JSON values, and how many match in all.

    `columns` are the declared names and types, `rows` the version's own count. Raises BadQuestion.
    """
    wanted = list(question.columns) or list(columns)
    for name in [*wanted, *(f[0] for f in question.filters), *(o[0] for o in question.order)]:
        if name not in columns:
            raise BadQuestion(f"没有名为“{name}”的数据项")
    conditions, values = _conditions(question, columns)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    place = f"read_parquet({literal(str((folder / 'data.parquet').resolve()))}"
    order = ""
    if question.order:
        order = " ORDER BY " + ", ".join(
            f"{quote(name)} {'DESC' if down else 'ASC'} NULLS LAST" for name, down in question.order
        )
        order += ", file_row_number"
    with _reading(base) as con:
        try:
            found = con.execute(
                f"SELECT {', '.join(map(quote, wanted))} FROM {place}, file_row_number = true)"
                f"{where}{order} LIMIT {int(question.limit)} OFFSET {int(question.offset)}",
                values,
            ).fetchall()
            total: int | None = None
            if question.total and not where:
                total = rows
            elif question.total:
                total = question.offset + len(found)
                if len(found) == question.limit or (question.offset and not found):
                    total = _count(con, folder, where, values)
        except duckdb.ConversionException as error:
            raise BadQuestion("筛选值与数据项的类型不符") from error
    return wanted, [[_plain(v) for v in row] for row in found], total


def _count(con: duckdb.DuckDBPyConnection, folder: Path, where: str, values: Sequence[Any]) -> int:
    """How many rows of a version match; the last answers are remembered, since a file never changes."""
    path = (folder / "data.parquet").resolve()
    told = path.stat()
    key = (str(path), told.st_mtime_ns, told.st_size, where, tuple(values))
    with _opening:
        known = _counted.get(key)
    if known is None:
        row = con.execute(
            f"SELECT count(*) FROM read_parquet({literal(str(path))}){where}", list(values)
        ).fetchone()
        known = int(row[0]) if row else 0
        with _opening:
            while len(_counted) >= COUNTED:
                _counted.pop(next(iter(_counted)))
            _counted[key] = known
    return known


def _conditions(question: Question, columns: Mapping[str, str]) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for name, operator, value in question.filters:
        column, kind = quote(name), columns[name]
        if operator == "empty":
            conditions.append(f"{column} IS {'NULL' if value else 'NOT NULL'}")
        elif operator == "in":
            listed = list(value)
            if not listed:
                raise BadQuestion(f"“{name}”的取值列表为空")
            marks = ", ".join(f"CAST(? AS {kind})" for _ in listed)
            conditions.append(f"{column} IN ({marks})")
            values += [str(v) for v in listed]
        elif operator == "contains":
            conditions.append(f"contains(CAST({column} AS VARCHAR), ?)")
            values.append(str(value))
        elif operator in ("eq", "ne", "gte", "lte"):
            sign = {"eq": "=", "ne": "<>", "gte": ">=", "lte": "<="}[operator]
            conditions.append(f"{column} {sign} CAST(? AS {kind})")
            values.append(str(value))
        else:
            raise BadQuestion(f"不支持的筛选方式“{operator}”")
    if question.text:
        texts = [quote(n) for n, kind in columns.items() if kind == "VARCHAR"]
        if not texts:
            raise BadQuestion("该数据集没有文本数据项，不能全文检索")
        conditions.append("(" + " OR ".join(f"contains({c}, ?)" for c in texts) + ")")
        values += [question.text] * len(texts)
    return conditions, values
