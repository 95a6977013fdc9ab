"""Asking: read-only SQL over what the asker may see, and nothing else.

The query is parsed; only SELECT over allowed names passes. Every allowed name becomes a view of
the allowed columns, masked and filtered, so that no clause can look behind it. Functions stand on
a white list (none reads files, settings or other tables); a query that takes too long is stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from .check import SAFE_FUNCTIONS, function_names
from .shelves import Lake, LakeError, quote, table_columns, valid_name

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
_ALLOWED = SAFE_FUNCTIONS | AGGREGATES | OTHERS
_STATEMENTS = (exp.DDL, exp.DML, exp.Command, exp.Into, exp.Pragma, exp.Set, exp.Attach, exp.Copy)


class Refused(LakeError):
    """The query asks for something it may not, or is no query."""


class TooSlow(LakeError):
    """The query ran longer than it may."""


@dataclass(frozen=True)
class Allowed:
    """A table the asker may read: ``trusted.x`` or ``library.x``, its columns, masks and rows.

    `masks` maps a column to citizen_number, name, phone, address or hidden. `row_filter` is SQL
    over the table's columns written by the house, never by the asker.
    """

    table: str
    columns: Sequence[str] | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    row_filter: str | None = None


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


def vet(sql: str, tables: Sequence[str]) -> str:
    """The query rewritten by its parse tree, if it only reads `tables` by their visible names."""
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
        if isinstance(node, _STATEMENTS):
            raise Refused("只能执行 SELECT 查询")
        if isinstance(node, exp.Placeholder | exp.Parameter | exp.SessionParameter):
            raise Refused("查询里不能有参数")
        if isinstance(node, exp.Func) and not isinstance(
            node, exp.Connector | exp.Binary | exp.Cast | exp.Case | exp.If | exp.Subquery
        ):
            found = function_names(node)
            if not found & _ALLOWED:
                raise Refused(f"不允许使用函数“{min(found, default=node.key)}”")
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            raise Refused(f"不允许从“{node.sql(dialect='duckdb')[:60]}”读取")
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
    return tree.sql(dialect="duckdb")


def ask(
    lake: Lake,
    sql: str,
    tables: Mapping[str, Allowed],
    limit: int = 1000,
    timeout: float = 30.0,
) -> pa.Table:
    """Runs a read-only query over the visible `tables` and returns at most `limit` rows.

    Raises Refused for anything but an allowed SELECT, TooSlow after `timeout` seconds.
    """
    query = vet(sql, list(tables))
    with lake.private(read_only=True) as con:
        for name, allowed in tables.items():
            _view(con, valid_name(name), allowed)
        con.execute("SET lock_configuration=true")
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            con.interrupt()

        timer = threading.Timer(timeout, stop)
        timer.daemon = True
        timer.start()
        try:
            return con.execute(
                f"SELECT * FROM ({query}) AS answer LIMIT {int(limit)}"
            ).to_arrow_table()
        except duckdb.InterruptException as error:
            raise TooSlow(f"查询超过 {timeout:g} 秒，已停止") from error
        except duckdb.Error as error:
            if stopped.is_set():
                raise TooSlow(f"查询超过 {timeout:g} 秒，已停止") from error
            raise Refused(f"查询执行失败：{str(error).splitlines()[0]}") from error
        finally:
            timer.cancel()


def _view(con: duckdb.DuckDBPyConnection, name: str, allowed: Allowed) -> None:
    """The visible name as a view in the private in-memory catalogue."""
    schema, _, table = allowed.table.rpartition(".")
    schema = schema or "trusted"
    if schema not in ("trusted", "library"):
        raise LakeError(f"不能查询“{allowed.table}”")
    have = table_columns(con, schema, valid_name(table))
    if not have:
        raise Refused(f"数据集“{name}”还没有数据")
    chosen = [c for c in (allowed.columns or have) if c in have and not c.startswith("_")]
    if not chosen:
        raise Refused(f"数据集“{name}”没有可查询的列")
    listed = ", ".join(f"{mask_sql(allowed.masks.get(c, 'none'), c)} AS {quote(c)}" for c in chosen)
    where = f" WHERE {allowed.row_filter}" if allowed.row_filter else ""
    con.execute(
        f"CREATE TEMP VIEW {quote(name)} AS SELECT {listed} "
        f"FROM lake.{quote(schema)}.{quote(table)}{where}"
    )
