"""Entities: what linked pairs and officers' decisions make of rows, and the crosswalk that keeps it.

``links.crosswalk`` says (linkage, dataset, key) → entity. It is a pure function of the newest run's
merging pairs and of the decisions in force, so that taking a decision back restores exactly what was
(ADR 0008).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from .shelves import Column, Lake, LakeError, ensure_table, literal, quote, table_columns

if TYPE_CHECKING:
    from .match import MatchSpec, Side

CROSSWALK = "lake.links.crosswalk"


Edge = tuple[str, str, float]
"""Left key, right key, probability."""


@dataclass(frozen=True)
class Decision:
    """An officer's word on two rows; `left` and `right` are keys, `same` or not, `code` names it."""

    code: str
    left: str
    right: str
    same: bool


@dataclass
class Applied:
    """What came of applying decisions: entities, their members, and decisions that contradict."""

    entities: int = 0
    members: int = 0
    merged: int = 0
    contradictions: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0


def key_sql(side: Side) -> str:
    """A row's key as text, as the crosswalk has it."""
    parts = [f"CAST({quote(c)} AS VARCHAR)" for c in side.key]
    return parts[0] if len(parts) == 1 else f"concat_ws('|', {', '.join(parts)})"


def edges_of(table: pa.Table) -> list[Edge]:
    return list(zip(*(table.column(i).to_pylist() for i in range(3)), strict=True))


@dataclass(frozen=True)
class Link:
    """One row of the crosswalk: a dataset's key belongs to an entity, and why."""

    dataset: str
    key: str
    entity: str
    basis: str
    probability: float


def resolve(
    spec: MatchSpec, edges: Iterable[Edge], decisions: Sequence[Decision]
) -> tuple[list[Link], list[dict[str, str]]]:
    """Entities from merging pairs (strongest first) and officers' decisions; a pure function.

    Decisions come first: what was decided to be different never ends in one entity, whatever other
    pairs say. A decision "same" that another decision (or, with `single`, a second right row) forbids
    is not applied and is named among the contradictions with the one it contradicts.
    """
    parent: dict[str, str] = {}
    size: dict[str, int] = {}
    anchor: dict[str, str] = {}
    foes: dict[str, dict[str, str]] = {}
    why: dict[str, tuple[str, float]] = {}
    single = spec.single and not spec.dedupes
    right_mark = "0" if spec.dedupes else "1"

    def node(mark: str, key: str) -> str:
        name = mark + key
        if name not in parent:
            parent[name], size[name] = name, 1
            if mark == "1":
                anchor[name] = key
        return name

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def obstacle(a: str, b: str) -> str | None:
        if b in foes.get(a, ()):
            return foes[a][b]
        if single and a in anchor and b in anchor:
            return "single"
        return None

    def join(a: str, b: str) -> None:
        if size[a] < size[b]:
            a, b = b, a
        parent[b] = a
        size[a] += size[b]
        if b in anchor and a not in anchor:
            anchor[a] = anchor[b]
        for foe, code in foes.pop(b, {}).items():
            foes.setdefault(a, {}).setdefault(foe, code)
            foes[foe][a] = foes[foe].pop(b)

    for one in decisions:
        if not one.same:
            a, b = node("0", one.left), node(right_mark, one.right)
            foes.setdefault(a, {})[b] = one.code
            foes.setdefault(b, {})[a] = one.code
    contradictions = []
    for one in decisions:
        if one.same:
            left, right = node("0", one.left), node(right_mark, one.right)
            a, b = root(left), root(right)
            against = obstacle(a, b) if a != b else None
            if against:
                contradictions.append({"decision": one.code, "against": against})
                continue
            if a != b:
                join(a, b)
            why[left] = why[right] = ("decision", 1.0)
    for left_key, right_key, probability in edges:
        left, right = node("0", left_key), node(right_mark, right_key)
        a, b = root(left), root(right)
        if a == b or ((foes or single) and obstacle(a, b)):
            continue
        join(a, b)
        why.setdefault(left, ("auto", probability))
        why.setdefault(right, ("auto", probability))
    groups: dict[str, list[str]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    sides = (spec.left.dataset, (spec.right or spec.left).dataset)
    out = []
    for members in groups.values():
        if len(members) < 2:
            continue
        rights = [m[1:] for m in members if m[0] == "1"]
        entity = min(rights) if rights else min(m[1:] for m in members)
        for m in members:
            basis, probability = why.get(m, ("auto", 1.0))
            if m[0] == "1" and single:
                basis, probability = "anchor", 1.0
            out.append(Link(sides[int(m[0])], m[1:], entity, basis, probability))
    out.sort(key=lambda link: (link.entity, link.dataset, link.key))
    return out, contradictions


def make_links(
    con: duckdb.DuckDBPyConnection, spec: MatchSpec, merging: str, decisions: Sequence[Decision]
) -> list[dict[str, str]]:
    """Makes ``fresh_links`` from `merging` (SQL: pair, left_key, right_key, probability).

    Returns the contradictions. What `resolve` says of two rows that only one pair names, and no
    decision, is plain; so it is asked about the others alone. (A chain of two or more pairs has no
    pair without an end that another shares.)
    """
    right_mark = "0" if spec.dedupes else "1"
    decided = [
        (mark + key,) for d in decisions for mark, key in (("0", d.left), (right_mark, d.right))
    ]
    con.execute("CREATE OR REPLACE TEMP TABLE merging AS " + merging)
    con.execute("CREATE OR REPLACE TEMP TABLE tangled (name VARCHAR)")
    if decided:
        con.executemany("INSERT INTO tangled VALUES (?)", decided)
    con.execute(
        "INSERT INTO tangled SELECT name FROM (SELECT '0' || left_key AS name FROM merging "
        f"UNION ALL SELECT '{right_mark}' || right_key FROM merging) GROUP BY name HAVING count(*) > 1"
    )
    tied = (
        "'0' || left_key IN (SELECT name FROM tangled) "
        f"OR '{right_mark}' || right_key IN (SELECT name FROM tangled)"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE alone AS SELECT * FROM merging WHERE NOT ({tied})")
    rest = con.execute(
        "SELECT left_key, right_key, probability FROM merging ANTI JOIN alone USING (pair) "
        "ORDER BY pair"
    ).to_arrow_table()
    rows, contradictions = resolve(spec, edges_of(rest), decisions)
    con.register("tied_links", links_table(spec, rows))
    entity = "least(left_key, right_key)" if spec.dedupes else "right_key"
    anchored = spec.single and not spec.dedupes
    sides = (
        ("left_key", spec.left.dataset, "'auto', probability"),
        (
            "right_key",
            (spec.right or spec.left).dataset,
            "'anchor', 1.0" if anchored else "'auto', probability",
        ),
    )
    each = " UNION ALL ".join(
        f"SELECT {literal(spec.name)}, {literal(dataset)}, {key}, {entity}, {basis} FROM alone"
        for key, dataset, basis in sides
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE fresh_links AS SELECT * FROM tied_links UNION ALL {each}"
    )
    con.unregister("tied_links")
    return contradictions


def links_table(spec: MatchSpec, rows: Sequence[Link]) -> pa.Table:
    return pa.table(
        {
            "linkage": pa.array([spec.name] * len(rows), pa.string()),
            "dataset": pa.array([r.dataset for r in rows], pa.string()),
            "key": pa.array([r.key for r in rows], pa.string()),
            "entity": pa.array([r.entity for r in rows], pa.string()),
            "basis": pa.array([r.basis for r in rows], pa.string()),
            "probability": pa.array([r.probability for r in rows], pa.float64()),
        }
    )


def write_crosswalk(con: duckdb.DuckDBPyConnection, name: str, code: str) -> tuple[int, int]:
    """Brings the crosswalk of a linkage to ``fresh_links``, touching only rows that differ."""
    columns = ("linkage", "dataset", "key", "entity", "basis")
    ensure_table(
        con,
        "links",
        "crosswalk",
        [
            *(Column(c) for c in columns),
            Column("probability", "DOUBLE"),
            Column("run"),
            Column("updated_at", "TIMESTAMP"),
        ],
    )
    listed = ", ".join((*columns, "probability"))
    mine = f"SELECT {listed} FROM {CROSSWALK} WHERE linkage = {literal(name)}"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE gone AS SELECT dataset, key FROM ({mine} EXCEPT "
        f"SELECT {listed} FROM fresh_links)"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE come AS SELECT {listed} FROM fresh_links EXCEPT {mine}"
    )
    con.execute(
        f"DELETE FROM {CROSSWALK} WHERE linkage = {literal(name)} AND (dataset, key) IN "
        "(SELECT (dataset, key) FROM gone)"
    )
    con.execute(
        f"INSERT INTO {CROSSWALK} SELECT {listed}, {literal(code)}, CAST(now() AS TIMESTAMP) "
        "FROM come ORDER BY dataset, key"
    )
    row = con.execute("SELECT count(DISTINCT entity), count(*) FROM fresh_links").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def apply(lake: Lake, spec: MatchSpec, decisions: Sequence[Decision], code: str) -> Applied:
    """Brings the crosswalk to what the newest run and these decisions say; nothing is scored anew.

    The result depends on the pairs and the decisions alone, so taking a decision back restores
    exactly what stood before it.
    """
    begun = time.monotonic()
    made = Applied()
    table = f"lake.links.{quote(spec.name + '__pairs')}"

    with lake.writer(f"links.{spec.name}", "links.crosswalk"):

        def work(con: duckdb.DuckDBPyConnection) -> None:
            if not table_columns(con, "links", spec.name + "__pairs"):
                raise LakeError("该关联还没有运行过")
            made.contradictions = make_links(
                con,
                spec,
                f"SELECT pair, left_key, right_key, probability FROM {table} WHERE state = 'auto'",
                decisions,
            )
            row = con.execute("SELECT count(*) FROM merging").fetchone()
            made.merged = int(row[0]) if row else 0
            made.entities, made.members = write_crosswalk(con, spec.name, code)

        lake.transact(work)
    made.seconds = round(time.monotonic() - begun, 3)
    return made


# ---- reading ---------------------------------------------------------------------------------


def pairs(
    lake: Lake, spec: MatchSpec, state: str = "", *, last: bool = False, limit: int = 1000
) -> list[dict[str, Any]]:
    """Pairs of the newest run, the most probable first (`last`: the least probable first)."""
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "links", spec.name + "__pairs"):
            return []
        cursor = con.execute(
            f"SELECT * FROM lake.links.{quote(spec.name + '__pairs')} WHERE ? IN ('', state) "
            f"ORDER BY pair {'DESC' if last else ''} LIMIT {int(limit)}",
            [state],
        )
        names = [d[0] for d in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def entity(lake: Lake, spec: MatchSpec, name: str) -> list[Link]:
    """The members of an entity."""
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "links", "crosswalk"):
            return []
        rows = con.execute(
            f"SELECT dataset, key, entity, basis, probability FROM {CROSSWALK} "
            "WHERE linkage = ? AND entity = ? ORDER BY dataset, key",
            [spec.name, name],
        ).fetchall()
    return [Link(*row) for row in rows]


def entities(
    lake: Lake, spec: MatchSpec, *, at_least: int = 2, offset: int = 0, limit: int = 50
) -> list[tuple[str, int, float]]:
    """Entities with their number of members and their weakest link, the largest first."""
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "links", "crosswalk"):
            return []
        return con.execute(
            f"SELECT entity, count(*) AS n, min(probability) AS p FROM {CROSSWALK} WHERE linkage = ? "
            f"GROUP BY 1 HAVING n >= {int(at_least)} ORDER BY n DESC, p, entity "
            f"LIMIT {int(limit)} OFFSET {int(offset)}",
            [spec.name],
        ).fetchall()


def rows(
    lake: Lake, spec: MatchSpec, wanted: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], dict[str, Any]]:
    """The trusted rows of (side, key), as they stand now; side 0 is left, 1 right."""
    out: dict[tuple[int, str], dict[str, Any]] = {}
    with lake.connect(read_only=True) as con:
        for index, side in enumerate(spec.sides):
            keys = [k for s, k in wanted if s == index]
            if not keys:
                continue
            marks = ", ".join("?" for _ in keys)
            cursor = con.execute(
                f"SELECT {key_sql(side)} AS _k, * FROM lake.trusted.{quote(side.dataset)} "
                f"WHERE {key_sql(side)} IN ({marks})",
                keys,
            )
            names = [d[0] for d in cursor.description or ()]
            for row in cursor.fetchall():
                values = dict(zip(names, row, strict=True))
                key = str(values.pop("_k"))
                out[(index, key)] = {n: v for n, v in values.items() if not n.startswith("_")}
    return out


def pairs_among(lake: Lake, spec: MatchSpec, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Pairs of the newest run whose both keys are among `keys`, the weakest first."""
    with lake.connect(read_only=True) as con:
        if not keys or not table_columns(con, "links", spec.name + "__pairs"):
            return []
        marks = ", ".join("?" for _ in keys)
        cursor = con.execute(
            f"SELECT * FROM lake.links.{quote(spec.name + '__pairs')} WHERE left_key IN ({marks}) "
            f"AND right_key IN ({marks}) ORDER BY pair DESC LIMIT 500",
            [*keys, *keys],
        )
        names = [d[0] for d in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
