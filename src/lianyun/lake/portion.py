"""Portion: what one receiver is given of a dataset or library: its fields, masks and rows in scope.

As a whole after a batch, or as the net difference since another: a row that comes into the scope is
an upsert for that receiver, one that leaves it a deletion, and one in which nothing changed that the
receiver may see is not mentioned. Both are read in one transaction with the position they stand for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from .history import _difference_sql, _order, as_of
from .mask import masked
from .merge import _read_outcome
from .shelves import LEDGER, Lake, LakeError, literal, quote, table_columns, valid_name

PIECE_ROWS = 100_000
"""A change is cut into so many rows, along the key, so that the next is made ready while one leaves."""
OPAQUE = "_lianyun_key"
"""The column that tells rows apart where the dataset's own key may not be shown, or there is none."""
BATCH_ROWS = 20_000
_PLAIN = ("VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN", "UBIGINT")


@dataclass(frozen=True)
class Portion:
    """What a receiver may have. `people` are columns that hold persons' numbers, for the record.

    `scope` narrows the rows: each column's value must be among those listed (as text); `within`
    likewise, to values that begin so (an area's digits). `secret` makes opaque keys of different
    receivers different, so that nobody can join them.
    """

    name: str
    fields: tuple[str, ...]
    masks: Mapping[str, str] = field(default_factory=dict)
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    library: str = ""
    """The key column of a library; empty for a dataset."""
    secret: str = ""
    within: Mapping[str, str] = field(default_factory=dict)

    @property
    def ledger(self) -> str:
        """The name under which the lake's ledger knows it."""
        return f"library.{self.name}" if self.library else self.name

    @property
    def shelf(self) -> str:
        """The schema its current rows lie in."""
        return "library" if self.library else "trusted"


@dataclass(frozen=True)
class Given:
    """One column as the receiver gets it: its DuckDB type, and whether it is part of the key."""

    name: str
    kind: str
    key: bool = False


@dataclass(frozen=True)
class Piece:
    """A stretch of a change along its key: SQL of its upserts, of those the receiver had not, of the rest."""

    rows: str
    come: str
    changed: str
    newcomers: int
    others: int


def positions(lake: Lake, portion: Portion) -> list[str]:
    """The batches (or buildings of a library) that a receiver may stand at, oldest first."""
    with lake.connect(read_only=True) as con:
        return _positions(con, portion)


def _positions(con: duckdb.DuckDBPyConnection, portion: Portion) -> list[str]:
    return [code for code, _ in _order(con, portion.ledger)] if portion.name else []


def _sizes(con: duckdb.DuckDBPyConnection, portion: Portion) -> dict[str, int]:
    """How many rows each batch changed."""
    told = con.execute(f"SELECT batch, outcome FROM {LEDGER} WHERE dataset = ?", [portion.ledger])
    out = {}
    for batch, outcome in told.fetchall():
        made = json.loads(outcome)
        out[batch] = sum(int(made.get(k) or 0) for k in ("inserted", "updated", "deleted"))
    return out


class Taken:
    """What is to be given now, in a transaction of the lake's own; `rows` and `gone` are SQL.

    `since` is empty where `full`. `upserts` and `deletes` count rows; a full portion has no
    deletions: what the receiver has beyond it must go. A change comes in `pieces`, in the order of
    its key; of each piece's upserts, `come` are those that the receiver had not at `since`
    (`newcomers` of them), `changed` the others.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, portion: Portion, since: str, upto: str
    ) -> None:
        self.con, self.portion, self.since, self.upto = con, portion, since, upto
        self.full = not since
        held = table_columns(con, portion.shelf, valid_name(portion.name))
        if not held:
            raise LakeError(f"“{portion.name}”还没有数据")
        self.held = held
        if portion.library:
            self.key: tuple[str, ...] = (portion.library,)
        else:
            done = _read_outcome(con, upto)
            if done is None or done.dataset != portion.name:
                raise LakeError(f"数据集“{portion.name}”没有批次“{upto}”")
            self.key = done.key
        fields = [f for f in portion.fields if f in held]
        if not fields:
            raise LakeError("授权的数据项都还没有入库，暂时不能交换")
        masks = portion.masks
        self.natural = bool(self.key) and all(
            k in fields and masks.get(k, "none") == "none" for k in self.key
        )
        columns = [] if self.natural else [Given(OPAQUE, "VARCHAR", True)]
        for name in fields:
            kind = held[name] if masks.get(name, "none") == "none" else "VARCHAR"
            plain = kind in _PLAIN or kind.startswith("DECIMAL")
            columns.append(
                Given(name, kind if plain else "VARCHAR", self.natural and name in self.key)
            )
        self.columns = tuple(columns)
        self.keys = tuple(c.name for c in columns if c.key)
        self.pieces: tuple[Piece, ...] = ()
        self._prepare()

    @property
    def shape(self) -> str:
        """A mark of what the receiver's table looks like and means; another one asks for all anew."""
        told = [
            [[c.name, c.kind, c.key] for c in self.columns],
            sorted(self.portion.masks.items()),
            sorted((k, sorted(v)) for k, v in self.portion.scope.items()),
            *([sorted(self.portion.within.items())] if self.portion.within else []),
        ]
        return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:16]

    # ------------------------------------------------------------ SQL

    def _scope(self, row: str) -> str:
        """SQL of whether a row is in scope; a column that is not there narrows to nothing."""
        parts = []
        for column, values in self.portion.scope.items():
            if column not in self.held or not values:
                return "FALSE"
            listed = ", ".join(literal(str(v)) for v in values)
            parts.append(f"CAST({row}.{quote(column)} AS VARCHAR) IN ({listed})")
        for column, prefix in self.portion.within.items():
            if column not in self.held or not prefix:
                return "FALSE"
            there = f"CAST({row}.{quote(column)} AS VARCHAR)"
            parts.append(f"coalesce(starts_with({there}, {literal(prefix)}), FALSE)")
        return " AND ".join(parts) or "TRUE"

    def _value(self, row: str, column: Given) -> str:
        if column.name == OPAQUE:
            return self._opaque(row)
        there = f"{row}.{quote(column.name)}"
        kind = self.held[column.name]
        shown = masked(there, self.portion.masks.get(column.name, "none"), kind)
        return f"CAST({shown} AS VARCHAR)" if shown == there and column.kind != kind else shown

    def _opaque(self, row: str) -> str:
        """SQL of a digest that names a row and tells nothing of it."""
        of = self.key or ("_batch", "_line", "_hash")
        parts = ", ".join(f"coalesce(CAST({row}.{quote(c)} AS VARCHAR), chr(30))" for c in of)
        return f"left(sha256(concat_ws(chr(31), {literal(self.portion.secret)}, {parts})), 32)"

    def _people(self, row: str) -> list[str]:
        return [
            f"CAST({row}.{quote(c)} AS VARCHAR) AS {quote(f'_person{i}')}"
            for i, c in enumerate(self.portion.people)
            if c in self.held
        ]

    def _prepare(self) -> None:
        columns = self.columns
        order = ", ".join(quote(k) for k in self.keys)
        listed = ", ".join(quote(c.name) for c in columns)
        if self.full:
            if self.portion.library:
                source = f"SELECT * FROM lake.library.{quote(self.portion.name)}"
            else:
                source = as_of(self.con, self.portion.name, batch=self.upto)
            body = ", ".join(f"{self._value('r', c)} AS {quote(c.name)}" for c in columns)
            self.rows = f"SELECT {body} FROM ({source}) r WHERE {self._scope('r')}"
            people = self._people("r")
            self._persons = (
                f"SELECT {', '.join(people)} FROM ({source}) r WHERE {self._scope('r')}"
                if people
                else ""
            )
            self.gone = ""
            self.upserts = self._count(
                f"SELECT count(*) FROM ({source}) r WHERE {self._scope('r')}"
            )
            self.deletes = 0
            self.ordered = f"{self.rows} ORDER BY {order}"
            return
        codes = _positions(self.con, self.portion)
        if self.since not in codes or self.upto not in codes:
            raise LakeError(f"变更的起止位置“{self.since}”“{self.upto}”已经不在数据湖中")
        between = codes[codes.index(self.since) + 1 : codes.index(self.upto) + 1]
        difference = _difference_sql(self.con, self.portion.name, between, self.key)
        before, after = self._scope("d.before"), self._scope("d.after")
        visible = [c for c in columns if not c.key]
        same = " AND ".join(
            f"{self._value('d.before', c)} IS NOT DISTINCT FROM {self._value('d.after', c)}"
            for c in visible
        )
        body = ", ".join(
            (
                f"CASE WHEN here THEN {self._value('d.after', c)} "
                f"ELSE {self._value('d.before', c)} END AS {quote(c.name)}"
                if c.key
                else f"CASE WHEN here THEN {self._value('d.after', c)} END AS {quote(c.name)}"
            )
            for c in columns
        )
        people = [
            f"CASE WHEN here THEN CAST(d.after.{quote(c)} AS VARCHAR) "
            f"ELSE CAST(d.before.{quote(c)} AS VARCHAR) END AS {quote(f'_person{i}')}"
            for i, c in enumerate(self.portion.people)
            if c in self.held
        ]
        more = f", {', '.join(people)}" if people else ""
        self.con.execute(
            # Numbered as they come, along the key: pieces and the people of pieces are cut by these
            # numbers. A window with an order of its own would leave the rows as its threads put
            # them down; so they lie in order, and a piece is one stretch of the table.
            "CREATE OR REPLACE TEMP TABLE _portion AS SELECT row_number() OVER () - 1 AS _n, * FROM ("
            f"SELECT here AS _here, was AS _was, {body}{more} FROM (SELECT before, after, "
            f"after IS NOT NULL AND ({after}) AS here, before IS NOT NULL AND ({before}) AS was "
            f"FROM ({difference}) d) d WHERE (here OR was) "
            f"AND NOT (here AND was AND ({same or 'TRUE'})) ORDER BY {order})"
        )
        key = ", ".join(quote(k) for k in self.keys)
        self.rows = f"SELECT {listed} FROM _portion WHERE _here"
        self.ordered = f"{self.rows} ORDER BY {order}"
        self.gone = f"SELECT {key} FROM _portion WHERE NOT _here"
        named = ", ".join(quote(f"_person{i}") for i in range(len(people)))
        self._persons = f"SELECT {named} FROM _portion" if people else ""
        counted = self.con.execute(
            f"SELECT _n // {PIECE_ROWS}, count(*) FILTER (_here AND NOT _was), "
            "count(*) FILTER (_here AND _was), count(*) FILTER (NOT _here) "
            "FROM _portion GROUP BY 1 ORDER BY 1"
        ).fetchall()
        self.pieces = tuple(
            self._piece(int(number), int(newcomers), int(others), order)
            for number, newcomers, others, _ in counted
        )
        self.deletes = sum(int(row[3]) for row in counted)
        self.upserts = sum(p.newcomers + p.others for p in self.pieces)

    def _piece(self, number: int, newcomers: int, others: int, order: str) -> Piece:
        first = number * PIECE_ROWS
        rows = f"{self.rows} AND _n BETWEEN {first} AND {first + PIECE_ROWS - 1}"
        return Piece(
            f"{rows} ORDER BY {order}",
            f"{rows} AND NOT _was ORDER BY {order}",
            f"{rows} AND _was ORDER BY {order}",
            newcomers,
            others,
        )

    def _count(self, sql: str) -> int:
        row = self.con.execute(sql).fetchone()
        return int(row[0]) if row else 0

    # ------------------------------------------------------------ reading

    def batches(self, sql: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows of one of the statements, in batches; never more than one in memory."""
        yield from self.con.execute(sql).to_arrow_reader(rows)

    def persons(self) -> Iterator[str]:
        """The numbers of the persons whom this portion names, each once, as they are in the lake.

        They are read at once: the lake may be asked other things while somebody goes through them.
        """
        if not self._persons:
            return iter(())
        names = [
            f"SELECT {quote(f'_person{i}')} AS p FROM ({self._persons})"
            for i, c in enumerate(c for c in self.portion.people if c in self.held)
        ]
        told = self.con.execute(
            f"SELECT DISTINCT p FROM ({' UNION ALL '.join(names)}) WHERE p IS NOT NULL AND p <> ''"
        ).to_arrow_table()
        return (number for chunk in told.column(0).chunks for number in chunk.to_pylist())

    def persons_by_piece(self) -> list[Iterator[str]]:
        """The persons of a change's pieces in their order, each read at once; more than once where
        a number stands in several rows. Who is named by rows that go belongs to the first."""
        if not self._persons:
            return [iter(()) for _ in self.pieces]
        told = self.con.execute(f"{self._persons} ORDER BY _n").to_arrow_table()
        gone = self.con.execute(f"{self._persons} WHERE NOT _here").to_arrow_table()
        return [
            _numbers(([gone] if not number else []) + [told.slice(number * PIECE_ROWS, PIECE_ROWS)])
            for number in range(len(self.pieces))
        ]


def _numbers(tables: list[pa.Table]) -> Iterator[str]:
    """All values of tables' columns but NULL and ''."""
    for table in tables:
        for column in table.columns:
            for chunk in column.chunks:
                yield from filter(None, chunk.to_pylist())


@contextlib.contextmanager
def take(
    lake: Lake,
    portion: Portion,
    since: str = "",
    upto: str = "",
    *,
    most: int = 1_000_000,
    shape: str = "",
) -> Iterator[Taken | None]:
    """What a receiver that stands at `since` is to be given next; None where there is nothing new.

    Without `since`, with a `since` that the lake no longer knows, for a library that was built
    anew, and where `shape` (the receiver's) is no longer that of the portion, it is everything.
    Otherwise the net difference up to `upto`, or over so many batches as change at most `most` rows
    together (one batch at least). All is read at one moment: the position and the rows agree.
    """
    with lake.connect(read_only=True) as con:
        con.execute("BEGIN TRANSACTION")
        try:
            codes = _positions(con, portion)
            if not codes:
                raise LakeError(f"“{portion.name}”还没有数据")
            stands = since in codes
            if upto and upto not in codes:
                upto = ""
            if stands and since == codes[-1] and not upto:
                if not _other(con, portion, since, shape):
                    yield None
                    return
                stands = False
            elif stands and (portion.library or _other(con, portion, codes[-1], shape)):
                stands, upto = False, ""
            if not stands:
                last = codes[-1] if portion.library or not upto else upto
                yield Taken(con, portion, "", last)
                return
            if not upto:
                upto = _far(con, portion, codes[codes.index(since) + 1 :], most)
            yield Taken(con, portion, since, upto)
        finally:
            with contextlib.suppress(duckdb.Error):
                con.execute("ROLLBACK")


def _other(con: duckdb.DuckDBPyConnection, portion: Portion, upto: str, shape: str) -> bool:
    """Whether the receiver's table was made for another shape."""
    return bool(shape) and _Shape(con, portion, "", upto).shape != shape


class _Shape(Taken):
    """A portion of which only the shape is wanted."""

    def _prepare(self) -> None:
        self.rows = self.gone = self.ordered = self._persons = ""
        self.upserts = self.deletes = 0


def _far(con: duckdb.DuckDBPyConnection, portion: Portion, waiting: list[str], most: int) -> str:
    sizes = _sizes(con, portion)
    total = 0
    last = waiting[0]
    for code in waiting:
        total += sizes.get(code, 0)
        if total > most and code != waiting[0]:
            break
        last = code
    return last
