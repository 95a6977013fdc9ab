"""Comparison: declared rules between two departments' trusted tables, and the findings they give.

A rule is turned into two plain statements (hits, then evidence of the hits only), written in
DuckDB's dialect so that SQLGlot can carry them to Spark; what they find is settled against the
findings of earlier runs in ``findings.<rule>``. A finding has an identity of its own (rule, keys,
period): found again tomorrow it is the same finding; its cause gone, it is marked gone; it is news
only where its evidence changed. Data that are late, thin or refused never accuse anybody: such a
finding stands as ``incomplete``, with the doubt that holds it back.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import duckdb

from . import engines
from .check import RowRule, vet_rule
from .shelves import (
    Column,
    Lake,
    LakeError,
    ensure_table,
    literal,
    quote,
    table_columns,
    valid_name,
)

KINDS = ("missing", "differs", "overlap", "after")
DIRECTIONS = ("over", "under", "both")
AMOUNTS = ("difference", "left", "right", "least")
FOUND, INCOMPLETE, GONE = "found", "incomplete", "gone"
DOUBTS = ("late", "period", "rejects", "name", "weak")
MARK = "\x1f"
"""Between the parts of a finding's evidence; no text of a department holds it."""
NAME_DIFFERS = 0.6
NAME_UNKNOWN = 0.95
# The same person's old number of fifteen digits and new one of eighteen agree in these seventeen.
NORMAL = {
    "": "{c}",
    "text": "upper(trim({c}))",
    "citizen_number": "CASE WHEN length({c}) = 15 THEN "
    "concat(substr({c}, 1, 6), '19', substr({c}, 7, 9)) ELSE substr({c}, 1, 17) END",
}
MONEY = "DECIMAL(20,2)"
Tell = Callable[[float, str], None]

FINDING = (
    ("id", "VARCHAR"),
    ("key", "VARCHAR"),
    ("subject", "VARCHAR"),
    ("period", "VARCHAR"),
    ("name", "VARCHAR"),
    ("town", "VARCHAR"),
    ("amount", MONEY),
    ("left_amount", MONEY),
    ("right_amount", MONEY),
    ("left_rows", "BIGINT"),
    ("right_rows", "BIGINT"),
    ("confidence", "DOUBLE"),
    ("doubt", "VARCHAR"),
    ("left_evidence", "VARCHAR"),
    ("right_evidence", "VARCHAR"),
    ("evidence", "VARCHAR"),
)
KEPT = (
    ("standing", "VARCHAR"),
    ("first_run", "VARCHAR"),
    ("changed_run", "VARCHAR"),
    ("found_at", "TIMESTAMP"),
    ("gone_at", "TIMESTAMP"),
)


@dataclass(frozen=True)
class Side:
    """One side of a rule: SQL expressions over one row of a trusted table.

    `key` are the joined expressions, in the order of the rule's `on`; `period` cuts sums (such as
    a month); `show` are the columns kept as evidence; `single` says that a key stands once only
    (per period), so that nothing needs to be summed.
    """

    dataset: str
    key: tuple[str, ...]
    where: str = ""
    period: str = ""
    amount: str = ""
    date: str = ""
    name: str = ""
    town: str = ""
    show: tuple[str, ...] = ()
    single: bool = False
    place: str = ""

    @property
    def table(self) -> str:
        """The SQL name of its rows."""
        return self.place or f"lake.trusted.{quote(self.dataset)}"

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Every declared expression with what it is."""
        for number, expression in enumerate(self.key, 1):
            yield f"主键{number}", expression
        for name in ("where", "period", "amount", "date", "name", "town"):
            if getattr(self, name):
                yield name, getattr(self, name)


@dataclass(frozen=True)
class Rule:
    """What is compared, and when it is a finding. Amounts are in the unit of the columns (yuan).

    ``missing``: left has it, right does not. ``differs``: the sums of left and right differ by more
    than `absolute` and by more than the share `relative` of the greater one; `direction` over means
    that left is more. ``overlap``: both have what only one may have. ``after``: left happened more
    than `grace` days after right's `event` (its first or last date).
    `base` is the confidence that the key itself deserves; `floor` what a finding needs at least.
    `pairs` names a lake table (left_key, right_key, probability) of linked records, which then
    takes the place of an equal key.
    """

    name: str
    kind: str
    left: Side
    right: Side
    direction: str = "over"
    absolute: float = 0.0
    relative: float = 0.0
    absent: str = "skip"
    event: str = "first"
    grace: int = 0
    amount: str = "left"
    base: float = 1.0
    floor: float = 0.75
    normal: str = ""
    cover: float = 0.6
    pairs: str = ""

    def __post_init__(self) -> None:
        valid_name(self.name)
        for word, value, allowed in (
            ("kind", self.kind, KINDS),
            ("direction", self.direction, DIRECTIONS),
            ("amount", self.amount, AMOUNTS),
            ("absent", self.absent, ("skip", "zero")),
            ("event", self.event, ("first", "last")),
            ("normal", self.normal, tuple(NORMAL)),
        ):
            if value not in allowed:
                raise LakeError(f"比对规则“{self.name}”的 {word} 只能是 {'、'.join(allowed)}")
        if not self.left.key or len(self.left.key) != len(self.right.key):
            raise LakeError(f"比对规则“{self.name}”两边的关联键要一一对应")
        if self.kind == "after" and not (self.left.date and self.right.date):
            raise LakeError(f"比对规则“{self.name}”两边都要写 date")
        if self.kind == "differs" and not (self.left.amount and self.right.amount):
            raise LakeError(f"比对规则“{self.name}”两边都要写 amount")
        if not 0 < self.base <= 1:
            raise LakeError(f"比对规则“{self.name}”的 base 应在 0 与 1 之间")

    @property
    def by_period(self) -> bool:
        """Whether left and right are joined period by period."""
        return bool(self.left.period and self.right.period) and self.kind != "after"


@dataclass(frozen=True)
class Compared:
    """What a run came to. `found` and `incomplete` stand now; fresh, changed and gone are news.

    `blocked` says in Chinese why nothing was compared (a side has no rows); `doubts` counts what
    holds incomplete findings back; `thin` are periods that a side has not delivered in full.
    """

    rule: str
    run: str
    left_rows: int = 0
    right_rows: int = 0
    found: int = 0
    incomplete: int = 0
    fresh: int = 0
    changed: int = 0
    gone: int = 0
    unchanged: int = 0
    amount: float = 0.0
    thin: tuple[str, ...] = ()
    doubts: dict[str, int] = field(default_factory=dict)
    blocked: str = ""
    seconds: float = 0.0


_RULE_KEYS = {
    "name", "title", "group", "kind", "desk", "subject", "cycle", "summary", "ask", "innocent",
    "basis", "match", "left", "right", "direction", "tolerance", "absent", "event", "grace", "amount",
    "base", "floor", "normal", "cover", "pairs", "level",
}  # fmt: skip
_SIDE_KEYS = {
    "dataset", "title", "key", "where", "period", "amount", "date", "name", "town", "show", "single",
}  # fmt: skip


def read(data: Mapping[str, Any]) -> Rule:
    """A rule as `packs/*/comparisons/*.yaml` declares it; raises LakeError with what is wrong."""
    name = str(data.get("name") or "?")
    unknown = sorted(set(data) - _RULE_KEYS)
    if unknown:
        raise LakeError(f"比对规则“{name}”：不认识的键 {'、'.join(unknown)}")
    sides = []
    for which in ("left", "right"):
        told = data.get(which)
        if not isinstance(told, Mapping) or not told.get("dataset") or not told.get("key"):
            raise LakeError(f"比对规则“{name}”：{which} 要写 dataset 和 key")
        unknown = sorted(set(told) - _SIDE_KEYS)
        if unknown:
            raise LakeError(f"比对规则“{name}”：{which} 有不认识的键 {'、'.join(unknown)}")
        texts = {
            k: str(told.get(k) or "") for k in ("where", "period", "amount", "date", "name", "town")
        }
        sides.append(
            Side(
                valid_name(str(told["dataset"])),
                tuple(str(k) for k in told["key"]),
                **texts,
                show=tuple(str(c) for c in told.get("show") or ()),
                single=bool(told.get("single")),
            )
        )
    tolerance = data.get("tolerance") or {}
    return Rule(
        name,
        str(data.get("kind") or ""),
        sides[0],
        sides[1],
        direction=str(data.get("direction") or "over"),
        absolute=float(tolerance.get("absolute") or 0),
        relative=float(tolerance.get("relative") or 0),
        absent=str(data.get("absent") or "skip"),
        event=str(data.get("event") or "first"),
        grace=int(data.get("grace") or 0),
        amount=str(data.get("amount") or "left"),
        base=float(data.get("base") or 1),
        floor=float(data.get("floor") or 0.75),
        normal=str(data.get("normal") or ""),
        cover=float(data.get("cover") or 0.6),
        pairs=str(data.get("pairs") or ""),
    )


# ---- the statements ------------------------------------------------------------------------


def vet(rule: Rule, columns: Mapping[str, list[str]]) -> None:
    """Raise LakeError where an expression is more than one harmless expression over its row.

    `columns` are the columns of each dataset.
    """
    for side in (rule.left, rule.right):
        known = columns[side.dataset]
        for column in side.show:
            if column not in known:
                raise LakeError(f"比对规则“{rule.name}”：{side.dataset} 没有列“{column}”")
        for what, expression in side.expressions():
            sql = expression if what == "where" else f"({expression}) IS NOT NULL"
            vet_rule(RowRule(f"{rule.name}.{what}", what, sql), known)


def _keys(rule: Rule, side: Side) -> list[str]:
    return [
        NORMAL[rule.normal if number == 0 else ""].format(c=f"CAST({key} AS VARCHAR)")
        if rule.normal
        else f"CAST({key} AS VARCHAR)"
        for number, key in enumerate(side.key)
    ]


def _where(side: Side, *more: str) -> str:
    parts = [f"({side.key[0]}) IS NOT NULL", *([f"({side.where})"] if side.where else []), *more]
    return " AND ".join(parts)


def _lean(rule: Rule, side: Side, *, paired: bool = False) -> str:
    """A side with what the join needs and no more: keys, period, amount, number of rows."""
    keys = _keys(rule, side)
    table = side.table
    period = f"CAST({side.period} AS VARCHAR)" if rule.by_period else ""
    amount = f"CAST({side.amount or 'NULL'} AS {MONEY})"
    weight = "1.0"
    if paired:
        first = keys[0]
        keys[0] = "q.left_key"
        table = f"{side.table} JOIN {rule.pairs} q ON q.right_key = {first}"
        weight = "max(q.probability)"
    named = [f"{expression} AS k{number}" for number, expression in enumerate(keys)]
    if period:
        named.append(f"{period} AS p")
    if side.single and not paired:
        # The amount keeps its own narrow type through the join, and nothing constant goes along.
        if side.amount:
            named.append(f"({side.amount}) AS amount")
        return f"SELECT {', '.join(named)} FROM {table} WHERE {_where(side)}"
    places = ", ".join(str(number + 1) for number in range(len(named)))
    total = f"CAST(sum({amount}) AS {MONEY})" if side.amount else f"CAST(NULL AS {MONEY})"
    return (
        f"SELECT {', '.join(named)}, {total} AS amount, count(*) AS n, {weight} AS w "
        f"FROM {table} WHERE {_where(side)} GROUP BY {places}"
    )


def _on(rule: Rule, left: str = "l", right: str = "r") -> str:
    parts = [f"{left}.k{n} = {right}.k{n}" for n in range(len(rule.left.key))]
    if rule.by_period:
        parts.append(f"{left}.p = {right}.p")
    return " AND ".join(parts)


def hits_sql(rule: Rule) -> str:
    """The first statement: keys, period, both amounts and numbers of rows of everything found."""
    keys = ", ".join(f"l.k{n} AS k{n}" for n in range(len(rule.left.key)))
    paired = bool(rule.pairs)
    if rule.kind == "after":
        return _after_sql(rule, paired)
    period = "l.p" if rule.by_period else "''"
    left, right = _columns(rule.left, "l"), _columns(rule.right, "r", paired=paired)
    head = f"SELECT {keys}, {period} AS p, {left[0]} AS la, {left[1]} AS ln"
    body = f"FROM ({_lean(rule, rule.left)}) l"
    if rule.kind == "missing":
        # Whether right has the key once or often is all the same to its absence.
        side = replace(rule.right, single=True, amount="")
        absent = _lean(rule, side, paired=paired)
        return (
            f"{head}, CAST(NULL AS {MONEY}) AS ra, 0 AS rn, 1.0 AS w, CAST(NULL AS DATE) AS e "
            f"{body} LEFT JOIN ({absent}) r ON {_on(rule)} WHERE r.k0 IS NULL"
        )
    head += f", {right[0]} AS ra, {right[1]} AS rn, {right[2]} AS w, CAST(NULL AS DATE) AS e"
    other = _lean(rule, rule.right, paired=paired)
    if rule.kind == "overlap":
        return f"{head} {body} JOIN ({other}) r ON {_on(rule)}"
    join = "LEFT JOIN" if rule.absent == "zero" else "JOIN"
    a, b = "coalesce(l.amount, 0)", "coalesce(r.amount, 0)"
    gap = {"over": f"{a} - {b}", "under": f"{b} - {a}", "both": f"abs({a} - {b})"}[rule.direction]
    tests = [f"{gap} > {rule.absolute:g}"]
    if rule.relative:
        tests.append(f"{gap} > {rule.relative:g} * greatest(abs({a}), abs({b}))")
    return f"{head} {body} {join} ({other}) r ON {_on(rule)} WHERE {' AND '.join(tests)}"


def _columns(side: Side, alias: str, *, paired: bool = False) -> tuple[str, str, str]:
    """How a lean side's amount, number of rows and weight are written above the join."""
    if not side.single or paired:
        return f"{alias}.amount", f"coalesce({alias}.n, 0)", f"coalesce({alias}.w, 1.0)"
    amount = f"{alias}.amount" if side.amount else f"CAST(NULL AS {MONEY})"
    return amount, f"CASE WHEN {alias}.k0 IS NULL THEN 0 ELSE 1 END", "1.0"


def _after_sql(rule: Rule, paired: bool) -> str:
    """What left did after right's event: the event per key first, then left's rows past it."""
    keys = _keys(rule, rule.left)
    right_keys = _keys(rule, rule.right)
    right_table = rule.right.table
    weight = "1.0"
    if paired:
        first = right_keys[0]
        right_keys[0], weight = "q.left_key", "max(q.probability)"
        right_table = f"{right_table} JOIN {rule.pairs} q ON q.right_key = {first}"
    many = len(keys)
    pick = "min" if rule.event == "first" else "max"
    dated = _where(rule.right, f"({rule.right.date}) IS NOT NULL")
    named = ", ".join(f"{e} AS k{n}" for n, e in enumerate(right_keys))
    if rule.right.single and not paired:
        event = (
            f"SELECT {named}, CAST({rule.right.date} AS DATE) AS e FROM {right_table} WHERE {dated}"
        )
    else:
        event = (
            f"SELECT {named}, {pick}(CAST({rule.right.date} AS DATE)) AS e, count(*) AS n, "
            f"{weight} AS w FROM {right_table} WHERE {dated} "
            f"GROUP BY {', '.join(str(n + 1) for n in range(many))}"
        )
    rows = (
        f"SELECT {', '.join(f'{e} AS k{n}' for n, e in enumerate(keys))}, "
        f"CAST({rule.left.date} AS DATE) AS d, "
        f"({rule.left.amount or f'CAST(NULL AS {MONEY})'}) AS amount "
        f"FROM {rule.left.table} WHERE {_where(rule.left)}"
    )
    told = "1 AS rn, 1.0 AS w"
    if not rule.right.single or paired:
        told = "max(r.n) AS rn, max(r.w) AS w"
    listed = ", ".join(f"l.k{n} AS k{n}" for n in range(many))
    places = ", ".join(f"l.k{n}" for n in range(many))
    return (
        f"SELECT {listed}, '' AS p, CAST(sum(l.amount) AS {MONEY}) AS la, count(*) AS ln, "
        f"CAST(NULL AS {MONEY}) AS ra, {told}, max(r.e) AS e "
        f"FROM ({rows}) l JOIN ({event}) r ON {_on(rule)} "
        f"WHERE l.d > {_later('r.e', rule.grace)} GROUP BY {places}"
    )


def _later(date: str, days: int) -> str:
    return f"{date} + INTERVAL '{int(days)}' DAY" if days else date


def _evidence(rule: Rule, side: Side, *, left: bool) -> str:
    """What a side says about the keys that were hit: name, town, dates and the declared columns."""
    keys = _keys(rule, side)
    table = side.table
    if rule.pairs and not left:
        first = keys[0]
        keys[0] = "q.left_key"
        table = f"{table} JOIN {rule.pairs} q ON q.right_key = {first}"
    named = [f"{e} AS k{n}" for n, e in enumerate(keys)]
    if rule.by_period:
        named.append(f"CAST({side.period} AS VARCHAR) AS p")
    wanted = [
        f"CAST({side.name or 'NULL'} AS VARCHAR) AS name",
        f"CAST({side.town or 'NULL'} AS VARCHAR) AS town",
        f"CAST({side.date or 'NULL'} AS DATE) AS d",
        *(f"CAST({quote(c)} AS VARCHAR) AS s{n}" for n, c in enumerate(side.show)),
    ]
    rows = f"SELECT {', '.join(named + wanted)} FROM {table} WHERE {_where(side)}"
    shown = ", ".join(f"max(x.s{n}) AS s{n}" for n in range(len(side.show)))
    places = [f"x.k{n}" for n in range(len(keys))] + (["x.p"] if rule.by_period else [])
    join = " AND ".join(f"x.k{n} = h.k{n}" for n in range(len(keys)))
    join += " AND x.p = h.p" if rule.by_period else ""
    # After an event only the rows past it are evidence.
    past = f" WHERE x.d > {_later('h.e', rule.grace)}" if rule.kind == "after" and left else ""
    return (
        f"SELECT {', '.join(places)}, max(x.name) AS name, max(x.town) AS town, min(x.d) AS since, "
        f"max(x.d) AS until{', ' + shown if shown else ''} "
        f"FROM ({rows}) x JOIN hits h ON {join}{past} GROUP BY {', '.join(places)}"
    )


def _told(side: Side, alias: str) -> str:
    """A side's evidence as one text: `column=value` parts, empty ones left out."""
    parts = [f"'{c}=' || {alias}.s{n}" for n, c in enumerate(side.show)]
    if side.date:
        parts += [
            f"'_since=' || CAST({alias}.since AS VARCHAR)",
            f"'_until=' || CAST({alias}.until AS VARCHAR)",
        ]
    return f"concat_ws(chr(31), {', '.join(parts)})" if parts else "''"


def findings_sql(
    rule: Rule, *, thin: tuple[str, ...] = (), late: bool = False, quality: float = 1.0
) -> str:
    """The second statement, over a table `hits` that the first one filled: whole findings.

    `quality` is the share of good rows of both sides, `thin` the periods not delivered in full,
    `late` whether a side is overdue as a whole.
    """
    many = len(rule.left.key)
    key = " || '|' || ".join(f"h.k{n}" for n in range(many))
    bare = "upper(translate({}, ' \u3000·.', ''))"
    named = bool(rule.left.name and rule.right.name)
    same = f"{bare.format('l.name')} = {bare.format('r.name')}"
    name_factor = (
        f"CASE WHEN l.name IS NULL OR r.name IS NULL THEN {NAME_UNKNOWN} "
        f"WHEN {same} THEN 1.0 ELSE {NAME_DIFFERS} END"
        if named and rule.kind != "missing"
        else "1.0"
    )
    a, b = "coalesce(h.la, 0)", "coalesce(h.ra, 0)"
    amount = {
        "difference": f"abs({a} - {b})",
        "left": a,
        "right": b,
        "least": f"least({a}, {b})",
    }[rule.amount]
    confidence = f"CAST(round({rule.base:g} * {quality:g} * h.w * {name_factor}, 4) AS DOUBLE)"
    doubts = []
    if late:
        doubts.append("WHEN TRUE THEN 'late'")
    if thin and rule.by_period:
        doubts.append(f"WHEN h.p IN ({', '.join(literal(p) for p in thin)}) THEN 'period'")
    if named and rule.kind != "missing":
        doubts.append(
            f"WHEN l.name IS NOT NULL AND r.name IS NOT NULL AND NOT ({same}) THEN 'name'"
        )
    doubts.append(f"WHEN {confidence} < {rule.floor:g} THEN 'weak'")
    on = " AND ".join(f"l.k{n} = h.k{n}" for n in range(many))
    on_right = " AND ".join(f"r.k{n} = h.k{n}" for n in range(many))
    if rule.by_period:
        on, on_right = f"{on} AND l.p = h.p", f"{on_right} AND r.p = h.p"
    right = (
        ""
        if rule.kind == "missing"
        else f" LEFT JOIN ({_evidence(rule, rule.right, left=False)}) r ON {on_right}"
    )
    right_name = "r.name" if rule.right.name and rule.kind != "missing" else "NULL"
    right_town = "r.town" if rule.right.town and rule.kind != "missing" else "NULL"
    right_told = "''" if rule.kind == "missing" else _told(rule.right, "r")
    return (
        f"SELECT md5({literal(rule.name + '|')} || {key} || '|' || h.p) AS id, {key} AS key, "
        f"h.k0 AS subject, h.p AS period, coalesce(l.name, {right_name}) AS name, "
        f"coalesce(l.town, {right_town}) AS town, CAST({amount} AS {MONEY}) AS amount, "
        f"CAST(h.la AS {MONEY}) AS left_amount, CAST(h.ra AS {MONEY}) AS right_amount, CAST(h.ln AS BIGINT) AS left_rows, "
        f"CAST(h.rn AS BIGINT) AS right_rows, {confidence} AS confidence, "
        f"CASE {' '.join(doubts)} ELSE '' END AS doubt, "
        f"{_told(rule.left, 'l')} AS left_evidence, {right_told} AS right_evidence "
        f"FROM hits h LEFT JOIN ({_evidence(rule, rule.left, left=True)}) l ON {on}{right}"
    )


# ---- a run ---------------------------------------------------------------------------------


def compare(
    lake: Lake,
    rule: Rule,
    run: str,
    *,
    stale: Mapping[str, str] | None = None,
    quality: Mapping[str, float] | None = None,
    tell: Tell | None = None,
) -> Compared:
    """Run a rule and settle its findings in one transaction; the same `run` again gives its result.

    `stale` names datasets that are overdue (and why): their findings are incomplete. `quality` is
    the share of good rows of a dataset's newest batch. Raises LakeError.
    """
    begun = time.monotonic()
    say = tell or (lambda fraction, text: None)

    def work(con: duckdb.DuckDBPyConnection) -> str:
        made = _run(lake, con, rule, run, stale or {}, quality or {}, say)
        return json.dumps(asdict(replace(made, seconds=round(time.monotonic() - begun, 3))))

    with lake.writer(f"findings.{rule.name}"):
        outcome, _ = lake.settle(run, "findings." + rule.name, "comparison", rule.name, work)
    told = json.loads(outcome)
    return Compared(**{**told, "thin": tuple(told["thin"])})


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = con.execute(sql).fetchone()
    return row[0] if row else None


def _run(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    rule: Rule,
    run: str,
    stale: Mapping[str, str],
    quality: Mapping[str, float],
    say: Tell,
) -> Compared:
    sides = (rule.left, rule.right)
    rows = []
    for side in sides:
        there = bool(side.place or table_columns(con, "trusted", side.dataset))
        rows.append(int(_one(con, f"SELECT count(*) FROM {side.table}")) if there else 0)
    if not all(rows):
        empty = sides[rows.index(0)].dataset
        return Compared(rule.name, run, rows[0], rows[1], blocked=empty)
    say(0.1, "两边逐条关联")
    thin = _thin(con, rule)
    late = any(side.dataset in stale for side in sides)
    good = 1.0
    for side in sides:
        good *= quality.get(side.dataset, 1.0)
    found = hits_sql(rule)
    with engines.running(lake, con, reads=found) as engine:
        engine.make("hits", found)
        if (rule.left.single or rule.right.single) and _twice(con):
            # Declared to stand once, and does not: then it is summed like any other.
            rule = replace(
                rule,
                left=replace(rule.left, single=False),
                right=replace(rule.right, single=False),
            )
            engine.make("hits", hits_sql(rule))
        say(0.6, "收集证据")
        engine.make(
            "candidates",
            "SELECT *, "
            "md5(coalesce(left_evidence, '') || '|' || coalesce(right_evidence, '') || '|' || "
            "coalesce(CAST(left_amount AS VARCHAR), '') || '|' || "
            "coalesce(CAST(right_amount AS VARCHAR), '') || '|' || CAST(left_rows AS VARCHAR) || "
            "'|' || CAST(right_rows AS VARCHAR)) AS evidence "
            f"FROM ({findings_sql(rule, thin=thin, late=late, quality=good)}) f",
        )
    _refused(con, rule)
    say(0.8, "与上次的发现核对")
    counts = _settle(con, rule, run, late)
    con.execute("DROP TABLE IF EXISTS hits; DROP TABLE IF EXISTS candidates")
    say(1.0, "完成")
    return Compared(rule.name, run, rows[0], rows[1], thin=thin, **counts)


def _twice(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether some key (and period) was hit more than once."""
    keys = ", ".join(f"k{n}" for n in range(_width(con)))
    return bool(_one(con, f"SELECT 1 FROM hits GROUP BY {keys}, p HAVING count(*) > 1 LIMIT 1"))


def _width(con: duckdb.DuckDBPyConnection) -> int:
    """How many key columns the hits have."""
    names = [c[0] for c in con.execute("SELECT * FROM hits LIMIT 0").description or ()]
    return sum(1 for name in names if name.startswith("k"))


def _thin(con: duckdb.DuckDBPyConnection, rule: Rule) -> tuple[str, ...]:
    """Periods of left for which right has far fewer rows than usual: they are not reported yet."""
    if not rule.by_period or rule.kind not in ("missing", "differs"):
        return ()
    left, right = rule.left, rule.right
    found = con.execute(
        f"WITH r AS (SELECT CAST({right.period} AS VARCHAR) AS p, count(*) AS n FROM {right.table} "
        f"WHERE {_where(right)} GROUP BY 1), "
        f"l AS (SELECT DISTINCT CAST({left.period} AS VARCHAR) AS p FROM {left.table} "
        f"WHERE {_where(left)}) "
        "SELECT l.p FROM l LEFT JOIN r ON r.p = l.p "
        f"WHERE coalesce(r.n, 0) < {rule.cover:g} * (SELECT max(n) FROM r) ORDER BY 1"
    ).fetchall()
    return tuple(str(p) for (p,) in found)


def _refused(con: duckdb.DuckDBPyConnection, rule: Rule) -> None:
    """Where right's counterpart arrived and was refused, its absence proves nothing."""
    absence = rule.kind in ("missing", "differs") or (rule.kind == "after" and rule.event == "last")
    right = rule.right.dataset
    if not absence or rule.right.place or not table_columns(con, "rejects", right):
        return
    value = NORMAL[rule.normal].format(c="u.v")
    plain = rule.by_period and rule.right.period in table_columns(con, "trusted", right)
    period = " AND list_contains(j.vals, c.period)" if plain else ""
    con.execute(
        "UPDATE candidates SET doubt = 'rejects' WHERE doubt = '' AND id IN ("
        "SELECT c.id FROM candidates c JOIN ("
        f"SELECT vals, {value} AS v FROM (SELECT json_extract_string(_raw, '$.*') AS vals FROM "
        f"lake.rejects.{quote(right)} WHERE _corrected_by IS NULL AND _raw IS NOT NULL) s, "
        f"unnest(s.vals) u(v)) j ON j.v = c.subject{period})"
    )


def _settle(con: duckdb.DuckDBPyConnection, rule: Rule, run: str, late: bool) -> dict[str, Any]:
    """Merge the candidates into the rule's findings; returns the counts of `Compared`."""
    ensure_table(con, "findings", rule.name, [Column(n, t) for n, t in (*FINDING, *KEPT)])
    target = f"lake.findings.{quote(rule.name)}"
    listed = ", ".join(quote(n) for n, _ in FINDING)
    moment = literal(dt.datetime.now().isoformat(sep=" ", timespec="seconds"))  # noqa: DTZ005
    # Late data neither accuse nor acquit: nothing that stands is called gone because of them.
    gone = "FALSE" if late else "c.id IS NULL AND t.standing <> 'gone'"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fate AS "
        "SELECT coalesce(c.id, t.id) AS id, t.rowid AS rid, t.first_run AS first_run, "
        "t.found_at AS found_at, CASE "
        "WHEN t.id IS NULL THEN 'fresh' "
        f"WHEN {gone} THEN 'gone' "
        "WHEN c.id IS NULL THEN 'rest' "
        "WHEN t.standing = 'gone' THEN 'changed' "
        "WHEN t.standing = 'incomplete' AND (c.doubt = '' OR c.doubt <> t.doubt) THEN 'changed' "
        "WHEN c.doubt IN ('', 'name', 'weak') AND t.evidence <> c.evidence THEN 'changed' "
        "ELSE 'same' END AS op "
        f"FROM candidates c FULL JOIN (SELECT rowid, id, standing, doubt, evidence, first_run, "
        f"found_at FROM {target}) t ON t.id = c.id"
    )
    ops = dict(con.execute("SELECT op, count(*) FROM fate GROUP BY op").fetchall())
    if ops.get("gone"):
        con.execute(
            "CREATE OR REPLACE TEMP TABLE leaving AS SELECT t.* FROM "
            f"{target} t WHERE t.rowid IN (SELECT rid FROM fate WHERE op = 'gone')"
        )
    if ops.get("gone") or ops.get("changed"):
        con.execute(
            f"DELETE FROM {target} WHERE rowid IN "
            "(SELECT rid FROM fate WHERE op IN ('gone', 'changed'))"
        )
    if ops.get("gone"):
        con.execute(
            f"INSERT INTO {target} ({listed}, standing, first_run, changed_run, found_at, gone_at) "
            f"SELECT {listed}, 'gone', first_run, {literal(run)}, found_at, "
            f"CAST({moment} AS TIMESTAMP) FROM leaving"
        )
        con.execute("DROP TABLE leaving")
    if ops.get("fresh") or ops.get("changed"):
        qualified = ", ".join(f"c.{quote(n)}" for n, _ in FINDING)
        con.execute(
            f"INSERT INTO {target} ({listed}, standing, first_run, changed_run, found_at, gone_at) "
            f"SELECT {qualified}, CASE WHEN c.doubt = '' THEN 'found' ELSE 'incomplete' END, "
            f"coalesce(f.first_run, {literal(run)}), {literal(run)}, "
            f"coalesce(f.found_at, CAST({moment} AS TIMESTAMP)), NULL "
            "FROM candidates c JOIN fate f ON f.id = c.id WHERE f.op IN ('fresh', 'changed')"
        )
    con.execute("DROP TABLE fate")
    standing = con.execute(
        f"SELECT standing, doubt, count(*), sum(amount) FROM {target} "
        "WHERE standing <> 'gone' GROUP BY 1, 2"
    ).fetchall()
    doubts: dict[str, int] = {}
    for state, doubt, number, _ in standing:
        if state == INCOMPLETE:
            doubts[doubt] = doubts.get(doubt, 0) + int(number)
    return {
        "found": sum(int(n) for s, _, n, _ in standing if s == FOUND),
        "incomplete": sum(doubts.values()),
        "fresh": int(ops.get("fresh", 0)),
        "changed": int(ops.get("changed", 0)),
        "gone": int(ops.get("gone", 0)),
        "unchanged": int(ops.get("same", 0)),
        "amount": float(sum(a or 0 for s, _, _, a in standing if s == FOUND)),
        "doubts": doubts,
    }


# ---- reading what was found ----------------------------------------------------------------

_LISTED = (
    "id", "name", "period", "town", "amount", "left_amount", "right_amount", "left_rows",
    "right_rows", "confidence", "doubt", "evidence", "standing", "first_run", "changed_run",
    "found_at", "gone_at",
)  # fmt: skip


def changed(
    lake: Lake, name: str, runs: Sequence[str], size: int = 5000
) -> Iterator[list[dict[str, Any]]]:
    """What these runs brought or altered, in lists of up to `size`, without keys and evidence."""
    valid_name(name)
    with lake.connect(read_only=True) as con:
        if not runs or not table_columns(con, "findings", name):
            return
        marks = ", ".join("?" for _ in runs)
        cursor = con.execute(
            f"SELECT {', '.join(_LISTED)} FROM lake.findings.{quote(name)} "
            f"WHERE changed_run IN ({marks})",
            list(runs),
        )
        while rows := cursor.fetchmany(size):
            yield [dict(zip(_LISTED, row, strict=True)) for row in rows]


def evidence(lake: Lake, name: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Whole findings by id, with who they are about and what both sides said."""
    valid_name(name)
    names = [n for n, _ in (*FINDING, *KEPT)]
    with lake.connect(read_only=True) as con:
        if not ids or not table_columns(con, "findings", name):
            return {}
        marks = ", ".join("?" for _ in ids)
        rows = con.execute(
            f"SELECT {', '.join(quote(n) for n in names)} FROM lake.findings.{quote(name)} "
            f"WHERE id IN ({marks})",
            ids,
        ).fetchall()
    out = {}
    for row in rows:
        found = dict(zip(names, row, strict=True))
        for side in ("left_evidence", "right_evidence"):
            parts = str(found[side] or "").split(MARK)
            found[side] = dict(p.split("=", 1) for p in parts if "=" in p)
        out[str(found["id"])] = found
    return out


def identities(lake: Lake, name: str) -> list[tuple[str, str, str, str, float]]:
    """Every standing finding: key, period, standing, doubt, amount (for checking a rule's truth)."""
    valid_name(name)
    with lake.connect(read_only=True) as con:
        if not table_columns(con, "findings", name):
            return []
        rows = con.execute(
            f"SELECT key, period, standing, doubt, amount FROM lake.findings.{quote(name)} "
            "WHERE standing <> 'gone' ORDER BY key, period"
        ).fetchall()
    return [(str(k), str(p), str(s), str(d), float(a or 0)) for k, p, s, d, a in rows]
