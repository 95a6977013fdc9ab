"""Merge: one batch into the lake in one transaction, whole or not at all.

raw (as it arrived) → checks → trusted (typed, one row per key) and rejects (with reasons). Always
landed = accepted + rejected, and a batch that committed is never run twice. Rows that did not
change are not rewritten; what an update or a deletion replaced is kept in ``changes``, from which
every batch's before and after can be rebuilt however long ago it was.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import duckdb
import pyarrow as pa

from . import engines
from .check import Checked, ItemCheck, RowRule, compile_checks
from .engines import quality
from .infer import unique_names
from .land import Source, from_rows, match_columns
from .shelves import (
    LEDGER,
    Column,
    Lake,
    LakeError,
    ensure_table,
    literal,
    quote,
    table_columns,
    valid_name,
)

STAGED_VALUES = 20_000_000
PLAIN_FROM = 20_000  # rows from which looking for the cheap reading pays
MODES = ("full", "incremental", "append")
CONTRACTS = ("evolve", "discard_value", "freeze", "discard_row")
SYSTEM = [
    Column("_batch"),
    Column("_line", "BIGINT"),
    Column("_loaded_at", "TIMESTAMP"),
    Column("_hash", "UBIGINT"),
    Column("_warnings"),
]
Progress = Callable[[float, str], None]


class LoadRefused(LakeError):
    """The whole batch is refused: nothing of it was stored."""


class ContractBroken(LoadRefused):
    """The source's columns differ from what the dataset's contract allows."""


class ShrinkRefused(LoadRefused):
    """A full load would delete too much; run again with `allow_shrink` if that is meant."""


@dataclass(frozen=True)
class DatasetSpec:
    """What the lake needs to know of a dataset.

    `contract` says what happens to source columns nobody declared: ``evolve`` adds them,
    ``discard_value`` drops their values, ``freeze`` refuses the load, ``discard_row`` rejects rows
    that have a value there. `watermark` names the item that grows with every change; with it the
    newest of several rows of one key wins, and the outcome tells how far the source was read.
    """

    name: str
    items: tuple[ItemCheck, ...]
    key: tuple[str, ...] = ()
    contract: str = "evolve"
    rules: tuple[RowRule, ...] = ()
    watermark: str | None = None

    def __post_init__(self) -> None:
        valid_name(self.name)
        names = [item.name for item in self.items]
        if not names:
            raise LakeError(f"数据集“{self.name}”没有信息项")
        for name in names:
            valid_name(name)
        if len(set(names)) != len(names):
            raise LakeError(f"数据集“{self.name}”的信息项名称重复")
        for name in (*self.key, *([self.watermark] if self.watermark else [])):
            if name not in names:
                raise LakeError(f"数据集“{self.name}”的主键或水位列“{name}”不是信息项")
        if self.contract not in CONTRACTS:
            raise LakeError(f"数据集“{self.name}”的契约“{self.contract}”不认识")


@dataclass(frozen=True)
class Outcome:
    """What became of a batch. landed = accepted + rejected; accepted = inserted + updated + unchanged.

    A batch that takes another back (`undoes`) lands nothing; `kept` are the rows of that batch
    which later ones have changed and which therefore stay.
    """

    batch: str
    dataset: str
    mode: str
    landed: int = 0
    accepted: int = 0
    rejected: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    snapshot: int = 0
    seconds: float = 0.0
    rules: dict[str, dict[str, int]] = field(default_factory=dict)
    columns_added: tuple[str, ...] = ()
    columns_ignored: tuple[str, ...] = ()
    columns_missing: tuple[str, ...] = ()
    watermark: str | None = None
    key: tuple[str, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    repeated: bool = False
    undoes: str = ""
    kept: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain data for JSON."""
        return asdict(self)


def _outcome(text: str) -> Outcome:
    data = json.loads(text)
    for name in ("columns_added", "columns_ignored", "columns_missing", "key"):
        data[name] = tuple(data[name])
    return Outcome(**data)


def outcome_of(lake: Lake, batch: str) -> Outcome | None:
    """The outcome of a batch that committed; None if it never did."""
    with lake.connect(read_only=True) as con:
        return _read_outcome(con, batch)


def _read_outcome(con: duckdb.DuckDBPyConnection, batch: str) -> Outcome | None:
    row = con.execute(f"SELECT outcome FROM {LEDGER} WHERE batch = ?", [batch]).fetchone()
    if row is None:
        return None
    return replace(_outcome(row[0]), snapshot=_snapshot(con, batch), repeated=True)


def _snapshot(con: duckdb.DuckDBPyConnection, batch: str) -> int:
    row = con.execute(
        "SELECT max(snapshot_id) FROM ducklake_snapshots('lake') WHERE commit_message = ?", [batch]
    ).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def row_hash(columns: Sequence[str]) -> str:
    """SQL of a row's content hash; a column that is NULL everywhere does not change it.

    The outer hash matters: ``hash(a, b)`` alone is linear, so that two columns which change from
    one common value to another would cancel out.
    """
    parts = [
        f"CASE WHEN {quote(c)} IS NULL THEN 0::UBIGINT ELSE hash(hash({quote(c)}, {literal(c)})) END"
        for c in columns
    ]
    sql = parts[0]
    for part in parts[1:]:
        sql = f"xor({sql}, {part})"
    return sql


def load(
    lake: Lake,
    spec: DatasetSpec,
    source: Source,
    mode: str,
    batch: str,
    progress: Progress | None = None,
    *,
    allow_shrink: bool = False,
    corrects: str | None = None,
    gone: pa.Table | None = None,
    wait: float = 3600.0,
) -> Outcome:
    """Loads one batch into a dataset and returns its outcome.

    `full`: the source is everything, rows gone from it are deleted (guarded by `allow_shrink`).
    `incremental`: rows are inserted or updated by key. `append`: every row is inserted. A batch
    that already committed is not run again: its outcome is returned with `repeated` set.
    `corrects` names the batch whose rejected rows (by line) these rows replace. `gone` (only
    incremental) are the keys, in columns of the key's names, of rows that the source has no more:
    they are deleted in the same transaction, unless the source gives them again. `wait` is how many
    seconds to wait for another writer of the same dataset. `progress` is called from this thread.
    Raises LoadRefused and its children when nothing was stored.
    """
    if mode not in MODES:
        raise LakeError(f"装载方式“{mode}”不认识，应为 full、incremental 或 append")
    if gone is not None and (
        mode != "incremental" or sorted(gone.column_names) != sorted(spec.key)
    ):
        raise LakeError("只有按主键增量装载才能同时删除行，且须给出全部主键")
    if not re.fullmatch(r"[\w.:/+\-]{1,200}", batch):
        raise LakeError(f"批次号“{batch}”不合规")
    tell = progress or (lambda fraction, message: None)
    begun = time.monotonic()

    def work(con: duckdb.DuckDBPyConnection) -> str:
        job = _Load(lake, con, spec, source, mode, batch, tell, allow_shrink, corrects, gone)
        outcome = replace(job.run(), seconds=round(time.monotonic() - begun, 3))
        tell(0.95, "提交")
        return json.dumps(outcome.as_dict(), ensure_ascii=False)

    with lake.writer(f"dataset.{spec.name}", timeout=wait):
        done = settled(lake, spec.name, batch, mode, work)
    if not done.repeated:
        tell(1.0, "完成")
        done = replace(done, seconds=round(time.monotonic() - begun, 3))
    return done


def settled(
    lake: Lake,
    name: str,
    batch: str,
    mode: str,
    work: Callable[[duckdb.DuckDBPyConnection], str],
) -> Outcome:
    """A batch of a dataset settled in the lake, with its snapshot; the caller holds the lock."""
    text, repeated = lake.settle(batch, name, mode, name, work)
    with lake.connect() as con:
        return replace(_outcome(text), snapshot=_snapshot(con, batch), repeated=repeated)


class _Load:
    """One attempt at one batch, inside a transaction that the caller opened."""

    def __init__(
        self,
        lake: Lake,
        con: duckdb.DuckDBPyConnection,
        spec: DatasetSpec,
        source: Source,
        mode: str,
        batch: str,
        tell: Progress,
        allow_shrink: bool,
        corrects: str | None,
        gone: pa.Table | None = None,
    ) -> None:
        self.lake, self.con, self.spec, self.source, self.mode = lake, con, spec, source, mode
        self.batch, self.tell = batch, tell
        self.allow_shrink, self.corrects, self.gone = allow_shrink, corrects, gone
        self.raw = f"lake.raw.{quote(spec.name)}"
        self.trusted = f"lake.trusted.{quote(spec.name)}"
        self.refused = f"lake.rejects.{quote(spec.name)}"
        self.changed = f"lake.changes.{quote(spec.name)}"
        self.mine = f"_batch = {literal(batch)}"
        self.items: list[ItemCheck] = list(spec.items)
        self.arrived: dict[str, str] = {}
        self.extra: list[str] = []
        self.added: list[str] = []
        self.ignored: list[str] = []
        self.missing: list[str] = []
        self.good = 0
        self.plain = False
        self.set_aside = False

    def one(self, sql: str, args: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The single row of a query."""
        row = self.con.execute(sql, list(args)).fetchone()
        assert row is not None
        return row

    def run(self) -> Outcome:
        """Lands, checks, merges; returns the outcome as far as this transaction knows it."""
        self.match()
        self.tell(0.0, "读取来源")
        self.land()
        landed = int(self.one(f"SELECT count(*) FROM {self.raw} WHERE {self.mine}")[0])
        self.tell(0.55, f"已读入 {landed} 行，开始检查")
        present = table_columns(self.con, "trusted", self.spec.name)
        before = 0
        if present:
            before = int(self.one(f"SELECT count(*) FROM {self.trusted}")[0])
        checks = compile_checks(
            self.items, self.spec.rules, key=self.spec.key, excel=self.source.excel
        )
        checks.prepare(self.con)
        relation = self.relation()
        legacy = self.old_numbers(checks, relation)
        for item, companion in list(checks.legacy.items()):
            if item not in legacy and companion not in present:
                del checks.legacy[item]
                del checks.typed[companion]
        self.tables(checks)
        with contextlib.ExitStack() as held:
            if quality.worth(landed):
                run = held.enter_context(engines.running(self.lake, self.con))
                checks = quality.judge(run, self.con, checks, relation)
            else:
                self.plain = landed >= PLAIN_FROM and self.is_plain(checks, relation)
            return self.settle(checks, relation, before, landed)

    def settle(self, checks: Checked, relation: str, before: int, landed: int) -> Outcome:
        """Stores what the checks say of the landed rows."""
        counts = None
        if self.mode == "append" or (before == 0 and self.spec.key):
            counts = self.append_all(checks, relation)
        if counts is None:
            counts = self.merge(checks, relation, before, landed)
        self.tell(0.85, "登记问题数据")
        rejected = self.reject(checks)
        accepted = counts["inserted"] + counts["updated"] + counts["unchanged"]
        if landed != accepted + rejected:
            raise LakeError(
                f"行数对不上：读入 {landed}，接收 {accepted}，拒收 {rejected}；批次已撤销"
            )
        if self.corrects:
            self.con.execute(
                f"UPDATE {self.refused} SET _corrected_by = ? WHERE _batch = ? AND _line IN "
                f"(SELECT _line FROM {self.raw} WHERE {self.mine} AND _line NOT IN "
                f"(SELECT _line FROM {self.refused} WHERE {self.mine}))",
                [self.batch, self.corrects],
            )
        return Outcome(
            self.batch,
            self.spec.name,
            self.mode,
            landed,
            accepted,
            rejected,
            **counts,  # type: ignore[arg-type]
            rules=self.tally(),
            columns_added=tuple(self.added),
            columns_ignored=tuple(self.ignored),
            columns_missing=tuple(self.missing),
            watermark=self.watermark(),
            key=self.spec.key,
            titles=dict(self.arrived.items()),
        )

    # ------------------------------------------------------------ landing

    def match(self) -> None:
        """Maps source columns to items and applies the contract to the rest."""
        spec, columns = self.spec, self.source.columns
        found = match_columns(columns, spec.items)
        others = [i for i in range(len(columns)) if i not in found]
        names = dict(found)
        taken = {item.name for item in spec.items} | {f"{i.name}_legacy" for i in spec.items}
        new = unique_names([columns[i] for i in others], taken)
        names.update(zip(others, new, strict=True))
        self.arrived = {names[i]: columns[i] for i in range(len(columns))}
        self.missing = [item.title for item in spec.items if item.name not in found.values()]
        gone = [i.title for i in spec.items if i.name in spec.key and i.title in self.missing]
        if not found:
            raise ContractBroken(
                f"来源的列（{'、'.join(columns[:8])}）没有一个对得上数据集的信息项"
            )
        if gone:
            raise ContractBroken(f"来源缺少主键列：{'、'.join(gone)}")
        extra_titles = [columns[i] for i in others]
        if spec.contract == "freeze" and (extra_titles or self.missing):
            more = f"多出列：{'、'.join(extra_titles)}" if extra_titles else ""
            less = f"缺少列：{'、'.join(self.missing)}" if self.missing else ""
            raise ContractBroken("结构已冻结，" + "；".join(t for t in (more, less) if t))
        self.extra = new
        if spec.contract == "evolve":
            self.items += [ItemCheck(name, columns[i]) for i, name in zip(others, new, strict=True)]
        else:
            self.ignored = extra_titles

    def land(self) -> None:
        """Writes the source as it arrived to raw; other threads read, this one tells progress."""
        names = list(self.arrived)
        ensure_table(
            self.con,
            "raw",
            self.spec.name,
            [
                Column("_batch"),
                Column("_line", "BIGINT"),
                Column("_problem"),
                Column("_text"),
                *(Column(name) for name in names),
            ],
        )
        place = self.source.scan or "landing"
        if not self.source.scan:
            self.con.register("landing", self.source.reader())
        targets = ", ".join(quote(n) for n in ("_batch", "_line", "_problem", "_text", *names))
        values = "".join(f", c{i}" for i in range(len(names)))
        sql = (
            f"INSERT INTO {self.raw} ({targets}) "
            f"SELECT {literal(self.batch)}, _line, _problem, _text{values} FROM {place}"
        )
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.con.execute, sql)
            try:
                while True:
                    try:
                        running.result(timeout=0.5)
                        break
                    except concurrent.futures.TimeoutError:
                        if running.done():
                            raise
                        self.tell(0.55 * self.source.fraction, "读取来源")
            except BaseException:
                if not running.done():
                    self.con.interrupt()
                raise
        if not self.source.scan:
            self.con.unregister("landing")

    def landed_rows(self) -> str:
        """SQL of the batch's readable rows as they arrived; the few set aside, if any were."""
        if self.set_aside:
            return "leftover"
        return f"(FROM {self.raw} WHERE {self.mine} AND _problem IS NULL)"

    def put_aside(self, accepted: str = "", *, others: str = "") -> str:
        """Keeps the readable rows not in `accepted`, or those in `others` (SQL of lines), at hand.

        Returns their relation. They are read leniently now and reported later: looking for them in
        raw once is enough.
        """
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE remaining AS "
            + (
                others
                or f"SELECT r._line FROM {self.raw} r ANTI JOIN ({accepted}) a "
                f"ON a._line = r._line WHERE r.{self.mine} AND r._problem IS NULL"
            )
        )
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE leftover AS SELECT r.* FROM {self.raw} r "
            f"SEMI JOIN remaining m ON m._line = r._line WHERE r.{self.mine}"
        )
        self.set_aside = True
        return self.relation()

    def relation(self, where: str = "") -> str:
        """SQL of the batch's readable rows with one text column per item."""
        columns = ", ".join(
            quote(i.name) if i.name in self.arrived else f"CAST(NULL AS VARCHAR) AS {quote(i.name)}"
            for i in self.items
        )
        kept = "".join(f", {quote(n)}" for n in self.unwanted())
        return f"(SELECT _line, {columns}{kept} FROM {self.landed_rows()} WHERE {where or 'TRUE'})"

    def unwanted(self) -> list[str]:
        """Undeclared columns whose values make a row inadmissible."""
        return self.extra if self.spec.contract == "discard_row" else []

    def stray(self) -> str:
        """SQL that is TRUE when a row has a value in a column nobody declared."""
        tests = [f"nullif(trim({quote(n)}), '') IS NOT NULL" for n in self.unwanted()]
        return " OR ".join(tests) or "FALSE"

    def old_numbers(self, checks: Checked, relation: str) -> set[str]:
        """The credit-code items in which old 15 or 13 digit numbers occur."""
        names = list(checks.legacy)
        if not names:
            return set()
        tests = ", ".join(f"bool_or(strlen({quote(n)}) BETWEEN 13 AND 17)" for n in names)
        flags = self.one(f"SELECT {tests} FROM {relation}")
        maybe = [name for name, flag in zip(names, flags, strict=True) if flag]
        if not maybe:
            return set()
        # odd lengths are few: look closely, spaces and wide digits included
        listed = ", ".join(f"bool_or({quote(checks.legacy[n])} IS NOT NULL)" for n in maybe)
        odd = " OR ".join(f"strlen({quote(n)}) <> 18" for n in maybe)
        flags = self.one(
            f"SELECT {listed} FROM ({checks.verdicts(f'(FROM {relation} WHERE {odd})')})"
        )
        return {name for name, flag in zip(maybe, flags, strict=True) if flag}

    def is_plain(self, checks: Checked, relation: str) -> bool:
        """Whether most of a sample is written plainly, so that the cheap reading pays."""
        row = self.one(
            "SELECT count(*), count(*) FILTER (_ok) FROM "
            f"({checks.verdicts(f'(FROM {relation} LIMIT 4000)', plain=True)})"
        )
        return bool(row[0]) and row[1] >= 0.6 * row[0]

    def tables(self, checks: Checked) -> None:
        """Makes or extends trusted, changes and rejects."""
        columns = checks.columns()
        self.added = ensure_table(self.con, "trusted", self.spec.name, [*columns, *SYSTEM])
        ensure_table(
            self.con,
            "changes",
            self.spec.name,
            [Column("_change_batch"), Column("_op"), *columns, *SYSTEM],
        )
        ensure_table(
            self.con,
            "rejects",
            self.spec.name,
            [
                Column("_batch"),
                Column("_line", "BIGINT"),
                Column("_raw"),
                Column("_text"),
                Column("_reasons", "VARCHAR[]"),
                Column("_codes", "VARCHAR[]"),
                Column("_rejected_at", "TIMESTAMP"),
                Column("_corrected_by"),
            ],
        )

    # ------------------------------------------------------------ accepting

    def insert(self, checks: Checked, relation: str, where: str, plain: bool = False) -> int:
        """Inserts typed rows that pass and satisfy `where`; returns how many."""
        names = [c.name for c in checks.columns()]
        listed = ", ".join(quote(n) for n in names)
        system = ", ".join(c.name for c in SYSTEM)
        carry = ["_line", *self.unwanted()]
        row = self.one(
            f"INSERT INTO {self.trusted} ({listed}, {system}) "
            f"SELECT {listed}, {literal(self.batch)}, _line, CAST(now() AS TIMESTAMP), "
            f"{row_hash(names)}, _warnings FROM ({checks.verdicts(relation, carry, plain=plain)}) "
            f"WHERE _ok AND NOT ({self.stray()}){where}"
        )
        return int(row[0])

    def append_all(self, checks: Checked, relation: str) -> dict[str, int] | None:
        """The short way: every good row is new. None, and nothing done, if keys repeat."""
        inserted = 0
        if self.plain:
            inserted = self.insert(checks, relation, "", plain=True)
            if inserted < int(self.one(f"SELECT count(*) FROM {relation}")[0]):
                rest = self.put_aside(f"SELECT _line FROM {self.trusted} WHERE {self.mine}")
                inserted += self.insert(checks, rest, "")
        else:
            inserted = self.insert(checks, relation, "")
        if self.mode != "append":
            listed = ", ".join(quote(k) for k in self.spec.key)
            distinct = self.one(
                f"SELECT count(DISTINCT hash({listed})) FROM {self.trusted} WHERE {self.mine}"
            )
            if distinct[0] < inserted:
                self.con.execute(f"DELETE FROM {self.trusted} WHERE {self.mine}")
                self.set_aside = False
                return None
        self.con.execute(
            "CREATE OR REPLACE TEMP VIEW accepted AS "
            f"SELECT _line FROM {self.trusted} WHERE {self.mine}"
        )
        self.con.execute("CREATE OR REPLACE TEMP TABLE clashes (_line BIGINT, others VARCHAR)")
        self.good = inserted
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE warned AS SELECT _warnings, count(*) AS n "
            f"FROM {self.trusted} WHERE {self.mine} AND _warnings IS NOT NULL GROUP BY ALL"
        )
        return {"inserted": inserted, "updated": 0, "unchanged": 0, "deleted": 0}

    def merge(self, checks: Checked, relation: str, before: int, landed: int) -> dict[str, int]:
        """The long way: rows are compared with what is there, by key and content hash."""
        names = [c.name for c in checks.columns()]
        keys = list(self.spec.key)
        carry = ["_line", *self.unwanted()]
        key_sql = "".join(f", {quote(k)} AS _k{i}" for i, k in enumerate(keys))
        hashed = row_hash(names)
        if not keys:
            key_sql = f", {hashed} AS _k0"
        width = max(len(keys), 1)
        k = ", ".join(f"_k{i}" for i in range(width))
        mark = self.spec.watermark
        newest = f", {quote(mark)} AS _mark" if mark else ", NULL AS _mark"
        wanted = f"_line{key_sql}, {hashed} AS _h, _ok AND NOT ({self.stray()}) AS _good, _warnings{newest}"
        # What has been read and typed once is stored from memory, unless it is too much for it.
        staged = landed * len(names) <= STAGED_VALUES
        if staged:
            wanted += "".join(f", {quote(n)}" for n in names)
        source = f"({checks.verdicts(relation, carry, plain=self.plain)})"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE stage AS SELECT {wanted} FROM {source}")
        if self.plain and self.one("SELECT count(*) FROM stage WHERE NOT _good")[0]:
            rest = self.put_aside(others="SELECT _line FROM stage WHERE NOT _good")
            self.con.execute("DELETE FROM stage WHERE NOT _good")
            self.con.execute(
                f"INSERT INTO stage SELECT {wanted} FROM ({checks.verdicts(rest, carry)})"
            )
        self.tell(0.7, "与已有数据比较")
        winner = "arg_max(_line, (_mark, _line))" if mark else "max(_line)"
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT {k} FROM stage WHERE _good "
            f"GROUP BY {k} HAVING count(*) > 1"
        )
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE twins AS SELECT {k}, {winner} AS winner, "
            "min(_h) <> max(_h) AS differ, "
            "left(string_agg(CAST(_line AS VARCHAR), '、' ORDER BY _line), 60) AS listed "
            f"FROM stage SEMI JOIN repeated USING ({k}) WHERE _good GROUP BY {k}"
        )
        same = " AND ".join(f"s._k{i} = w._k{i}" for i in range(width))
        clash = "FALSE" if mark else "w.differ"
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE clashes AS SELECT s._line, w.listed AS others "
            f"FROM stage s JOIN twins w ON {same} WHERE s._good AND {clash}"
        )
        if self.one("SELECT count(*) FROM clashes")[0]:
            self.con.execute(
                "UPDATE stage SET _good = FALSE WHERE _line IN (SELECT _line FROM clashes)"
            )
            self.set_aside = False  # what clashes is refused, too, and was not put aside
        self.con.execute(
            "CREATE OR REPLACE TEMP VIEW accepted AS SELECT _line FROM stage WHERE _good"
        )
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE warned AS SELECT _warnings, count(*) AS n FROM stage "
            "WHERE _good AND _warnings IS NOT NULL GROUP BY ALL"
        )
        self.good = int(self.one("SELECT count(*) FROM stage WHERE _good")[0])
        held = ", ".join(f"{quote(key)} AS _k{i}" for i, key in enumerate(keys)) or "_hash AS _k0"
        joined = " AND ".join(f"s._k{i} = t._k{i}" for i in range(width))
        winners = (
            "(SELECT * FROM stage s WHERE _good AND NOT EXISTS "
            f"(SELECT 1 FROM twins w WHERE {same} AND s._line <> w.winner))"
        )
        have = list(table_columns(self.con, "trusted", self.spec.name))
        images = [c for c in have if c in table_columns(self.con, "changes", self.spec.name)]
        # One pass over the table finds what is the same and what differs, and brings along the old
        # values of what differs.
        old = "".join(
            f", CASE WHEN t._hash <> s._h THEN t.{quote(c)} END AS {quote(c)}" for c in images
        )
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE met AS SELECT s._line AS _met, t._rid, "
            f"CASE WHEN t._hash = s._h THEN 'same' ELSE 'update' END AS _op{old} "
            f"FROM (SELECT *, rowid AS _rid, {held} FROM {self.trusted}) t JOIN {winners} s ON {joined}"
        )
        ops = dict(self.con.execute("SELECT _op, count(*) FROM met GROUP BY _op").fetchall())
        losers = self.one(
            f"SELECT count(*) FROM stage s JOIN twins w ON {same} WHERE s._good AND s._line <> w.winner"
        )
        ops["insert"] = self.good - losers[0] - sum(ops.values())
        gone = 0
        if self.mode == "full" and before:
            # a row that is refused today is still there at its source
            self.con.execute(
                f"CREATE OR REPLACE TEMP TABLE gone AS SELECT t._rid FROM "
                f"(SELECT rowid AS _rid, {held} FROM {self.trusted}) t "
                f"WHERE NOT EXISTS (SELECT 1 FROM stage s WHERE {joined})"
            )
            gone = int(self.one("SELECT count(*) FROM gone")[0])
        if self.gone is not None and self.gone.num_rows:
            gone = self.find_gone(held, joined)
        if self.mode == "full" and before and not self.allow_shrink:
            if self.good == 0:
                raise ShrinkRefused(
                    f"全量来源没有一行可用数据，而库中有 {before} 行；已拒绝，未作改动"
                )
            if gone > before * 0.5:
                raise ShrinkRefused(
                    f"全量来源会删除 {gone} 行（共 {before} 行，超过一半）；已拒绝，未作改动"
                )
        listed = ", ".join(quote(c) for c in images)
        out = f"INSERT INTO {self.changed} (_change_batch, _op, {listed}) SELECT {literal(self.batch)}"
        leaving = []
        if ops.get("update"):
            self.con.execute(f"{out}, _op, {listed} FROM met WHERE _op = 'update'")
            leaving.append("SELECT _rid FROM met WHERE _op = 'update'")
        if gone:
            self.con.execute(
                f"{out}, 'delete', {', '.join('t.' + quote(c) for c in images)} "
                f"FROM {self.trusted} t JOIN gone g ON g._rid = t.rowid"
            )
            leaving.append("SELECT _rid FROM gone")
        if leaving:
            self.con.execute(
                f"DELETE FROM {self.trusted} WHERE rowid IN ({' UNION ALL '.join(leaving)})"
            )
        if ops.get("insert") or ops.get("update"):
            new = "ANTI JOIN (SELECT _met FROM met WHERE _op = 'same') m ON m._met = s._line"
            if staged:
                columns = ", ".join(quote(n) for n in names)
                system = ", ".join(c.name for c in SYSTEM)
                self.con.execute(
                    f"INSERT INTO {self.trusted} ({columns}, {system}) "
                    f"SELECT {columns}, {literal(self.batch)}, _line, CAST(now() AS TIMESTAMP), _h, "
                    f"_warnings FROM {winners} s {new}"
                )
            else:
                self.insert(
                    checks, relation, f" AND _line IN (SELECT _line FROM {winners} s {new})"
                )
        inserted, updated = int(ops.get("insert", 0)), int(ops.get("update", 0))
        return {
            "inserted": inserted,
            "updated": updated,
            "unchanged": self.good - inserted - updated,
            "deleted": gone,
        }

    def find_gone(self, held: str, joined: str) -> int:
        """Finds the rows that the source says are gone, in a temporary table; returns how many."""
        kinds = table_columns(self.con, "trusted", self.spec.name)
        keys = self.spec.key
        typed = ", ".join(
            f"TRY_CAST({quote(k)} AS {kinds[k]}) AS _k{i}" for i, k in enumerate(keys)
        )
        same = " AND ".join(f"g._k{i} = t._k{i}" for i in range(len(keys)))
        self.con.register("leaving", self.gone)
        self.con.execute(
            "CREATE OR REPLACE TEMP TABLE gone AS SELECT t._rid FROM "
            f"(SELECT rowid AS _rid, {held} FROM {self.trusted}) t "
            f"SEMI JOIN (SELECT {typed} FROM leaving) g ON {same} "
            f"WHERE NOT EXISTS (SELECT 1 FROM stage s WHERE {joined})"
        )
        self.con.unregister("leaving")
        return int(self.one("SELECT count(*) FROM gone")[0])

    # ------------------------------------------------------------ refusing

    def reject(self, checks: Checked) -> int:
        """Stores every row that was not accepted, as it arrived, with its reasons."""
        arrived = ", ".join(
            f"{literal(title)}, r.{quote(name)}" for name, title in self.arrived.items()
        )
        total, broken = self.one(
            f"SELECT count(*), count(_problem) FROM {self.raw} WHERE {self.mine}"
        )
        if broken:
            self.con.execute(
                f"INSERT INTO {self.refused} SELECT {literal(self.batch)}, _line, NULL, _text, "
                "[_problem], ['row.unreadable'], CAST(now() AS TIMESTAMP), NULL "
                f"FROM {self.raw} WHERE {self.mine} AND _problem IS NOT NULL"
            )
        if total - broken > self.good:
            self.con.execute(
                "CREATE OR REPLACE TEMP TABLE refused AS SELECT r._line "
                f"FROM {self.landed_rows()} r ANTI JOIN accepted a ON a._line = r._line"
            )
            if not self.set_aside:
                self.put_aside("FROM accepted")
            chosen = self.relation("_line IN (SELECT _line FROM refused)")
            stray = self.stray()
            titles = "、".join(self.arrived[n] for n in self.unwanted())
            reasons = checks.reasons(chosen, ["_line", *self.unwanted()])
            self.con.execute(
                f"INSERT INTO {self.refused} "
                f"SELECT {literal(self.batch)}, v._line, CAST(json_object({arrived}) AS VARCHAR), NULL, "
                f"list_concat(list_concat(v._reasons, CASE WHEN v._stray THEN [{literal(f'出现未登记的列（{titles}），按契约整行不收')}] ELSE [] END), "
                "CASE WHEN c._line IS NOT NULL THEN ['主键重复且内容不一致（第 ' || c.others || ' 行）'] ELSE [] END), "
                "list_concat(list_concat(v._codes, CASE WHEN v._stray THEN ['row.contract'] ELSE [] END), "
                "CASE WHEN c._line IS NOT NULL THEN ['row.duplicate_key'] ELSE [] END), CAST(now() AS TIMESTAMP), NULL "
                f"FROM (SELECT *, ({stray}) AS _stray FROM ({reasons})) v "
                "JOIN leftover r ON r._line = v._line "
                "LEFT JOIN clashes c ON c._line = v._line"
            )
        return int(self.one(f"SELECT count(*) FROM {self.refused} WHERE {self.mine}")[0])

    def tally(self) -> dict[str, dict[str, int]]:
        """How many rows each check and rule refused or warned about."""
        out: dict[str, dict[str, int]] = {
            rule.code: {"failed": 0, "warned": 0} for rule in self.spec.rules
        }
        for code, n in self.con.execute(
            f"SELECT code, count(*) FROM (SELECT unnest(_codes) AS code FROM {self.refused} "
            f"WHERE {self.mine}) GROUP BY code ORDER BY code"
        ).fetchall():
            out.setdefault(code, {"failed": 0, "warned": 0})["failed"] = int(n)
        for codes, n in self.con.execute("SELECT _warnings, n FROM warned").fetchall():
            for code in codes.split(","):
                out.setdefault(code, {"failed": 0, "warned": 0})["warned"] += int(n)
        return out

    def watermark(self) -> str | None:
        """The greatest watermark among the batch's readable rows in trusted, as text."""
        if not self.spec.watermark:
            return None
        row = self.one(
            f"SELECT CAST(max({quote(self.spec.watermark)}) AS VARCHAR) FROM {self.trusted}"
        )
        return row[0]


# ---------------------------------------------------------------- reading batches back


def rejects(
    lake: Lake, name: str, batch: str | None = None, offset: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Rejected rows by line: line, raw (title → text), text, reasons, codes, corrected_by, batch.

    Without `batch` those of all batches that nobody has corrected yet.
    """
    valid_name(name)
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "rejects", name):
            return []
        where = "_batch = ?" if batch else "_corrected_by IS NULL AND ? IS NULL"
        rows = con.execute(
            "SELECT _batch, _line, _raw, _text, _reasons, _codes, _corrected_by, _rejected_at "
            f"FROM lake.rejects.{quote(name)} WHERE {where} "
            f"ORDER BY _rejected_at, _batch, _line LIMIT {int(limit)} OFFSET {int(offset)}",
            [batch],
        ).fetchall()
    return [
        {
            "batch": row[0],
            "line": row[1],
            "raw": json.loads(row[2]) if row[2] is not None else None,
            "text": row[3],
            "reasons": row[4],
            "codes": row[5],
            "corrected_by": row[6],
            "rejected_at": row[7],
        }
        for row in rows
    ]


def resend(
    lake: Lake,
    spec: DatasetSpec,
    corrected: str,
    rows: Sequence[tuple[int, dict[str, Any]]],
    batch: str,
    progress: Progress | None = None,
) -> Outcome:
    """Sends corrected rows of batch `corrected` again, each under its old line number."""
    columns = list(dict.fromkeys(title for _, row in rows for title in row))
    if not columns:
        raise LakeError("没有要重新提交的行")
    source = from_rows(columns, [(line, [row.get(c) for c in columns]) for line, row in rows])
    return load(lake, spec, source, "incremental", batch, progress, corrects=corrected)


def changes_sql(con: duckdb.DuckDBPyConnection, name: str, batch: str, key: Sequence[str]) -> str:
    """SQL of a batch's changes: ``op`` (insert, update, delete), ``before`` and ``after`` rows.

    What a batch wrote is either still in trusted or the before-image of a later change; both
    carry the batch's code. So no snapshot has to be kept for it.
    """
    columns = [
        c for c in table_columns(con, "trusted", name) if c in table_columns(con, "changes", name)
    ]
    listed = ", ".join(quote(c) for c in columns)
    packed = "struct_pack(" + ", ".join(f"{quote(c)} := {quote(c)}" for c in columns) + ")"
    mine = literal(batch)
    on = " AND ".join(f"b.row.{quote(k)} = a.row.{quote(k)}" for k in key) or "FALSE"
    return (
        "SELECT CASE WHEN b.row IS NULL THEN 'insert' WHEN a.row IS NULL THEN 'delete' "
        "ELSE 'update' END AS op, b.row AS before, a.row AS after FROM "
        f"(SELECT {packed} AS row FROM lake.changes.{quote(name)} WHERE _change_batch = {mine}) b "
        f"FULL OUTER JOIN (SELECT {packed} AS row FROM (SELECT {listed} "
        f"FROM lake.trusted.{quote(name)} WHERE _batch = {mine} UNION ALL SELECT {listed} "
        f"FROM lake.changes.{quote(name)} WHERE _batch = {mine})) a ON {on}"
    )


def changes(lake: Lake, name: str, batch: str, limit: int | None = None) -> pa.Table:
    """A committed batch's changes: columns op, before, after (structs of the trusted columns).

    With `limit` any so many of them.
    """
    valid_name(name)
    with lake.connect(read_only=True) as con:
        done = _read_outcome(con, batch)
        if done is None or done.dataset != name:
            raise LakeError(f"数据集“{name}”没有批次“{batch}”")
        most = f" LIMIT {int(limit)}" if limit is not None else ""
        return con.execute(changes_sql(con, name, batch, done.key) + most).to_arrow_table()


def batches(lake: Lake, name: str | None = None) -> list[Outcome]:
    """The outcomes of committed batches, oldest first."""
    with lake.connect(read_only=True) as con:
        where = "WHERE dataset = ?" if name else "WHERE ? IS NULL"
        rows = con.execute(
            f"SELECT outcome FROM {LEDGER} {where} ORDER BY finished_at", [name]
        ).fetchall()
    return [_outcome(row[0]) for row in rows]


def profile(lake: Lake, name: str, schema: str = "trusted") -> dict[str, Any]:
    """Rows, and per column its nulls, distinct values (estimated), least and greatest value."""
    valid_name(name)
    with lake.connect(read_only=True) as con:
        have = table_columns(con, schema, name)
        if not have:
            raise LakeError(f"没有表“{schema}.{name}”")
        columns = {c: t for c, t in have.items() if not c.startswith("_")}
        parts = ["count(*)"]
        for column in columns:
            c = quote(column)
            parts += [
                f"count({c})",
                f"approx_count_distinct({c})",
                f"left(CAST(min({c}) AS VARCHAR), 80)",
                f"left(CAST(max({c}) AS VARCHAR), 80)",
            ]
        row = con.execute(
            f"SELECT {', '.join(parts)} FROM lake.{quote(schema)}.{quote(name)}"
        ).fetchone()
    assert row is not None
    out = []
    for index, (column, kind) in enumerate(columns.items()):
        filled, distinct, low, high = row[1 + index * 4 : 5 + index * 4]
        out.append(
            {
                "name": column,
                "type": kind,
                "nulls": row[0] - filled,
                "distinct": min(distinct, filled),
                "min": low,
                "max": high,
            }
        )
    return {"rows": row[0], "columns": out}


def read(
    lake: Lake, name: str, *, schema: str = "trusted", offset: int = 0, limit: int = 100
) -> Iterator[dict[str, Any]]:
    """Rows of a table as dicts, for a preview."""
    valid_name(name)
    with lake.connect(read_only=True) as con:
        cursor = con.execute(
            f"SELECT * FROM lake.{quote(schema)}.{quote(name)} "
            f"LIMIT {int(limit)} OFFSET {int(offset)}"
        )
        names = [d[0] for d in cursor.description or ()]
        rows = cursor.fetchall()
    yield from (dict(zip(names, row, strict=True)) for row in rows)
