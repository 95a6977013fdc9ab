"""Matching: which rows of two datasets speak of one entity though they share no number.

A declared linkage is prepared (folded, parsed, bounded blocks), trained and scored by Splink on
DuckDB or on another backend, and kept in ``links.<name>__pairs``; pairs above the merging threshold
and officers' decisions together give ``links.crosswalk``: (linkage, dataset, key) → entity (ADR 0008).
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import duckdb
import numpy as np
import pyarrow as pa

from . import fold, training
from .entity import Decision, key_sql, make_links, write_crosswalk
from .shelves import (
    LEDGER,
    Lake,
    LakeError,
    is_conflict,
    literal,
    quote,
    table_columns,
    valid_name,
)

PARTS: dict[str, tuple[str, ...]] = {
    "person_name": ("pinyin", "surname"),
    "org_name": ("core",),
    "text": ("head",),
    "address": ("door", "building", "street", "village", "town", "county"),
    "date": ("year", "month_day"),
    "citizen_number": ("birth",),
    "phone": ("tail",),
    "code": (),
    "digits": ("head",),
}
"""Kinds of fields and the parts that blocking rules may name (``address.door``)."""

# Levels of each kind from the strongest to the weakest, without "empty" and "else": what an officer
# reads, and SQL over {n}_l and {n}_r; a word in angle brackets is a function of Splink's dialects.
LEVELS: dict[str, tuple[tuple[str, str], ...]] = {
    "person_name": (
        ("姓名相同", "="),
        ("同音", "{n}__pinyin_l = {n}__pinyin_r"),
        (
            "一字之差",
            "(levenshtein({n}_l, {n}_r) <= 1 AND length({n}_l) >= 3 AND length({n}_r) >= 3)"
            " OR levenshtein({n}__pinyin_l, {n}__pinyin_r) <= 1",
        ),
        ("同姓", "{n}__surname_l = {n}__surname_r"),
    ),
    "org_name": (
        ("名称相同", "="),
        ("字号行业相同", "{n}__core_l = {n}__core_r"),
        (
            "字号行业相近",
            "levenshtein({n}__core_l, {n}__core_r) <= 1 OR strpos({n}__core_l, {n}__core_r) > 0"
            " OR strpos({n}__core_r, {n}__core_l) > 0",
        ),
    ),
    "text": (("相同", "="), ("一字之差", "<damerau 1>"), ("相近", "<jaro_winkler 0.85>")),
    "address": (
        ("同一门牌户室", "{n}__door_l = {n}__door_r"),
        ("同一栋楼", "{n}__building_l = {n}__building_r"),
        ("同一门牌号", "{n}__street_l = {n}__street_r"),
        ("同一村社区", "{n}__village_l = {n}__village_r"),
        ("同一乡镇街道", "{n}__town_l = {n}__town_r"),
        ("同一区县", "{n}__county_l = {n}__county_r"),
    ),
    "date": (
        ("日期相同", "="),
        (
            "一位之差或月日颠倒",
            "levenshtein({n}_l, {n}_r) <= 1 OR (substr({n}_l, 1, 4) = substr({n}_r, 1, 4) AND "
            "substr({n}_l, 5, 2) = substr({n}_r, 7, 2) AND substr({n}_l, 7, 2) = substr({n}_r, 5, 2))",
        ),
        ("同年", "{n}__year_l = {n}__year_r"),
    ),
    "citizen_number": (
        ("号码相同", "="),
        ("一两位之差", "levenshtein({n}_l, {n}_r) <= 2"),
        ("出生日期相同", "{n}__birth_l = {n}__birth_r"),
    ),
    "phone": (
        ("号码相同", "="),
        ("后八位相同", "{n}__tail_l = {n}__tail_r"),
        ("一位之差", "levenshtein({n}_l, {n}_r) <= 1"),
    ),
    "code": (("相同", "="),),
    "digits": (("相同", "="), ("一位之差", "<damerau 1>"), ("两位之差", "<damerau 2>")),
}
FLOOR, GRADED, RARE = 0.0005, 0.005, 1e-6
"""The least share of matches that differ, or that differ a little (whoever wrote may have slipped);
the share of unlike pairs at a level that the sample did not show."""
_SLOTS = 1 << 20
_FREQUENT = {"person_name", "text", "org_name"}
# Lazy and unbounded on purpose: a bounded repetition makes RE2 seven times slower.
_ADDRESS = (
    r"^(?:[^省0-9]+?(?:省|自治区))?(?:[^市州盟0-9]+?(?:市|自治州|盟))?"
    r"([^区县旗小0-9]+?[区县旗])?([^0-9路村]+?(?:街道|镇|乡|苏木))?"
    r"([^0-9路]+?(?:社区|居委会|村委会|居民委员会|村民委员会|村))?"
    r"([^0-9]+?[路街道巷弄](?:[0-9]+[巷弄])?|[0-9]+[巷弄])?(?:([0-9]+)组)?(?:([0-9]+(?:-[0-9]+)?)号)?"
    r"([^0-9]+)?(?:([0-9]+)幢)?(?:([0-9]+)单元)?(?:([0-9]+)[室户房号]?)?"
)
_GROUPS = ["county", "town", "village", "road", "grp", "no", "estate", "building", "unit", "room"]


# ---- what is declared ------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One side of a linkage: a dataset and the columns that name a row of it."""

    dataset: str
    key: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """One comparison: a kind of PARTS, its Chinese title, its column on the left and on the right."""

    name: str
    title: str
    kind: str
    left: str
    right: str


@dataclass(frozen=True)
class MatchSpec:
    """A linkage. Without `right` the left dataset is searched for duplicates in itself.

    `blocks` are rules of terms (``name``, ``birth.year``): only pairs that agree on all terms of one
    rule are compared. `certain` rules find `recall` of all matches and hardly anything else; the
    model is trained on the pairs of each rule of `train` in turn. Probabilities of `merge` and above
    merge by themselves, those from `review` on wait for an officer. With `single` a left row has at
    most one right row; if two candidates lie within `margin` bits of each other, both wait.
    A key of a block with more than `cap` pairs is only compared within windows of `window` rows.
    """

    name: str
    left: Side
    right: Side | None
    fields: tuple[Field, ...]
    blocks: tuple[tuple[str, ...], ...]
    certain: tuple[tuple[str, ...], ...]
    train: tuple[tuple[str, ...], ...]
    recall: float = 0.8
    merge: float = 0.99
    review: float = 0.5
    single: bool = True
    margin: float = 4.0
    cap: int = 200_000
    window: int = 50
    sample: float = 1e6
    seed: int = 20260101

    def __post_init__(self) -> None:
        valid_name(self.name)
        known = set()
        for one in self.fields:
            valid_name(one.name)
            if one.kind not in PARTS:
                raise LakeError(f"字段“{one.name}”的类别“{one.kind}”不存在")
            known |= {one.name} | {f"{one.name}.{p}" for p in PARTS[one.kind]}
        for rule in (*self.blocks, *self.certain, *self.train):
            for term in rule:
                if term not in known:
                    raise LakeError(f"关联“{self.name}”的分块规则用到未声明的“{term}”")
        if not self.blocks or not self.fields:
            raise LakeError(f"关联“{self.name}”没有字段或分块规则")
        if not 0 < self.review <= self.merge <= 1:
            raise LakeError(f"关联“{self.name}”的阈值应为 0 < 人工复核 ≤ 自动合并 ≤ 1")

    @property
    def dedupes(self) -> bool:
        """Whether one dataset is searched for duplicates."""
        return self.right is None

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides, left first."""
        return (self.left,) if self.right is None else (self.left, self.right)


def read(data: Mapping[str, Any]) -> MatchSpec:
    """A pack's declaration (packs/*/linkages/*.yaml); raises LakeError with what is wrong in it."""

    def side(entry: Mapping[str, Any]) -> Side:
        return Side(valid_name(str(entry["dataset"])), tuple(map(str, entry["key"])))

    def rules(key: str) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(map(str, rule)) for rule in data.get(key) or ())

    try:
        fields = tuple(
            Field(
                str(f["name"]),
                str(f.get("title") or f["name"]),
                str(f["kind"]),
                str(f.get("left") or f["name"]),
                str(f.get("right") or f.get("left") or f["name"]),
            )
            for f in data["fields"]
        )
        limits = data.get("thresholds") or {}
        extra = {
            k: data[k] for k in ("recall", "single", "margin", "cap", "window") if k in data
        } | {k: float(limits[k]) for k in ("merge", "review") if k in limits}
        blocks = rules("blocks")
        return MatchSpec(
            str(data["name"]),
            side(data["left"]),
            side(data["right"]) if data.get("right") else None,
            fields,
            blocks,
            rules("certain") or blocks[:1],
            rules("train") or blocks[:2],
            **extra,
        )
    except KeyError as error:
        raise LakeError(f"关联声明缺少“{error.args[0]}”") from error


# ---- what comes of it ------------------------------------------------------------------------


@dataclass(frozen=True)
class LeftOut:
    """A rule whose largest keys were only compared within windows: what that left out."""

    rule: str
    keys: int
    records: int
    pairs: int
    compared: int


@dataclass
class Matched:
    """What a run did. `model` holds the weights (bits) of every level, for showing evidence."""

    linkage: str
    run: str
    left: int
    right: int
    pairs: int = 0
    merged: int = 0
    waiting: int = 0
    entities: int = 0
    members: int = 0
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contradictions: list[dict[str, str]] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Backend(Protocol):
    """Where Splink computes: its database API, and how prepared rows get in and results out."""

    def api(self) -> Any:
        """Splink's database API (DuckDBAPI, SparkAPI)."""

    def table(self, name: str, file: str) -> str:
        """Make the Parquet `file` readable as a table of that name; returns its physical name."""

    def arrow(self, sql: str) -> pa.Table:
        """The result of a query in the backend's own dialect."""


Tell = Callable[[float, str], None]


def _silent(_: float, __: str) -> None:
    """Tells nobody."""


def run(
    lake: Lake,
    spec: MatchSpec,
    code: str,
    *,
    decisions: Sequence[Decision] = (),
    backend: Backend | None = None,
    tell: Tell = _silent,
) -> Matched:
    """Links, and writes pairs and crosswalk in one lake transaction; a run's code returns its result.

    Preparing is DuckDB's; training and scoring are `backend`'s (unless given, the
    environment's engine: `engines`). `tell` hears
    the progress from 0 to 1. The same rows and the same declaration give the same pairs.
    """
    from .engines.linkage import environment  # Spark's whole dialect stands behind it

    begun = time.monotonic()
    with lake.writer(f"links.{spec.name}"), lake.private() as con:
        row = con.execute(f"SELECT outcome FROM {LEDGER} WHERE batch = ?", [code]).fetchone()
        if row:
            return Matched(**json.loads(row[0]))
        tell(0.02, "读取并规范化数据")
        counts = prepare(con, spec)
        made = Matched(spec.name, code, counts[0], counts[1] if len(counts) > 1 else 0)
        tell(0.2, "检查分块规模")
        rules = bound(con, spec, made)
        with environment(made.left + made.right) as cluster:
            score(con, spec, rules, made, backend or cluster, tell)
        tell(0.85, "形成关联结果")
        _states(con, spec)
        _write(lake, con, spec, made, decisions, begun, code)
        tell(1.0, "完成")
        return made


def _write(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    spec: MatchSpec,
    made: Matched,
    decisions: Sequence[Decision],
    begun: float,
    code: str,
) -> None:
    total = con.execute("SELECT count(*), count(*) FILTER (state = 'auto') FROM pairs").fetchone()
    made.pairs, made.merged = total or (0, 0)
    made.waiting = made.pairs - made.merged
    made.contradictions = make_links(
        con,
        spec,
        "SELECT pair, left_key, right_key, probability FROM pairs WHERE state = 'auto'",
        decisions,
    )
    target = f"lake.links.{quote(spec.name + '__pairs')}"
    with lake.writer("links.crosswalk"):
        for attempt in range(1, 7):
            con.execute("BEGIN")
            try:
                con.execute(
                    f"CREATE OR REPLACE TABLE {target} AS SELECT *, {literal(code)} AS run "
                    "FROM pairs ORDER BY pair"
                )
                made.entities, made.members = write_crosswalk(con, spec.name, code)
                made.seconds = round(time.monotonic() - begun, 3)
                con.execute(
                    f"INSERT INTO {LEDGER} VALUES (?, ?, 'link', ?, CAST(now() AS TIMESTAMP))",
                    [code, "links." + spec.name, json.dumps(made.__dict__, ensure_ascii=False)],
                )
                con.execute("CALL ducklake_set_commit_message('lake', ?, ?)", [spec.name, code])
                con.execute("COMMIT")
                return
            except duckdb.Error as error:
                con.execute("ROLLBACK")
                if not is_conflict(error) or attempt == 6:
                    raise
                time.sleep(0.2 * attempt)


# ---- preparing -------------------------------------------------------------------------------


def prepare(con: duckdb.DuckDBPyConnection, spec: MatchSpec) -> list[int]:
    """Makes ``side0`` (and ``side1``): unique_id, _key and the folded columns; returns row counts.

    Numbers of rows are stable: they follow the key's order. Raises LakeError where a dataset or a
    column is not there.
    """
    fold.teach(con)
    counts, first = [], 0
    for index, side in enumerate(spec.sides):
        have = table_columns(con, "trusted", side.dataset)
        if not have:
            raise LakeError(f"数据集“{side.dataset}”还没有数据，不能关联")
        columns = [(f, f.left if index == 0 else f.right) for f in spec.fields]
        for name in (*side.key, *(c for _, c in columns)):
            if name not in have:
                raise LakeError(f"数据集“{side.dataset}”没有列“{name}”")
        texts = ", ".join(f"{_text(c, have[c])} AS {f.name}" for f, c in columns)
        rows = f"SELECT {key_sql(side)} AS k, {texts} FROM lake.trusted.{quote(side.dataset)}"
        rows = f"SELECT row_number() OVER (ORDER BY k) + {first} AS unique_id, * FROM ({rows})"
        folded = ", ".join(f"{_folded(f)} AS {f.name}" for f, _ in columns)
        rows = f"SELECT unique_id, k, {folded} FROM ({rows})"
        places = "".join(f", {_place(f.name)}" for f, _ in columns if f.kind == "address")
        forms = ", ".join(form for f, c in columns for form in _forms(f, have[c]))
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE side{index} AS SELECT unique_id, k AS _key, "
            f"'{index}' AS source_dataset, {forms} FROM (SELECT *{places} FROM ({rows})) r"
        )
        row = con.execute(f"SELECT count(*) FROM side{index}").fetchone()
        counts.append(int(row[0]) if row else 0)
        first += counts[-1]
    return counts


def _text(column: str, kind: str) -> str:
    if kind in ("DATE", "TIMESTAMP"):
        return f"strftime({quote(column)}, '%Y%m%d')"
    text = quote(column) if kind == "VARCHAR" else f"CAST({quote(column)} AS VARCHAR)"
    # Trimming by a set of wide characters is dear, so values that need none are told apart first.
    ends = " OR ".join(f"{e}({text}, '{s}')" for e in ("starts_with", "ends_with") for s in " 　")
    return f"CASE WHEN {text} = '' OR {ends} THEN nullif(trim({text}, ' 　'), '') ELSE {text} END"


def _folded(f: Field) -> str:
    """A field's value as `fold` leaves it (see `fold.teach`); as it stands where SQL is enough."""
    if f.kind == "person_name":
        return f"folded_name({f.name})"
    if f.kind == "org_name":
        return f"folded_firm({f.name})"
    if f.kind == "address":
        uneven = f"regexp_matches({f.name}, {literal(fold.UNEVEN)})"
        return f"CASE WHEN {uneven} THEN folded_address({f.name}) ELSE {f.name} END"
    return f.name


def _place(n: str) -> str:
    """An address taken apart (省市区县 乡镇街道 村社区 路 号 幢 单元 室), as a struct for `_forms`."""
    groups = ", ".join(f"'{g}'" for g in _GROUPS)
    return f"regexp_extract({n}, {literal(_ADDRESS)}, [{groups}]) AS {n}__p"


def _forms(f: Field, stored: str) -> list[str]:
    """The prepared columns of a field as SQL; an empty form is NULL. `stored` is its column's type."""
    n, raw = f.name, f"r.{f.name}"
    if f.kind == "person_name":
        return [
            f"nullif({raw}.a, '') AS {n}",
            f"nullif({raw}.b, '') AS {n}__pinyin",
            f"nullif(substr({raw}.a, 1, 1), '') AS {n}__surname",
        ]
    if f.kind == "org_name":
        return [f"nullif({raw}.a, '') AS {n}", f"nullif({raw}.b, '') AS {n}__core"]
    if f.kind == "address":
        p = f"r.{n}__p"
        return [
            f"{raw} AS {n}",
            f"nullif({p}.county, '') AS {n}__county",
            f"nullif({p}.county || {p}.town, {p}.county) AS {n}__town",
            f"nullif({p}.town || {p}.village, {p}.town) AS {n}__village",
            f"CASE WHEN {p}.road <> '' AND {p}.no <> '' THEN {p}.road || {p}.no "
            f"WHEN {p}.village <> '' AND {p}.no <> '' THEN {p}.village || {p}.grp || '-' || {p}.no "
            f"WHEN length({p}.estate) > 2 AND {p}.building <> '' THEN {p}.estate END AS {n}__street",
            f"CASE WHEN {p}.building <> '' THEN {n}__street || '/' || {p}.building END AS {n}__building",
            f"CASE WHEN {p}.room <> '' THEN coalesce({n}__building, {n}__street) || '/' || {p}.unit "
            f"|| '/' || {p}.room WHEN {p}.road = '' AND {p}.building = '' THEN {n}__street END "
            f"AS {n}__door",
        ]
    if f.kind == "date":
        plain = f"regexp_replace(substr({raw}, 1, 10), '[^0-9]', '', 'g')"
        plain = raw if stored in ("DATE", "TIMESTAMP") else plain
        day = f"CASE WHEN length({plain}) = 8 THEN {plain} END"
        return [
            f"{day} AS {n}",
            f"substr({day}, 1, 4) AS {n}__year",
            f"substr({day}, 5, 4) AS {n}__month_day",
        ]
    if f.kind == "citizen_number":
        plain = f"upper(regexp_replace({raw}, '[^0-9Xx]', '', 'g'))"
        whole = (
            f"CASE WHEN length({plain}) = 18 THEN substr({plain}, 1, 17) WHEN length({plain}) = 15 "
            f"THEN substr({plain}, 1, 6) || '19' || substr({plain}, 7, 9) END"
        )
        # Without the check character: a number of 15 digits has none (GB 11643-1989).
        return [f"{whole} AS {n}", f"substr({whole}, 7, 8) AS {n}__birth"]
    if f.kind == "phone":
        plain = f"regexp_replace({raw}, '[^0-9]', '', 'g')"
        bare = f"CASE WHEN length({plain}) >= 7 THEN right({plain}, 11) END"
        return [f"{bare} AS {n}", f"right({bare}, 8) AS {n}__tail"]
    plain = f"nullif(upper(regexp_replace({raw}, '[\\s\\-_./　]', '', 'g')), '')"
    if f.kind == "code":
        return [f"{plain} AS {n}"]
    return [f"{plain} AS {n}", f"substr({plain}, 1, 3) AS {n}__head"]


# ---- bounded blocks --------------------------------------------------------------------------


def _columns(rule: Sequence[str]) -> list[str]:
    return [term.replace(".", "__") for term in rule]


def bound(
    con: duckdb.DuckDBPyConnection, spec: MatchSpec, made: Matched
) -> dict[tuple[str, ...], list[list[str]]]:
    """For each rule the columns to join on; no key of any rule gives more than `cap` pairs.

    A key above the cap is cut into windows of `window` neighbours, once in the order of the fields
    and once in the reverse order; what that leaves out stands in `made.left_out`. Rules of `certain`
    and `train` pass over such keys.
    """
    tables = [f"side{i}" for i in range(len(spec.sides))]
    out: dict[tuple[str, ...], list[list[str]]] = {}
    extra: dict[str, str] = {}
    every = list(dict.fromkeys((*spec.blocks, *spec.certain, *spec.train)))
    large = int(math.sqrt(spec.cap))
    crowded = _crowded(con, tables, every, large)
    for number, rule in enumerate(every):
        if rule not in crowded:
            out[rule] = [_columns(rule)]
            continue
        columns = _columns(rule)
        listed = ", ".join(columns)
        given = " AND ".join(f"{c} IS NOT NULL" for c in columns)
        union = " UNION ALL ".join(
            f"SELECT {i} AS s, {listed} FROM {t}" for i, t in enumerate(tables)
        )
        size = "c0 * (c0 - 1) / 2" if spec.dedupes else "c0 * c1"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE over{number} AS SELECT *, {size} AS pairs FROM (SELECT "
            f"{listed}, count(*) FILTER (s = 0) AS c0, count(*) FILTER (s = 1) AS c1 FROM ({union}) "
            f"WHERE {given} GROUP BY ALL HAVING count(*) > {large}) "
            f"WHERE {size} > {spec.cap}"
        )
        row = con.execute(
            f"SELECT count(*), coalesce(sum(c0 + c1), 0), coalesce(sum(pairs), 0) FROM over{number}"
        ).fetchone()
        keys, records, pairs = (int(v) for v in row or (0, 0, 0))
        if not keys:
            out[rule] = [columns]
            continue
        blocked = rule in spec.blocks
        names = [f"_b{number}", f"_w{number}"] if blocked else [f"_b{number}"]
        out[rule] = [[n] for n in names]
        _windows(con, spec, tables, number, columns, names, blocked)
        extra |= dict.fromkeys(names, "")
        if blocked:
            half = spec.window / 2
            kept = (
                records * (spec.window - 1) / 2 if spec.dedupes else records / spec.window * half**2
            )
            made.left_out.append(
                LeftOut(
                    " + ".join(_told(spec, t) for t in rule),
                    keys,
                    records,
                    pairs,
                    min(pairs, int(2 * kept)),
                ).__dict__
            )
    return out


def _crowded(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[str],
    rules: Sequence[tuple[str, ...]],
    large: int,
) -> set[tuple[str, ...]]:
    """The rules of which some key may have more than `large` rows; of the others none has.

    Keys are only counted by a slot of their hash, all rules in one pass: a slot has no fewer rows
    than any key in it.
    """
    hashed = ", ".join(
        f"CASE WHEN {' AND '.join(f'{c} IS NOT NULL' for c in columns)} "
        f"THEN CAST(hash({', '.join(columns)}) % {_SLOTS} AS UINTEGER) END AS r{number}"
        for number, columns in enumerate(map(_columns, rules))
    )
    counts = np.zeros((len(rules), _SLOTS), np.int32)
    for table in tables:
        for batch in con.execute(f"SELECT {hashed} FROM {table}").to_arrow_reader(_SLOTS):
            for number in range(len(rules)):
                slots = batch.column(number).drop_null().to_numpy(zero_copy_only=False)
                counts[number] += np.bincount(slots, minlength=_SLOTS).astype(np.int32)
    return {rule for rule, found in zip(rules, counts, strict=True) if found.max() > large}


def _told(spec: MatchSpec, term: str) -> str:
    name, _, part = term.partition(".")
    words = {
        "pinyin": "读音", "surname": "姓", "core": "字号行业", "head": "前三位", "door": "户室",
        "building": "楼栋", "street": "门牌号", "village": "村社区", "town": "乡镇街道",
        "county": "区县", "year": "年份", "month_day": "月日", "birth": "出生日期", "tail": "后八位",
    }  # fmt: skip
    title = next(f.title for f in spec.fields if f.name == name)
    return title + (words[part] if part else "")


def _windows(
    con: duckdb.DuckDBPyConnection,
    spec: MatchSpec,
    tables: list[str],
    number: int,
    columns: list[str],
    names: list[str],
    blocked: bool,
) -> None:
    """Adds the joining columns of a rule that has keys above the cap to every side."""
    same = " AND ".join(f"o.{c} = t.{c}" for c in columns)
    whole = " AND ".join(f"t.{c} IS NOT NULL" for c in columns)
    key = "concat_ws('|', " + ", ".join(f"t.{c}" for c in columns) + ")"
    listed = ", ".join(columns)
    windows = ""
    if blocked:
        order = [f.name for f in spec.fields]
        fields = ", ".join(dict.fromkeys((*columns, *order)))
        union = " UNION ALL ".join(f"SELECT unique_id, {fields} FROM {t}" for t in tables)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE place{number} AS SELECT t.unique_id, "
            + ", ".join(
                f"row_number() OVER (PARTITION BY {', '.join('t.' + c for c in columns)} ORDER BY "
                f"{', '.join('t.' + c for c in way)}, t.unique_id) // {spec.window} AS p{i}"
                for i, way in enumerate((order, order[::-1]))
            )
            + f" FROM ({union}) t JOIN over{number} o ON {same}"
        )
        windows = f"LEFT JOIN place{number} w ON w.unique_id = t.unique_id"
    outputs = []
    for i, name in enumerate(names):
        # The second window column serves only the keys above the cap: the first has the others.
        other = key if i == 0 else "NULL"
        inside = f"{key} || '#' || w.p{i}" if blocked else "NULL"
        outputs.append(
            f"CASE WHEN {whole} THEN CASE WHEN o.pairs IS NOT NULL THEN {inside} ELSE {other} END END "
            f"AS {name}"
        )
    for table in tables:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT t.*, {', '.join(outputs)} FROM {table} t "
            f"LEFT JOIN (SELECT {listed}, pairs FROM over{number}) o ON {same} {windows}"
        )


# ---- Splink ----------------------------------------------------------------------------------


def settings(spec: MatchSpec, rules: Mapping[tuple[str, ...], list[list[str]]]) -> Any:
    """Splink's settings for a declaration: comparisons with graded levels, bounded blocking rules."""
    import splink.comparison_level_library as levels
    from splink import SettingsCreator, block_on
    from splink.comparison_library import CustomComparison

    comparisons: list[Any] = []
    for f in spec.fields:
        made: list[Any] = [levels.NullLevel(f.name)]
        for label, sql in LEVELS[f.kind]:
            word, _, number = sql.strip("<>").partition(" ")
            if sql == "=":
                one: Any = levels.ExactMatchLevel(
                    f.name, term_frequency_adjustments=f.kind in _FREQUENT
                )
            elif word == "damerau":
                one = levels.DamerauLevenshteinLevel(f.name, int(number))
            elif word == "jaro_winkler":
                one = levels.JaroWinklerLevel(f.name, float(number))
            else:
                one = levels.CustomLevel(sql.format(n=f.name), base_dialect_str="duckdb")
            made.append(one.configure(label_for_charts=label))
        made.append(levels.ElseLevel())
        comparisons.append(CustomComparison(output_column_name=f.name, comparison_levels=made))
    ways = [columns for rule in spec.blocks for columns in rules[rule]]
    return SettingsCreator(
        link_type="dedupe_only" if spec.dedupes else "link_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(*way) for way in ways],
    )


def train(
    linker: Any, spec: MatchSpec, rules: Mapping[tuple[str, ...], list[list[str]]]
) -> list[str]:
    """Estimates the model with a fixed seed; returns what could not be learnt, in Chinese."""
    from splink import block_on

    notes = []
    try:
        linker.training.estimate_probability_two_random_records_match(
            [block_on(*rules[rule][0]) for rule in spec.certain], recall=spec.recall
        )
    except ValueError as error:
        raise LakeError("确定性规则找到的匹配对多于可能数，请收紧 certain 或调低 recall") from error
    settings_ = linker._settings_obj
    if not settings_._probability_two_random_records_match:
        settings_._probability_two_random_records_match = 1e-5
        notes.append("确定性规则没有找到匹配对，先验概率取十万分之一")
    linker.training.estimate_u_using_random_sampling(max_pairs=spec.sample, seed=spec.seed)
    for rule in spec.train:
        if not _learn(linker, block_on(*rules[rule][0])):
            notes.append(f"按“{' + '.join(_told(spec, t) for t in rule)}”没有可供训练的记录对")
    for comparison in settings_.comparisons:
        _temper(comparison._comparison_levels_excluding_null)
    return notes


def _learn(linker: Any, way: Any) -> bool:
    """One pass of expectation maximisation; False where the rule gives no pairs to learn from.

    A level that no match shows shrinks without end and leaves what a float can hold: then fewer
    steps must do.
    """
    from splink.internals.exceptions import EMTrainingException

    model = linker._settings_obj
    whole = model.training_settings
    try:
        for steps in (whole.max_iterations, 8, 4, 2):
            model.training_settings = replace(whole, max_iterations=steps)
            before = deepcopy(model.core_model_settings)
            try:
                linker.training.estimate_parameters_using_expectation_maximisation(way)
                return True
            except (ValueError, EMTrainingException, ZeroDivisionError) as error:
                # A pass that is broken off leaves the model without the rule's own fields.
                model.core_model_settings = before
                if not isinstance(error, ValueError):
                    return False
        return False
    finally:
        model.training_settings = whole


def _temper(levels: Sequence[Any]) -> None:
    """Gives what no training pair showed its least share; a wholly untrained field keeps defaults."""
    if not any(level._m_is_trained for level in levels):
        return
    for number, level in enumerate(levels):
        least = FLOOR if number == len(levels) - 1 else GRADED
        if not level._m_is_trained or level.m_probability < least:
            level.m_probability = least
        if not level._u_is_trained:
            level.u_probability = RARE


def score(
    con: duckdb.DuckDBPyConnection,
    spec: MatchSpec,
    rules: Mapping[tuple[str, ...], list[list[str]]],
    made: Matched,
    backend: Backend | None,
    tell: Tell = _silent,
) -> None:
    """Trains on the prepared sides and makes the table ``scored`` of all pairs from `review` on."""
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    tables = [f"side{i}" for i in range(len(spec.sides))]
    with tempfile.TemporaryDirectory() as folder:
        if backend is None:
            api, names = DuckDBAPI(con), tables
        else:
            api, names = backend.api(), []
            for table in tables:
                file = str(Path(folder) / f"{table}.parquet")
                con.execute(f"COPY {table} TO {literal(file)} (FORMAT parquet)")
                names.append(backend.table(table, file))
        inputs = [api.register(name) for name in names]
        linker = Linker(
            inputs if len(inputs) > 1 else inputs[0], settings(spec, rules), log_level=logging.ERROR
        )
        tell(0.25, "训练模型")
        with training.counted(linker) if backend is None else contextlib.nullcontext():
            made.notes += train(linker, spec, rules)
        made.model = _model(linker, spec)
        tell(0.5, "比较候选记录对")
        found = linker.inference.predict(
            threshold_match_probability=spec.review, warning_mode="never"
        )
        gammas = ", ".join(f"CAST(gamma_{f.name} AS VARCHAR)" for f in spec.fields)
        sql = (
            "SELECT unique_id_l, unique_id_r, match_probability, match_weight, "
            f"concat_ws(',', {gammas}) AS levels FROM {found.physical_name}"
        )
        if backend is None:
            con.execute(f"CREATE OR REPLACE TEMP TABLE scored AS {sql}")
        else:
            con.register("scored", backend.arrow(sql))


def _model(linker: Any, spec: MatchSpec) -> dict[str, Any]:
    """The trained model as evidence needs it: prior and each level's weight in bits."""
    prior = float(linker._settings_obj._probability_two_random_records_match)
    out: dict[str, Any] = {"prior": math.log2(prior / (1 - prior)), "fields": {}}
    for f, comparison in zip(spec.fields, linker._settings_obj.comparisons, strict=True):
        kept = comparison._comparison_levels_excluding_null
        labels = [label for label, _ in LEVELS[f.kind]] + ["不同"]
        out["fields"][f.name] = [
            {
                "level": int(level.comparison_vector_value),
                "label": label,
                "m": level.m_probability,
                "u": level.u_probability,
                "weight": math.log2(level.m_probability / level.u_probability),
            }
            for level, label in zip(kept, labels, strict=True)
        ]
    return out


def _states(con: duckdb.DuckDBPyConnection, spec: MatchSpec) -> None:
    """Makes ``pairs``: numbered from the most probable, each merging by itself or waiting."""
    right = "side0" if spec.dedupes else "side1"
    rival = "NULL"
    if spec.single and not spec.dedupes:
        rival = (
            "max(s.match_weight) OVER (PARTITION BY l._key ORDER BY s.match_weight DESC "
            "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW)"
        )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE pairs AS SELECT row_number() OVER (ORDER BY match_weight DESC, "
        "left_key, right_key) AS pair, left_key, right_key, match_probability AS probability, "
        "match_weight AS weight, levels, "
        f"CASE WHEN match_probability >= {spec.merge} AND (rival IS NULL OR "
        f"match_weight >= rival + {spec.margin}) THEN 'auto' ELSE 'review' END AS state FROM ("
        "SELECT l._key AS left_key, r._key AS right_key, s.match_probability, s.match_weight, "
        f"s.levels, {rival} AS rival FROM scored s JOIN side0 l ON l.unique_id = s.unique_id_l "
        f"JOIN {right} r ON r.unique_id = s.unique_id_r)"
    )
