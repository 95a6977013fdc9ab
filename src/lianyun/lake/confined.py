"""Confined: the process of its own in which one question is answered, and what it may touch.

It is started by `ask` with a plan on stdin and nothing in its environment: no database address, no
credential. Its DuckDB has no lake attached, only views over the files of tables that the asker may
read; every other path is closed and the configuration locked before the question is read. The
process has a ceiling of memory set by the operating system and dies with whoever started it.
Answers: one JSON line at a time on stdout (cost, progress, done or error), rows as a Parquet file.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import threading
import time
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet

_PR_SET_PDEATHSIG = 1
_SPARE = 1_500 << 20
"""Address space beside DuckDB's own limit: libraries, threads' stacks, the result."""
_RELATIONS = frozenset(["BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EMPTY_FROM", "EXPRESSION_LIST"])
_OTHER_RELATIONS = frozenset(
    ["TABLE_FUNCTION", "SHOW_REF", "PIVOT", "COLUMN_DATA", "DELIM_GET", "BOUND_TABLE_REF"]
)
_WIDE = (
    "CROSS_PRODUCT",
    "NESTED_LOOP_JOIN",
    "BLOCKWISE_NL_JOIN",
    "IE_JOIN",
    "PIECEWISE_MERGE_JOIN",
)


class Refusal(Exception):
    """The question may not be asked; the message (Chinese) is for the asker."""


def say(**told: Any) -> None:
    """One JSON line for whoever started us."""
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def limit(memory: int) -> None:
    """Bound this process: address space in bytes, no core dump, dies with its parent."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    ceiling = memory + _SPARE
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        ceiling = min(ceiling, hard)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def checked(con: duckdb.DuckDBPyConnection, sql: str, plan: dict[str, Any]) -> None:
    """Read the question with DuckDB's own parser and refuse what is not plain reading of views.

    The second reading of two: whatever one parser may misunderstand, the engine itself sees.
    """
    row = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise Refusal(f"查询语句无法解析：{tree.get('error_message', '不是查询')}")
    if len(tree["statements"]) != 1:
        raise Refusal("一次只能执行一条查询")
    names = {n.lower() for n in plan["names"]}
    functions = set(plan["functions"])
    waiting: list[Any] = [tree["statements"][0]]
    found: list[dict[str, Any]] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            found.append(node)
            for entry in (node.get("cte_map") or {}).get("map") or []:
                names.add(str(entry["key"]).lower())
            waiting.extend(node.values())
    for node in found:
        kind = str(node.get("type"))
        if kind in _OTHER_RELATIONS:
            raise Refusal("查询里有不允许的数据来源")
        if kind == "BASE_TABLE":
            name = str(node.get("table_name", ""))
            if node.get("schema_name") or node.get("catalog_name") or name.lower() not in names:
                raise Refusal(f"没有权限读取“{name}”，或它不存在")
            if node.get("at_clause"):
                raise Refusal("不能查询历史版本")
        if node.get("class") in ("FUNCTION", "WINDOW") and "function_name" in node:
            name = str(node["function_name"]).lower()
            # Some spellings of the standard (TRIM, EXTRACT) are calls of a named schema's functions;
            # nothing of the asker's own making stands in any of them.
            home = (node.get("catalog") or "system", node.get("schema") or "main")
            if (
                home[0] != "system"
                or home[1] not in ("main", "pg_catalog")
                or name not in functions
            ):
                raise Refusal(f"不允许使用函数“{name}”")


def opened(plan: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """The confined DuckDB: views made, paths closed, configuration locked."""
    con = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": f"{plan['memory'] >> 20}MB",
            "threads": plan["threads"],
            "preserve_insertion_order": False,
            "max_temp_directory_size": f"{plan['temporary'] >> 20}MB",
            "temp_directory": plan["scratch"],
        },
    )
    for statement in plan["before"]:
        con.execute(statement)
    for statement in plan["views"]:
        con.execute(statement)
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in plan["files"])
    con.execute(f"SET allowed_paths=[{listed}]")
    con.execute("SET python_enable_replacements=false")
    con.execute("SET enable_external_access=false")
    con.execute("SET lock_configuration=true")
    return con


def _walk(node: dict[str, Any]) -> float:
    """The largest number of rows that any step of an explained plan may hand on."""
    told = (node.get("extra_info") or {}).get("Estimated Cardinality", "0")
    most = float(told) if str(told).isdigit() else 0.0
    below = [_walk(child) for child in node.get("children") or []]
    if any(name in str(node.get("name", "")) for name in _WIDE) and len(below) == 2:
        # Pairs are compared one by one, however few of them the optimiser thinks will match.
        most = max(most, below[0] * below[1])
    return max([most, *below])


def widest(con: duckdb.DuckDBPyConnection, sql: str) -> float:
    """DuckDB's own estimate of the largest intermediate result, in rows."""
    row = con.execute(f"EXPLAIN (FORMAT json) {sql}").fetchone()
    return max((_walk(node) for node in json.loads(row[1])), default=0.0) if row else 0.0


def _pulse(con: duckdb.DuckDBPyConnection, over: threading.Event) -> None:
    """Tells how far DuckDB is, twice a second; a pipe that is closed ends the process."""
    while not over.wait(0.5):
        share = 0.0
        with contextlib.suppress(duckdb.Error):
            share = con.query_progress()
        try:
            say(progress=round(max(0.0, min(share, 100.0)) / 100, 3))
        except OSError:
            os._exit(1)


def answer(plan: dict[str, Any]) -> None:
    """Check, weigh and run the question of a plan; rows go to its `out` file."""
    started = time.monotonic()
    con = opened(plan)
    checked(con, plan["sql"], plan)
    wide = widest(con, plan["sql"])
    say(widest=wide)
    if wide > plan["refuse_above"]:
        raise Refusal(f"这条查询预计产生 {wide:.2g} 行中间结果，超过上限，请增加关联条件或筛选条件")
    if wide > plan["confirm_above"]:
        say(confirm=True)
        return
    over = threading.Event()
    threading.Thread(target=_pulse, args=(con, over), daemon=True).start()
    rows, limit_ = 0, int(plan["limit"])
    try:
        reader = con.execute(f"SELECT * FROM ({plan['sql']}) AS answer LIMIT {limit_ + 1}")
        batches = reader.to_arrow_reader(50_000)
        with parquet.ParquetWriter(plan["out"], batches.schema, compression="zstd") as out:
            for batch in batches:
                left = limit_ - rows
                kept = batch.slice(0, max(left, 0))
                rows += batch.num_rows
                if kept.num_rows:
                    out.write_batch(kept)
    finally:
        over.set()
    say(
        done={
            "rows": min(rows, limit_),
            "more": rows > limit_,
            "seconds": round(time.monotonic() - started, 3),
        }
    )


def main() -> int:
    """Answer the plan on stdin; the exit code is 0 where the question was answered or refused."""
    plan = json.loads(sys.stdin.read())
    limit(int(plan["memory"]))
    try:
        answer(plan)
    except Refusal as refused:
        say(error=str(refused), kind="refused")
    except (MemoryError, duckdb.OutOfMemoryException):
        say(error="查询需要的内存超过上限，请减少列数、增加筛选条件或先汇总", kind="memory")
    except duckdb.Error as error:
        say(error=f"查询执行失败：{str(error).splitlines()[0][:300]}", kind="failed")
    except RecursionError:
        say(error="查询语句嵌套过深，请简化", kind="refused")
    except pa.ArrowException as error:
        say(error=f"查询结果无法保存：{str(error).splitlines()[0][:200]}", kind="failed")
    return 0


if __name__ == "__main__":
    # Straight out: closing what is left would only wait for threads that no one needs.
    code = main()
    sys.stdout.flush()
    os._exit(code)
