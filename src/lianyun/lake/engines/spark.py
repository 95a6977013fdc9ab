"""Spark as an engine: the lake's Parquet files read by a cluster, its results taken without a copy.

Reading: the catalogue names data and delete files of the transaction's snapshot; deleted rows are
those whose file and position stand in a delete file. A column is found in an older file by its
field id, whatever it was called then. Writing: the cluster puts Parquet beside the table's own
files and the catalogue registers them in the same transaction; a job that dies leaves files that
nobody knows, which `Lake.orphans` removes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from ..shelves import Lake, LakeError, literal, quote, table_columns
from .dialect import Untranslatable, to_spark

IDLE = 120.0
"""Seconds after which an idle session gives the cluster's cores back."""
PATIENCE = 60.0
"""Seconds to wait for a cluster's first executor."""
SHORT = 20_000
"""Codes up to which a list stands in the statement itself."""
ZONE = "Asia/Shanghai"
LOCAL = "_spark"
_TYPES = {
    "VARCHAR": "STRING",
    "BIGINT": "BIGINT",
    "INTEGER": "INT",
    "SMALLINT": "SMALLINT",
    "TINYINT": "TINYINT",
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INT",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "DOUBLE": "DOUBLE",
    "FLOAT": "FLOAT",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ",
    "BOOLEAN": "BOOLEAN",
    "BLOB": "BINARY",
    "JSON": "STRING",
    "UUID": "STRING",
}
_ADDED = frozenset(
    ["VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "FLOAT", "DATE", "TIMESTAMP", "BOOLEAN"]
)


def spark_type(kind: str) -> str | None:
    """The Spark type that holds every value of a DuckDB type; None if there is none."""
    if kind.endswith("[]"):
        inner = spark_type(kind[:-2])
        return f"ARRAY<{inner}>" if inner else None
    return kind if kind.startswith("DECIMAL(") else _TYPES.get(kind)


def check(url: str) -> None:
    """Raises LakeError, saying what to install, where pyspark or Java is missing."""
    if importlib.util.find_spec("pyspark") is None:
        raise LakeError(
            f"LIANYUN_ENGINE={url} 需要 pyspark：请运行 make setup-spark"
            "（或 pip install --require-hashes -r requirements-spark.lock），"
            "不用 Spark 时请清空 LIANYUN_ENGINE"
        )
    if url.startswith("spark://") and java() is None:
        raise LakeError(
            f"LIANYUN_ENGINE={url} 需要 Java 17：请运行 apt-get install openjdk-17-jre-headless，"
            "或用 JAVA_HOME 指出它的位置"
        )


def java() -> str | None:
    """The Java that Spark will use; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    return shutil.which("java")


# ---------------------------------------------------------------- the session

_lock = threading.RLock()
_sessions: dict[tuple[int, str], Any] = {}
_users: dict[tuple[int, str], int] = defaultdict(int)
_timers: dict[tuple[int, str], threading.Timer] = {}


def _similarity() -> str | None:
    """The jar of text similarities that comes with Splink; None if it is not installed."""
    spec = importlib.util.find_spec("splink")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "internals" / "files" / "spark_jars"
    found = sorted(folder.glob("*_spark4.x.jar"))
    return str(found[-1]) if found else None


def _settings(url: str) -> dict[str, str]:
    """Spark's settings: strict SQL, the lake's time zone, and what LIANYUN_SPARK_CONF adds."""
    made = {
        "spark.app.name": "lianyun",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": ZONE,
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
        "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
        "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
        "spark.sql.legacy.timeParserPolicy": "CORRECTED",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.caseSensitive": "false",
        # the checks of a wide table outgrow one Java method; by expression they do not
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.debug.maxToStringFields": "20",
    }
    if url.startswith("spark://"):
        made |= {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "1g",
            "spark.log.level": "ERROR",
            # successes leave no empty marker in the lake's folder
            "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
            "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
        }
        jar = _similarity()
        if jar:
            made["spark.jars"] = jar
    for pair in filter(None, re.split(r"[;\n]", os.environ.get("LIANYUN_SPARK_CONF", ""))):
        name, equals, value = pair.strip().partition("=")
        if not equals or not name.startswith("spark."):
            raise LakeError(f"LIANYUN_SPARK_CONF 的“{pair.strip()}”应写作 spark.名称=值")
        made[name] = value
    return made


def _open(url: str) -> Any:
    builder: Any
    if url.startswith("sc://"):
        # gRPC's fork handlers kill a child of this process before it becomes another program
        # (grpc/grpc#43055); nobody here goes on with gRPC in a child
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
        # by its own class: the common one would turn the whole process to Connect
        from pyspark.sql.connect.session import SparkSession as Remote

        builder = Remote.builder.remote(url)
        wanted = {n: v for n, v in _settings(url).items() if n.startswith("spark.sql.")}
    else:
        from pyspark.sql import SparkSession

        builder, wanted = SparkSession.builder.master(url), _settings(url)
    try:
        for name, value in wanted.items():
            builder = builder.config(name, value)
        made = builder.create() if url.startswith("sc://") else builder.getOrCreate()
    except Exception as error:
        raise LakeError(f"连不上 Spark（{url}）：{_first_line(error)}") from error
    if url.startswith("spark://"):
        _await_executor(made, url)
    return made


def _await_executor(made: Any, url: str) -> None:
    """Raises LakeError where no executor comes: Spark itself would wait without end."""
    deadline = time.monotonic() + PATIENCE
    status = made.sparkContext._jsc.sc()
    while status.getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > deadline:
            made.stop()
            raise LakeError(
                f"Spark（{url}）{PATIENCE:.0f} 秒内没有给出执行器：集群的核或内存不够，"
                "请用 LIANYUN_SPARK_CONF 设 spark.executor.memory 与 spark.cores.max"
            )
        time.sleep(0.1)


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    """This process's session at `url`; given back to the cluster when idle for `IDLE` seconds."""
    key = (os.getpid(), url)
    with _lock:
        timer = _timers.pop(key, None)
        if timer:
            timer.cancel()
        if key not in _sessions:
            _sessions[key] = _open(url)
        _users[key] += 1
        held = _sessions[key]
    try:
        yield held
    finally:
        with _lock:
            _users[key] -= 1
            if not _users[key]:
                timer = threading.Timer(IDLE, _idle, [key])
                timer.daemon = True
                _timers[key] = timer
                timer.start()


def _idle(key: tuple[int, str]) -> None:
    with _lock:
        if not _users[key] and key in _sessions:
            with contextlib.suppress(Exception):
                _sessions.pop(key).stop()


def stop() -> None:
    """Ends this process's sessions."""
    with _lock:
        for key in [k for k in _sessions if k[0] == os.getpid()]:
            timer = _timers.pop(key, None)
            if timer:
                timer.cancel()
            with contextlib.suppress(Exception):
                _sessions.pop(key).stop()


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


# ---------------------------------------------------------------- a run


class SparkRun:
    """A run on a cluster (see `engines.Run`), over the snapshot of the connection's transaction.

    Lake tables that the transaction itself has changed must not be read: the cluster sees what is
    committed. Temporary tables of the connection are handed over as Parquet when a query names them.
    """

    def __init__(self, lake: Lake, con: duckdb.DuckDBPyConnection, url: str) -> None:
        self.lake, self.con, self.url = lake, con, url
        self.code = uuid.uuid4().hex[:16]
        self.views: dict[str, str] = {}
        self.made: dict[str, list[str]] = {}
        self.kept: set[str] = set()
        self.folders: list[str] = []
        self._holding = contextlib.ExitStack()

    @cached_property
    def spark(self) -> Any:
        """The session, taken when it is first needed."""
        return self._holding.enter_context(session(self.url))

    # ------------------------------------------------------------ the protocol

    def make(self, name: str, sql: str) -> None:
        """Computes on the cluster; the connection gets a temporary table of the result."""
        self._compute(name, sql)
        self._forget(name)
        self.con.execute(
            f"CREATE TEMP TABLE {quote(name)} AS {self._read(self.made[name], self._shape(sql))}"
        )

    def lay(self, name: str, sql: str) -> None:
        """Computes on the cluster; the connection gets a view of the files."""
        self._compute(name, sql)
        self._forget(name)
        self.con.execute(
            f"CREATE TEMP VIEW {quote(name)} AS {self._read(self.made[name], self._shape(sql))}"
        )

    def append(self, schema: str, table: str, columns: Sequence[str], sql: str) -> int:
        """Registers Parquet that the cluster writes beside the table's files; nothing is copied."""
        have = table_columns(self.con, schema, table)
        strange = [c for c in columns if not _addable(have.get(c, ""))]
        if strange:
            raise LakeError(f"表“{schema}.{table}”的列 {'、'.join(strange)} 不能由 Spark 写入")
        # DuckDB's INSERT would cast to the table's types, so this does; and it checks the names
        self.con.execute(f"DESCRIBE SELECT {', '.join(map(quote, columns))} FROM ({sql}) q")
        listed = ", ".join(f"CAST(`{c}` AS {spark_type(have[c])}) AS `{c}`" for c in columns)
        folder = f"{self._base()}/{schema}/{table}/spark-{uuid.uuid4().hex[:16]}"
        try:
            query = to_spark(sql, self._place, self._listed)
            files = self._write(self.spark.sql(f"SELECT {listed} FROM ({query}) q"), folder)
        except LakeError:
            raise
        except Exception as error:
            raise LakeError(f"Spark 没有写完“{schema}.{table}”：{_first_line(error)}") from error
        rows = 0
        for start in range(0, len(files), 200):
            told = ", ".join(literal(f) for f in files[start : start + 200])
            counted = self.con.execute(
                f"SELECT sum(num_rows) FROM parquet_file_metadata([{told}])"
            ).fetchone()
            rows += int(counted[0]) if counted else 0
        for file in files:
            self.con.execute(
                f"CALL ducklake_add_data_files('lake', {literal(table)}, {literal(file)}, "
                f"schema => {literal(schema)}, allow_missing => true)"
            )
        self.kept.add(folder)
        return rows

    def close(self, *, failed: bool = False) -> None:
        """Gives the session back and removes files that the lake did not take.

        A view of laid files ends here: its files go.
        """
        with contextlib.suppress(Exception):
            for view in set(self.views.values()):
                self.spark.catalog.dropTempView(view)
        for name in self.made:
            with contextlib.suppress(duckdb.Error):
                self.con.execute(f"DROP VIEW IF EXISTS {quote(name)}")
        for folder in self.folders:
            if failed or folder not in self.kept:
                self._remove(folder)
        self._holding.close()

    # ------------------------------------------------------------ statements

    def _compute(self, name: str, sql: str) -> None:
        """Runs a query on the cluster into Parquet of its own; later queries read that."""
        names = [column for column, _ in self._shape(sql)]
        plain = [f"c{index}" for index in range(len(names))]
        translated = to_spark(sql, self._place, self._listed)
        try:
            frame = self.spark.sql(translated).toDF(*plain)
            files = self._write(frame, f"{self._scratch()}/{uuid.uuid4().hex[:12]}")
        except LakeError:
            raise
        except Exception as error:
            raise LakeError(f"Spark 没有算完“{name}”：{_first_line(error)}") from error
        self.made[name] = files
        view = f"made_{self.code}_{len(self.views)}"
        frame = self.spark.read.parquet(*map(self._for_spark, files)) if files else frame.limit(0)
        frame.toDF(*names).createOrReplaceTempView(view)
        self.views[name] = view

    def _shape(self, sql: str) -> list[tuple[str, str]]:
        """The names and types that DuckDB gives a query's columns: the result has to have them."""
        rows = self.con.execute(f"DESCRIBE {sql}").fetchall()
        return [(str(r[0]), str(r[1])) for r in rows]

    def _read(self, files: list[str], shape: list[tuple[str, str]]) -> str:
        if not files:
            empty = ", ".join(f"CAST(NULL AS {k}) AS {quote(n)}" for n, k in shape)
            return f"SELECT {empty} WHERE FALSE"
        listed = ", ".join(literal(f) for f in files)
        columns = ", ".join(
            f"CAST(c{index} AS {k}) AS {quote(n)}" for index, (n, k) in enumerate(shape)
        )
        return f"SELECT {columns} FROM read_parquet([{listed}])"

    def _forget(self, name: str) -> None:
        row = self.con.execute(
            "SELECT 'VIEW' FROM duckdb_views() WHERE temporary AND view_name = ? UNION ALL "
            "SELECT 'TABLE' FROM duckdb_tables() WHERE temporary AND table_name = ?",
            [name, name],
        ).fetchone()
        if row:
            self.con.execute(f"DROP {row[0]} {quote(name)}")

    # ------------------------------------------------------------ tables

    def _place(self, table: exp.Table) -> str:
        """The Spark view for a table that a query names, made when it is first named."""
        if table.args.get("version") or table.args.get("when"):
            raise Untranslatable("Spark 只读当前版本的数据")
        if table.catalog and table.catalog != "lake":
            raise Untranslatable(f"Spark 读不到“{table.catalog}”")
        if not table.db:
            if table.name not in self.views:
                self._share(table.name)
            return self.views[table.name]
        name = f"lake.{table.db}.{table.name}"
        if name not in self.views:
            self.views[name] = self._lake_table(table.db, table.name)
        return self.views[name]

    def _listed(self, table: exp.Table) -> list[str] | None:
        """The codes of a short list among the connection's temporary tables."""
        if table.db or table.name in self.views:
            return None
        rows = self.con.execute(
            f"SELECT DISTINCT code FROM {quote(table.name)} WHERE code IS NOT NULL "
            f"ORDER BY code LIMIT {SHORT + 1}"
        ).fetchall()
        return [str(r[0]) for r in rows] if len(rows) <= SHORT else None

    def _share(self, name: str) -> None:
        """Hands a temporary table of the connection to the cluster."""
        shape = self._shape(f"SELECT * FROM {quote(name)}")
        folder = f"{self._scratch()}/shared-{uuid.uuid4().hex[:12]}"
        self._folder(folder)
        file = f"{folder}/rows.parquet"
        self.con.execute(f"COPY (SELECT * FROM {quote(name)}) TO {literal(file)} (FORMAT parquet)")
        view = f"shared_{self.code}_{len(self.views)}"
        frame = self.spark.read.parquet(self._for_spark(file))
        listed = [f"CAST(`{c}` AS {spark_type(k) or 'STRING'}) AS `{c}`" for c, k in shape]
        frame.selectExpr(*listed).createOrReplaceTempView(view)
        self.views[name] = view

    def _lake_table(self, schema: str, table: str) -> str:
        """A view of a lake table's live rows, columns found by field id, types as declared."""
        columns = table_columns(self.con, schema, table)
        if not columns:
            raise LakeError(f"数据湖里没有表“{schema}.{table}”")
        kinds = {c: k for c, t in columns.items() if (k := spark_type(t)) is not None}
        ids, mapped = self._catalogue(schema, table)
        files = self.con.execute(
            f"SELECT data_file, delete_file FROM ducklake_list_files('lake', {literal(table)}, "
            f"schema => {literal(schema)})"
        ).fetchall()
        frames = []
        for layout, group in self._layouts([str(f) for f, _ in files]).items():
            deleted = {f: d for f, d in files if f in group and d is not None}
            for part, deletes in (
                ([f for f in group if f not in deleted], []),
                ([f for f in group if f in deleted], sorted(set(deleted.values()))),
            ):
                if not part:
                    continue
                for source in self._by_mapping(part, mapped):
                    frames.append(
                        self._part(source[0], deletes, self._found(layout, source[1], ids), kinds)
                    )
        view = f"lake_{self.code}_{len(self.views)}"
        if not frames:
            empty = ", ".join(f"CAST(NULL AS {k}) AS `{c}`" for c, k in kinds.items())
            frames = [self.spark.sql(f"SELECT {empty} WHERE FALSE")]
        whole = frames[0]
        for frame in frames[1:]:
            whole = whole.unionAll(frame)
        whole.createOrReplaceTempView(view)
        return view

    def _catalogue(self, schema: str, table: str) -> tuple[dict[str, int], dict[str, int]]:
        """A table's field ids by column, and the name mappings of files that were registered."""
        base = f"__ducklake_metadata_lake.{quote(self.lake.metadata_schema)}"
        row = self.con.execute("SELECT id FROM ducklake_current_snapshot('lake')").fetchone()
        assert row is not None
        live = f"begin_snapshot <= {int(row[0])} AND (end_snapshot IS NULL OR end_snapshot > {int(row[0])})"
        found = self.con.execute(
            f"SELECT t.table_id FROM {base}.ducklake_table t JOIN {base}.ducklake_schema s "
            "USING (schema_id) WHERE t.table_name = ? AND s.schema_name = ? AND "
            + " AND ".join(
                f"{x}.begin_snapshot <= {int(row[0])} AND "
                f"({x}.end_snapshot IS NULL OR {x}.end_snapshot > {int(row[0])})"
                for x in ("t", "s")
            ),
            [table, schema],
        ).fetchone()
        if found is None:
            raise LakeError(f"数据湖里没有表“{schema}.{table}”")
        number = int(found[0])
        for (inlined,) in self.con.execute(
            f"SELECT table_name FROM {base}.ducklake_inlined_data_tables WHERE table_id = ?",
            [number],
        ).fetchall():
            held = self.con.execute(
                f"SELECT count(*) FROM {base}.{quote(inlined)} WHERE {live}"
            ).fetchone()
            if held and held[0]:
                raise LakeError(
                    f"表“{schema}.{table}”有 {held[0]} 行还在目录库里，Spark 读不到："
                    "请先执行 CALL ducklake_flush_inlined_data('lake')"
                )
        ids = {
            str(name): int(code)
            for code, name in self.con.execute(
                f"SELECT column_id, column_name FROM {base}.ducklake_column "
                f"WHERE table_id = ? AND parent_column IS NULL AND {live}",
                [number],
            ).fetchall()
        }
        mapped = {
            str(path).rpartition("/")[2]: int(mapping)
            for path, mapping in self.con.execute(
                f"SELECT path, mapping_id FROM {base}.ducklake_data_file "
                f"WHERE table_id = ? AND mapping_id IS NOT NULL AND {live}",
                [number],
            ).fetchall()
        }
        return ids, mapped

    def _by_mapping(
        self, files: list[str], mapped: dict[str, int]
    ) -> list[tuple[list[str], dict[str, int]]]:
        """Files with the field id of each of their columns' names, where the catalogue says it."""
        groups: dict[int | None, list[str]] = defaultdict(list)
        for file in files:
            groups[mapped.get(file.rpartition("/")[2])].append(file)
        out: list[tuple[list[str], dict[str, int]]] = []
        base = f"__ducklake_metadata_lake.{quote(self.lake.metadata_schema)}"
        for mapping, group in groups.items():
            names: dict[str, int] = {}
            if mapping is not None:
                names = {
                    str(name): int(code)
                    for name, code in self.con.execute(
                        f"SELECT source_name, target_field_id FROM {base}.ducklake_name_mapping "
                        "WHERE mapping_id = ? AND parent_column IS NULL",
                        [mapping],
                    ).fetchall()
                }
            out.append((group, names))
        return out

    def _layouts(self, files: list[str]) -> dict[tuple[tuple[str, int | None], ...], set[str]]:
        """Files by their columns (name and field id), read from the footers."""
        nodes: dict[str, list[tuple[str, int | None, int]]] = defaultdict(list)
        for start in range(0, len(files), 500):
            told = ", ".join(literal(f) for f in files[start : start + 500])
            for file, name, code, children in self.con.execute(
                "SELECT file_name, name, field_id, coalesce(num_children, 0) "
                f"FROM parquet_schema([{told}])"
            ).fetchall():
                nodes[file].append((name, code, int(children)))
        out: dict[tuple[tuple[str, int | None], ...], set[str]] = defaultdict(set)
        for file, listed in nodes.items():
            top: list[tuple[str, int | None]] = []
            index = 1
            while index < len(listed):
                name, code, _ = listed[index]
                top.append((name, code))
                pending = 1
                while pending:
                    pending += listed[index][2] - 1
                    index += 1
            out[tuple(top)].add(file)
        return out

    @staticmethod
    def _found(
        layout: tuple[tuple[str, int | None], ...], names: dict[str, int], ids: dict[str, int]
    ) -> dict[str, str]:
        """For each column of the table the name that it has in files of this layout."""
        by_id: dict[int, str] = {}
        for name, code in layout:
            known = names.get(name) if names else code
            if known is not None:
                by_id[known] = name
        if not by_id:
            return {c: c for c, _ in layout if c in ids}
        return {column: by_id[code] for column, code in ids.items() if code in by_id}

    def _part(
        self, files: list[str], deletes: list[str], found: dict[str, str], kinds: dict[str, str]
    ) -> Any:
        """The live rows of files of one layout."""
        listed = [
            f"CAST(`{found[c]}` AS {k}) AS `{c}`" if c in found else f"CAST(NULL AS {k}) AS `{c}`"
            for c, k in kinds.items()
        ]
        if not deletes:
            frame = self.spark.read.parquet(*map(self._for_spark, files))
            return frame.selectExpr(*listed)
        if self.url.startswith("sc://"):
            # Connect servers other than Spark's do not tell a row's position in its file
            return self._without_deleted(files, deletes).selectExpr(*listed)
        frame = self.spark.read.parquet(*map(self._for_spark, files))
        gone = self.spark.read.parquet(*map(self._for_spark, deletes)).selectExpr(
            "regexp_extract(file_path, '[^/]+$', 0) AS `_file`", "CAST(pos AS BIGINT) AS `_row`"
        )
        placed = frame.selectExpr(
            "*", "_metadata.file_name AS `_file`", "_metadata.row_index AS `_row`"
        )
        return placed.join(gone, ["_file", "_row"], "left_anti").selectExpr(*listed)

    def _without_deleted(self, files: list[str], deletes: list[str]) -> Any:
        folder = f"{self._scratch()}/live-{uuid.uuid4().hex[:12]}"
        self._folder(folder)
        told = ", ".join(literal(f) for f in files)
        gone = ", ".join(literal(f) for f in deletes)
        self.con.execute(
            "COPY (SELECT r.* EXCLUDE (filename, file_row_number) FROM "
            f"read_parquet([{told}], filename = true, file_row_number = true) r "
            f"ANTI JOIN (SELECT regexp_extract(file_path, '[^/]+$') AS f, pos FROM "
            f"read_parquet([{gone}])) d ON d.f = regexp_extract(r.filename, '[^/]+$') "
            f"AND d.pos = r.file_row_number) TO {literal(folder + '/rows.parquet')} (FORMAT parquet)"
        )
        return self.spark.read.parquet(self._for_spark(f"{folder}/rows.parquet"))

    # ------------------------------------------------------------ files

    def _base(self) -> str:
        folder = self.lake.folder
        return folder.rstrip("/") if "://" in folder else str(Path(folder).resolve())

    def _scratch(self) -> str:
        return f"{self._base()}/{LOCAL}/{self.code}"

    def _folder(self, folder: str) -> None:
        self.folders.append(folder)
        if "://" not in folder:
            Path(folder).mkdir(parents=True, exist_ok=True)

    @staticmethod
    def _for_spark(path: str) -> str:
        return "s3a://" + path[5:] if path.startswith("s3://") else path

    def _write(self, frame: Any, folder: str) -> list[str]:
        """Writes a frame as Parquet into a new folder; returns its files that have rows."""
        self.folders.append(folder)
        frame.write.option("compression", "snappy").parquet(self._for_spark(folder))
        if "://" not in folder:
            for check in Path(folder).glob(".*.crc"):
                check.unlink(missing_ok=True)
        found = self.con.execute(f"SELECT file FROM glob({literal(folder + '/*.parquet')})")
        files = sorted(str(row[0]) for row in found.fetchall())
        if not files:
            return []
        told = ", ".join(literal(f) for f in files)
        filled = self.con.execute(
            f"SELECT file_name FROM parquet_file_metadata([{told}]) WHERE num_rows > 0"
        ).fetchall()
        keep = {str(row[0]) for row in filled}
        return [f for f in files if f in keep]

    def _remove(self, folder: str) -> None:
        if "://" not in folder:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                Path(self._scratch()).rmdir()
                Path(self._scratch()).parent.rmdir()


def _addable(kind: str) -> bool:
    return kind in _ADDED or kind.startswith("DECIMAL(") or (kind == "VARCHAR[]")
