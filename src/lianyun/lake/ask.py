"""Asking: read-only SQL over what the asker may see, and nothing else.

The question is parsed twice, by SQLGlot here and by DuckDB's own parser where it runs; only SELECT
over allowed names and white-listed functions passes. It runs in a process of its own (`confined`)
whose DuckDB has nothing attached but views over the files of the allowed tables, masked and
filtered, so that no clause can look behind them (ADR 0010). Statistics over personal rows that the
asker sees only masked leave out groups of fewer than `Limits.group` people.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from .check import SAFE_FUNCTIONS, function_names
from .shelves import Lake, LakeError, extension_path, literal, quote, table_columns, valid_name

AGGREGATES = frozenset(
    [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "any_value",
        "first",
        "last",
        "arg_min",
        "arg_max",
        "median",
        "mode",
        "stddev",
        "stddev_samp",
        "stddev_pop",
        "variance",
        "var_samp",
        "var_pop",
        "string_agg",
        "listagg",
        "group_concat",
        "list",
        "array_agg",
        "approx_count_distinct",
        "approx_distinct",
        "quantile_cont",
        "quantile_disc",
        "percentile_cont",
        "percentile_disc",
        "quantile",
        "bool_and",
        "bool_or",
        "logical_and",
        "logical_or",
        "bit_and",
        "bit_or",
        "corr",
        "row_number",
        "rank",
        "dense_rank",
        "percent_rank",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
        "nth_value",
        "cume_dist",
        "count_if",
        "product",
        "histogram",
        "approx_quantile",
        "count_star",
    ]
)
OTHERS = frozenset(
    [
        "coalesce",
        "case",
        "cast",
        "try_cast",
        "extract",
        "interval",
        "struct_pack",
        "struct",
        "row",
        "array",
        "map",
        "list_value",
        "unnest",
        "to_days",
        "to_months",
        "to_years",
        "date_add",
        "date_sub",
        "dateadd",
        "datesub",
        "current_timestamp",
        "now",
        "current_time",
        "localtimestamp",
        "timestamp_trunc",
        "to_date",
        "exists",
        "in",
        "between",
        "and",
        "or",
        "xor",
        "not",
        "add_months",
        "last_day",
        "epoch",
        "monthname",
        "dayname",
        "dayofyear",
        "weekofyear",
        "isodow",
        "len",
        "array_length",
        "list_sort",
        "list_distinct",
        "list_filter",
        "substring",
        "position",
        "trim",
        "round",
        "is_nan",
        "json_extract",
        "json_extract_string",
        "like",
        "ilike",
        "year",
        "month",
        "day",
    ]
)
_BOMBS = frozenset(["repeat", "printf", "format", "lpad", "rpad"])
"""Harmless in a pack's rule, but a few signs of them make gigabytes."""
_ALLOWED = (SAFE_FUNCTIONS | AGGREGATES | OTHERS) - _BOMBS
_OPERATORS = frozenset(
    [
        *("+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*", "^", "**", "&", "|"),
        *("<<", ">>", "~", "@", "~~~", "not_like_escape", "like_escape", "ilike_escape", "add"),
        *("subtract", "multiply", "divide", "mod", "date_part", "struct_extract", "list_extract"),
        *("array_extract", "list_slice", "array_slice", "main.list_value", "regexp_matches"),
        *("count_star", "first", "epoch_ms", "strptime", "strftime", "to_timestamp", "age"),
        *("get_current_timestamp", "current_localtimestamp", "current_date", "today", "now"),
        *("to_years", "to_months", "to_days", "to_hours", "to_minutes", "to_seconds", "to_weeks"),
        *("to_quarters", "list_has", "list_contains", "contains", "prefix", "suffix", "row"),
        *("date_sub", "datesub", "datetrunc", "date_trunc", "datepart", "substring_grapheme"),
        *("constant_or_null", "error", "quantile_cont", "quantile_disc", "mad", "skewness"),
        *("kurtosis", "entropy", "regr_slope", "covar_pop", "covar_samp", "fsum", "kahan_sum"),
        *("max_by", "min_by", "argmax", "argmin", "isnan", "isinf", "signbit", "strlen"),
        *("array_to_string", "list_aggregate", "list_sum", "list_avg", "dayofmonth", "weekday"),
        *("yearweek", "century", "decade", "era", "julian", "nfc_normalize", "rank_dense"),
    ]
) - frozenset(["error"])
ENGINE_FUNCTIONS = sorted(_ALLOWED | _OPERATORS)
"""Functions by the names under which DuckDB's parser knows them."""
_RANKS = (exp.RowNumber, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Ntile)
_PLAIN = re.compile(r"[A-Z_ ]+|DECIMAL\(\d+,\d+\)")
"""Types of columns that can be asked: nothing nested."""
_STATEMENTS = (exp.DDL, exp.DML, exp.Command, exp.Into, exp.Pragma, exp.Set, exp.Attach, exp.Copy)
LONGEST = 20_000
"""Most signs that a question may have."""
PERSON = "_no"
"""The column of a guarded view that tells one person's rows from another's; never shown."""


class Refused(LakeError):
    """The query asks for something it may not, or is no query."""


class TooSlow(LakeError):
    """The query ran longer than it may."""


class Cancelled(LakeError):
    """The asker took the question back."""


class Heavy(LakeError):
    """The question is so heavy that the asker must confirm it; `cost` says how heavy."""

    def __init__(self, cost: Cost) -> None:
        super().__init__(cost.words)
        self.cost = cost


@dataclass(frozen=True)
class Limits:
    """What one question may use: rows, seconds, bytes of memory and of scratch disk, threads.

    `group` is the fewest people of whom statistics are told (1: no such limit). Above
    `confirm_rows` rows or `confirm_bytes` bytes to read, or `confirm_widest` rows of intermediate
    result, the asker must confirm; above `refuse_widest` the question is refused.
    """

    rows: int = 1000
    seconds: float = 30.0
    memory: int = 512 << 20
    temporary: int = 2 << 30
    threads: int = 2
    group: int = 5
    confirm_rows: int = 5_000_000
    confirm_bytes: int = 500 << 20
    confirm_widest: float = 5e7
    refuse_widest: float = 1e11


@dataclass(frozen=True)
class Cost:
    """What a question will read: rows and bytes of files, and the widest intermediate result."""

    rows: int
    bytes: int
    widest: float = 0.0

    @property
    def words(self) -> str:
        """The cost in one Chinese sentence."""
        wide = (
            f"，中间结果约 {_many(self.widest)} 行" if self.widest > max(self.rows, 1) * 2 else ""
        )
        size = self.bytes / (1 << 20)
        read = f"{size:,.1f} MB" if size >= 0.1 else f"{self.bytes / 1024:,.0f} KB"
        return f"预计读取 {_many(self.rows)} 行、{read}{wide}"


def _many(number: float) -> str:
    if number >= 1e8:
        return f"{number / 1e8:,.1f} 亿"
    return f"{number / 1e4:,.1f} 万" if number >= 1e5 else f"{int(number):,}"


@dataclass(frozen=True)
class Allowed:
    """A table the asker may read: ``trusted.x`` or ``library.x``, its columns, masks and rows.

    `masks` maps a column to citizen_number, name, phone, address or hidden. `row_filter` is SQL
    over the table's columns written by the house, never by the asker. A `guarded` table holds
    personal rows that the asker sees only masked; `person` is the column that tells whose they are.
    `links` are masked columns that get a companion ``<name>_link``: the same for the same value
    within one question, another in the next, so that tables can be joined without being told apart.
    """

    table: str
    columns: Sequence[str] | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    row_filter: str | None = None
    person: str | None = None
    guarded: bool = False
    links: Sequence[str] = ()


def mask_sql(mask: str, column: str) -> str:
    """SQL of a masked value: enough to recognise, too little to identify (GB/T 35273)."""
    text = f"CAST({quote(column)} AS VARCHAR)"
    if mask in ("none", ""):
        return quote(column)
    if mask == "citizen_number":
        return (
            f"CASE WHEN length({text}) > 7 THEN left({text}, 3) || "
            f"repeat('*', length({text}) - 5) || right({text}, 2) ELSE repeat('*', length({text})) END"
        )
    if mask == "name":
        return f"left({text}, 1) || repeat('*', greatest(length({text}) - 1, 1))"
    if mask == "phone":
        return (
            f"CASE WHEN length({text}) >= 8 THEN left({text}, 3) || "
            f"repeat('*', length({text}) - 7) || right({text}, 4) ELSE repeat('*', length({text})) END"
        )
    if mask == "address":
        return f"left({text}, 6) || CASE WHEN length({text}) > 6 THEN '******' ELSE '' END"
    return f"CASE WHEN {quote(column)} IS NULL THEN NULL ELSE '******' END"


# ---- what may be asked -------------------------------------------------------------------


def vet(sql: str, tables: Sequence[str], guarded: Sequence[str] = (), group: int = 1) -> str:
    """The question rewritten from its parse tree, if it only reads `tables` by their visible names.

    Over `guarded` tables every group must have at least `group` people. Raises Refused.
    """
    if len(sql) > LONGEST:
        raise Refused(f"查询语句过长（最多 {LONGEST:,} 字）")
    try:
        return _vetted(sql, tables, guarded, group)
    except RecursionError as error:
        raise Refused("查询语句嵌套过深，请简化") from error


def _vetted(sql: str, tables: Sequence[str], guarded: Sequence[str], group: int) -> str:
    try:
        parsed = [p for p in sqlglot.parse(sql, read="duckdb") if p is not None]
    except sqlglot.errors.SqlglotError as error:
        raise Refused(f"查询语句无法解析：{str(error).splitlines()[0]}") from error
    if len(parsed) != 1:
        raise Refused("一次只能执行一条查询")
    tree = parsed[0]
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise Refused("只能执行 SELECT 查询")
    names = {t.lower() for t in tables}
    for node in tree.walk():
        _harmless(node, names)
    try:
        scopes = traverse_scope(tree)
    except sqlglot.errors.SqlglotError as error:
        raise Refused(f"查询语句无法解析：{error}") from error
    for table in tree.find_all(exp.Table):
        local = any(
            table.name.lower() in {str(n).lower() for n in scope.cte_sources}
            for scope in scopes
            if table in scope.tables or table in scope.find_all(exp.Table)
        )
        if table.db or table.catalog or (not local and table.name.lower() not in names):
            raise Refused(f"没有权限读取“{table.sql(dialect='duckdb')[:80]}”，或它不存在")
    if guarded:
        _Guard({g.lower() for g in guarded}, group).apply(tree)
    return tree.sql(dialect="duckdb")


def _harmless(node: exp.Expr, names: set[str]) -> None:
    """Raises Refused where a node of the parse tree does anything but read."""
    if isinstance(node, _STATEMENTS):
        raise Refused("只能执行 SELECT 查询")
    if isinstance(node, exp.Placeholder | exp.Parameter | exp.SessionParameter):
        raise Refused("查询里不能有参数")
    if isinstance(node, exp.Pivot | exp.Lateral | exp.TableSample | exp.Lock):
        raise Refused("不支持 PIVOT、LATERAL、抽样和加锁")
    if isinstance(node, exp.Columns):
        raise Refused("不支持 COLUMNS(…)，请写出列名")
    if isinstance(node, exp.Identifier) and node.this.startswith("_"):
        raise Refused(f"没有名为“{node.this}”的列")
    if isinstance(node, exp.CTE):
        name = node.alias.lower()
        if name in names or name.startswith(("duckdb_", "pg_", "sqlite_", "pragma_")):
            raise Refused(f"WITH 中的名称“{node.alias}”与数据同名，请换一个")
    if isinstance(node, exp.Join) and str(node.args.get("method") or "").upper() in (
        "NATURAL",
        "ASOF",
        "POSITIONAL",
    ):
        raise Refused("不支持 NATURAL、ASOF、POSITIONAL 关联，请写明关联条件")
    if isinstance(node, exp.Func) and not isinstance(
        node, exp.Connector | exp.Binary | exp.Cast | exp.Case | exp.If | exp.Subquery
    ):
        found = function_names(node)
        if not found & _ALLOWED or found & _BOMBS:
            raise Refused(f"不允许使用函数“{min(found, default=node.key)}”")
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        raise Refused(f"不允许从“{node.sql(dialect='duckdb')[:60]}”读取")


class _Guard:
    """Rewrites a question so that statistics over guarded tables leave small groups out.

    A view over a guarded table has a column that tells people apart. It is handed on through plain
    subqueries and CTEs, taken out of every `*`, and each aggregation gets a HAVING that counts it.
    """

    def __init__(self, tables: set[str], group: int) -> None:
        self.tables, self.group = tables, group
        self.seen: set[int] = set()

    def apply(self, tree: exp.Expr) -> None:
        """Guard the whole question in place; raises Refused where a part cannot be guarded."""
        self.visit(tree, {}, False)
        if any(id(node) not in self.seen for node in tree.find_all(exp.Select)):
            raise Refused("含个人信息的数据不支持这种写法，请改用子查询或 WITH")

    def visit(self, node: exp.Expr, known: Mapping[str, bool], wanted: bool) -> bool:
        """Guard a query; True where its rows carry the person column (only if `wanted`)."""
        ctes = dict(known)
        with_ = node.args.get("with_")
        plain = with_ is not None and not with_.args.get("recursive")
        for cte in with_.expressions if with_ else ():
            ctes[cte.alias.lower()] = False  # a recursive one may name itself
            ctes[cte.alias.lower()] = self.visit(
                cte.this, ctes, plain and not cte.args["alias"].columns
            )
        if isinstance(node, exp.Subquery):
            return self.visit(node.this, ctes, wanted)
        if isinstance(node, exp.SetOperation):
            self.visit(node.left, ctes, False)
            self.visit(node.right, ctes, False)
            self.others(node, ctes, {id(node.left), id(node.right)})
            return False
        if not isinstance(node, exp.Select):
            return False
        self.seen.add(id(node))
        carriers, visited = self.sources(node, ctes)
        self.others(node, ctes, visited)
        aggregated = self.aggregated(node, bool(carriers))
        if not carriers:
            return False
        if aggregated:
            for alias in carriers if self.group > 1 else ():
                person = exp.column(PERSON, table=alias, quoted=True)
                node.having(
                    exp.GTE(
                        this=exp.Count(this=exp.Distinct(expressions=[person])),
                        expression=exp.Literal.number(self.group),
                    ),
                    copy=False,
                )
            return False
        self.hide(node, carriers)
        if not wanted or node.args.get("distinct") or node.args.get("group"):
            return False
        node.select(
            exp.alias_(exp.column(PERSON, table=carriers[0], quoted=True), PERSON, quoted=True),
            copy=False,
        )
        return True

    def sources(self, node: exp.Select, ctes: Mapping[str, bool]) -> tuple[list[str], set[int]]:
        """The aliases of sources whose rows carry the person column; and what was visited."""
        carriers: list[str] = []
        visited: set[int] = set()
        from_ = node.args.get("from_")
        waiting = [from_.this] if from_ else []
        waiting += [join.this for join in node.args.get("joins") or ()]
        while waiting:
            source = waiting.pop(0)
            waiting += [join.this for join in source.args.get("joins") or ()]
            if isinstance(source, exp.Table):
                name = source.name.lower()
                if ctes.get(name, name in self.tables):
                    carriers.append(source.alias_or_name)
            elif isinstance(source, exp.Subquery):
                if isinstance(source.this, exp.Table | exp.Subquery) and not source.alias:
                    waiting.append(source.this)
                    continue
                visited.add(id(source.this))
                alias = source.args.get("alias")
                plain = bool(source.alias) and not (alias and alias.columns)
                if self.visit(source.this, ctes, plain):
                    carriers.append(source.alias)
        return carriers, visited

    def others(self, node: exp.Expr, ctes: Mapping[str, bool], done: set[int]) -> None:
        """Guard queries inside expressions (EXISTS, IN, scalar ones)."""
        for inner in list(node.find_all(exp.Select, exp.SetOperation)):
            if id(inner) in done or inner is node or id(inner) in self.seen:
                continue
            above = inner.parent
            while above is not None and not isinstance(above, exp.Select | exp.SetOperation):
                above = above.parent
            if above is node:
                self.visit(inner, ctes, False)

    def aggregated(self, node: exp.Select, guarded: bool) -> bool:
        """Whether this SELECT makes groups; refuses windows that would tell of small ones."""
        made = bool(node.args.get("group"))
        for part in node.find_all(exp.AggFunc):
            above = part.parent
            while above is not None and not isinstance(above, exp.Select | exp.Window):
                above = above.parent
            if isinstance(above, exp.Window):
                if (
                    guarded
                    and not isinstance(part, _RANKS)
                    and above.find_ancestor(exp.Select) is node
                ):
                    raise Refused("含个人信息的数据不能用窗口函数汇总，请改用 GROUP BY")
                continue
            made = made or above is node
        return made

    @staticmethod
    def hide(node: exp.Select, carriers: Sequence[str]) -> None:
        """Take the person column out of every `*` of a SELECT."""
        known = {c.lower() for c in carriers}
        for part in node.expressions:
            star = part.this if isinstance(part, exp.Column) else part
            if not isinstance(star, exp.Star):
                continue
            if isinstance(part, exp.Column) and part.table.lower() not in known:
                continue
            hidden = exp.column(PERSON, quoted=True)
            star.set("except_", [*(star.args.get("except_") or []), hidden])


# ---- what the process sees ---------------------------------------------------------------


@dataclass(frozen=True)
class _Files:
    """A table's files as of one moment: whole ones, those with deleted rows, and its columns."""

    whole: list[str]
    deleted: list[tuple[str, str]]
    rows: int
    bytes: int
    columns: dict[str, tuple[int, str]]

    @property
    def paths(self) -> list[str]:
        """Every path that reading the table opens."""
        return [*self.whole, *(path for pair in self.deleted for path in pair)]


_COLUMNS = """
SELECT c.column_name, c.column_id,
       coalesce((SELECT sum(f.record_count) FROM {s}.ducklake_data_file f
                 WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL), 0)
FROM {s}.ducklake_table t JOIN {s}.ducklake_schema n ON n.schema_id = t.schema_id
JOIN {s}.ducklake_column c ON c.table_id = t.table_id
WHERE n.schema_name = %s AND t.table_name = %s AND t.end_snapshot IS NULL
  AND n.end_snapshot IS NULL AND c.end_snapshot IS NULL AND c.parent_column IS NULL
"""


def _files(
    lake: Lake, con: duckdb.DuckDBPyConnection, pg: Any, schema: str, table: str
) -> _Files | None:
    types = table_columns(con, schema, table)
    if not types:
        return None
    found = pg.execute(_COLUMNS.format(s=quote(lake.metadata_schema)), (schema, table)).fetchall()
    listed = con.execute(
        "SELECT data_file, delete_file, data_file_size_bytes FROM "
        f"ducklake_list_files('lake', {literal(table)}, schema => {literal(schema)})"
    ).fetchall()
    return _Files(
        [data for data, gone, _ in listed if gone is None],
        [(data, gone) for data, gone, _ in listed if gone is not None],
        int(found[0][2]) if found else 0,
        sum(int(size or 0) for _, _, size in listed),
        {
            name: (int(number), types[name])
            for name, number, _ in found
            if name in types and _PLAIN.fullmatch(types[name])
        },
    )


def _relation(files: _Files) -> str:
    """SQL of a table's rows from its files, without those that were deleted since."""
    schema = ", ".join(
        f"{number}: {{name: {literal(name)}, type: {literal(kind)}, default_value: NULL}}"
        for name, (number, kind) in files.columns.items()
    )
    listed = ", ".join(quote(name) for name in files.columns)

    def read(paths: Sequence[str], more: str = "") -> str:
        quoted = ", ".join(literal(p) for p in paths)
        return (
            f"read_parquet([{quoted}], schema = MAP {{{schema}}}, "
            f"explicit_cardinality = {max(files.rows, 1)}{more})"
        )

    parts = []
    if files.whole:
        parts.append(f"SELECT {listed} FROM {read(files.whole)}")
    if files.deleted:
        data = read(
            [data for data, _ in files.deleted], ", filename = true, file_row_number = true"
        )
        gone = ", ".join(literal(path) for _, path in files.deleted)
        parts.append(
            f"SELECT {listed} FROM (SELECT * FROM {data}) d WHERE NOT EXISTS (SELECT 1 FROM "
            f"read_parquet([{gone}]) g WHERE g.file_path = d.filename AND g.pos = d.file_row_number)"
        )
    if not parts:
        nothing = ", ".join(
            f"CAST(NULL AS {kind}) AS {quote(name)}" for name, (_, kind) in files.columns.items()
        )
        return f"SELECT {nothing} WHERE false"
    return " UNION ALL ".join(parts)


def _visible(name: str, allowed: Allowed, have: Sequence[str], relation: str, salt: str) -> str:
    """What a visible name shows as SQL: chosen columns, masked, filtered, with its links."""
    chosen = [c for c in (allowed.columns or have) if c in have and not c.startswith("_")]
    if not chosen:
        raise Refused(f"数据集“{name}”没有可查询的列")
    listed = [f"{mask_sql(allowed.masks.get(c, 'none'), c)} AS {quote(c)}" for c in chosen]
    for column in allowed.links:
        if column in chosen:
            text = f"CAST({quote(column)} AS VARCHAR)"
            secret = f"left(md5({literal(salt)} || {text} || {literal(salt)}), 16)"
            listed.append(f"{secret} AS {quote(column + '_link')}")
    if allowed.guarded:
        anyone = "CAST(random() * 1e18 AS UBIGINT)"
        if allowed.person in have:
            whose = f"hash({literal(salt)} || CAST({quote(str(allowed.person))} AS VARCHAR))"
            anyone = f"coalesce({whose}, {anyone})"
        listed.append(f"{anyone} AS {quote(PERSON)}")
    where = f" WHERE {allowed.row_filter}" if allowed.row_filter else ""
    return f"SELECT {', '.join(listed)} FROM ({relation}){where}"


@dataclass
class Question:
    """A question that has passed: what its process is told, and what it will read."""

    plan: dict[str, Any]
    used: list[str]
    cost: Cost
    lake: Lake
    copies: dict[str, str] = field(default_factory=dict)


def named(sql: str, tables: Sequence[str]) -> list[str]:
    """Which of the tables a question names, in order of name; raises Refused where it is no SQL."""
    if len(sql) > LONGEST:
        raise Refused(f"查询语句过长（最多 {LONGEST:,} 字）")
    try:
        trees = sqlglot.parse(sql, read="duckdb")
        found = {t.name.lower() for tree in trees if tree for t in tree.find_all(exp.Table)}
    except sqlglot.errors.SqlglotError as error:
        raise Refused(f"查询语句无法解析：{str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise Refused("查询语句嵌套过深，请简化") from error
    return sorted(t for t in tables if t.lower() in found)


def prepare(
    lake: Lake, sql: str, tables: Mapping[str, Allowed], limits: Limits | None = None
) -> Question:
    """Vets a question and finds the files that it will read; nothing runs yet.

    Raises Refused for anything but an allowed SELECT.
    """
    limits = limits or Limits()
    used = named(sql, list(tables))
    guarded = [name for name in used if tables[name].guarded]
    query = vet(sql, used, guarded, limits.group)
    salt = secrets.token_hex(16)
    # Files behind a credential are not opened by the process that answers: it gets masked copies.
    away = "://" in lake.folder
    views, copies, paths, rows, size = [], {}, [], 0, 0
    if used:
        with lake.connect(read_only=True) as con, lake.postgres() as pg:
            for name in used:
                schema, _, table = tables[name].table.rpartition(".")
                schema = schema or "trusted"
                if schema not in ("trusted", "library"):
                    raise LakeError(f"不能查询“{tables[name].table}”")
                files = _files(lake, con, pg, schema, valid_name(table))
                if files is None:
                    raise Refused(f"数据集“{name}”还没有数据")
                relation = (
                    f"SELECT * FROM lake.{quote(schema)}.{quote(table)}"
                    if away
                    else _relation(files)
                )
                seen = _visible(name, tables[name], list(files.columns), relation, salt)
                if away:
                    copies[valid_name(name)] = seen
                else:
                    views.append(f"CREATE VIEW {quote(valid_name(name))} AS {seen}")
                    paths += files.paths
                rows, size = rows + files.rows, size + files.bytes
    before = ["SET TimeZone='Asia/Shanghai'"]
    for extension in ("icu", "json"):
        path = extension_path(extension)
        if path is None:
            raise LakeError(f"缺少 DuckDB 扩展“{extension}”，请安装对应的扩展包")
        before.insert(0, f"LOAD {literal(str(path))}")
    plan = {
        "sql": query,
        "names": used,
        "functions": ENGINE_FUNCTIONS,
        "before": before,
        "views": views,
        "files": paths,
        "limit": limits.rows,
        "memory": limits.memory,
        "temporary": limits.temporary,
        "threads": limits.threads,
        "confirm_above": limits.confirm_widest,
        "refuse_above": min(limits.refuse_widest, 1e300),
    }
    return Question(plan, used, Cost(rows, size), lake, copies)


@dataclass
class Answer:
    """What a question came to: rows lie in `file` (Parquet); `more` where the limit cut them off."""

    file: Path
    rows: int
    more: bool
    seconds: float
    cost: Cost

    def table(self) -> pa.Table:
        """All rows as an Arrow table."""
        return parquet.read_table(self.file)


def run(
    question: Question,
    out: Path,
    limits: Limits | None = None,
    *,
    confirmed: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[float], None] = lambda _: None,
) -> Answer:
    """Answers a prepared question into the file `out`.

    `cancelled` is asked four times a second: once it says yes the process is killed and Cancelled
    raised. Raises Heavy unless `confirmed`, TooSlow after `limits.seconds`, Refused otherwise.
    """
    limits = limits or Limits()
    cost = question.cost
    if not confirmed and (cost.rows > limits.confirm_rows or cost.bytes > limits.confirm_bytes):
        raise Heavy(cost)
    end = time.monotonic() + limits.seconds
    with tempfile.TemporaryDirectory(prefix="lianyun-ask-") as scratch:
        plan = {**question.plan, "out": str(out), "scratch": scratch}
        if confirmed:
            plan["confirm_above"] = plan["refuse_above"]
        if question.copies:
            _copy(question, plan, Path(scratch))
        spec = importlib.util.find_spec("lianyun")
        root = str(Path(str(spec.origin)).parent.parent) if spec and spec.origin else ""
        process = subprocess.Popen(
            [sys.executable, "-m", "lianyun.lake.confined"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": root, "LC_ALL": "C.UTF-8"},
        )
        try:
            return _followed(process, plan, out, cost, end, limits, cancelled, progress)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _copy(question: Question, plan: dict[str, Any], folder: Path) -> None:
    """Writes what each name shows to a file of its own and has the plan read that."""
    plan["views"], plan["files"] = list(plan["views"]), list(plan["files"])
    with question.lake.connect(read_only=True) as con:
        for name, seen in question.copies.items():
            file = literal(str(folder / f"{name}.copy.parquet"))
            con.execute(f"COPY ({seen}) TO {file} (FORMAT parquet)")
            plan["views"].append(f"CREATE VIEW {quote(name)} AS SELECT * FROM read_parquet({file})")
            plan["files"].append(str(folder / f"{name}.copy.parquet"))


def _followed(
    process: subprocess.Popen[bytes],
    plan: Mapping[str, Any],
    out: Path,
    cost: Cost,
    end: float,
    limits: Limits,
    cancelled: Callable[[], bool],
    progress: Callable[[float], None],
) -> Answer:
    """Reads what the process tells until it is done, refused, too slow or taken back."""
    assert process.stdin is not None
    assert process.stdout is not None
    feed = threading.Thread(target=_feed, args=(process.stdin, plan), daemon=True)
    feed.start()
    rest = b""
    while True:
        if cancelled():
            raise Cancelled("查询已取消")
        if time.monotonic() > end:
            raise TooSlow(f"查询超过 {limits.seconds:g} 秒，已停止")
        if not select.select([process.stdout], [], [], 0.25)[0]:
            continue
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "widest" in told:
                cost = Cost(cost.rows, cost.bytes, float(told["widest"]))
            elif "progress" in told:
                progress(float(told["progress"]))
            elif "confirm" in told:
                raise Heavy(cost)
            elif "error" in told:
                raise Refused(str(told["error"]))
            elif "done" in told:
                done = told["done"]
                return Answer(out, done["rows"], done["more"], done["seconds"], cost)
    raise Refused("查询超出内存上限，已停止；请减少列数、增加筛选条件或先汇总")


def _feed(pipe: Any, plan: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError), pipe:
        pipe.write(json.dumps(plan, ensure_ascii=False).encode())


def ask(
    lake: Lake,
    sql: str,
    tables: Mapping[str, Allowed],
    limit: int = 1000,
    timeout: float = 30.0,
) -> pa.Table:
    """Runs a read-only question over the visible `tables` and returns at most `limit` rows.

    Raises Refused for anything but an allowed SELECT, TooSlow after `timeout` seconds.
    """
    limits = Limits(rows=limit, seconds=timeout, refuse_widest=float("inf"))
    question = prepare(lake, sql, tables, limits)
    with tempfile.TemporaryDirectory(prefix="lianyun-ask-") as folder:
        return run(question, Path(folder) / "answer.parquet", limits).table()
