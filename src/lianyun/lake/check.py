"""Checks: every item's and every rule's verdict on a row, compiled into one scan.

From a dataset's items come casts and conditions in plain vectorised SQL; nothing is called row by
row. A condition says when a row fails; the Chinese reason is only built for rows that failed.
Format is checked before the check digit, and `try_cast` everywhere: bad input never stops a load.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb
import sqlglot
from sqlglot import exp

from .digits import CITIZEN_DIGITS, CITIZEN_WEIGHTS, CREDIT_ALPHABET, CREDIT_WEIGHTS
from .shelves import (
    Column,
    Lake,
    LakeError,
    format_parts,
    literal,
    quote,
    storage_type,
    table_columns,
    valid_name,
)

CHINA = datetime.timezone(datetime.timedelta(hours=8))
WIDE_ITEMS = 150
SPACES = " \t\r\n\u00a0\u3000\ufeff\u200b"
NO_VALUE = ("NULL", "N/A", "NA", "NONE", "NAN", "\\N", "-", "--", "—", "——", "/", "无", "空")
_WIDE = "０１２３４５６７８９．－，＋　ｘＸ"
_NARROW = "0123456789.-,+ xX"
KIND_NAMES = {
    "N": "数值",
    "Y": "金额",
    "I": "整数",
    "B": "数值",
    "F": "数值",
    "D": "日期",
    "T": "日期时间",
    "L": "是否",
}


@dataclass(frozen=True)
class DomainCode:
    """One allowed code, and the days on which it is valid (both included; None is open)."""

    code: str
    name: str = ""
    valid_from: datetime.date | None = None
    valid_to: datetime.date | None = None


@dataclass(frozen=True)
class ItemCheck:
    """One item of a dataset and all that can be checked about its values.

    `type` is one of C N Y D T L M G B I F; `format` a representation format (lengths in
    characters). `domain` lists the allowed codes; with `domain_on` a code must be valid on the
    date in that item, else any code that was ever valid passes. `check` is ``citizen_number``
    (GB 11643), ``credit_code`` (GB 32100) or ``region`` (GB/T 2260 and its 9 and 12 digit
    extensions against `domain`). `regions` are the six-digit codes a citizen number may begin with.
    """

    name: str
    title: str
    type: str = "C"
    format: str | None = None
    required: bool = False
    domain: Sequence[DomainCode | str] | None = None
    domain_name: str = ""
    domain_on: str | None = None
    check: str | None = None
    regions: Sequence[DomainCode | str] | None = None
    aliases: tuple[str, ...] = ()

    @property
    def sql_type(self) -> str:
        """The DuckDB type of the stored value."""
        return storage_type(self.type, self.format)

    @property
    def column(self) -> Column:
        """The item as a lake column."""
        return Column(self.name, self.sql_type)


@dataclass(frozen=True)
class RowRule:
    """A pack's rule: `sql` is TRUE for a good row, NULL when it has nothing to say.

    `severity` is ``reject`` or ``warn``.
    """

    code: str
    title: str
    sql: str
    severity: str = "reject"


@dataclass(frozen=True)
class Failure:
    """When a row fails (SQL), which code is counted and what the officer reads (SQL text).

    `plain` is what stands for the condition when values are read plainly (see `verdicts`): it may
    refuse more, never less. `settled` stands for it on rows that have been accepted and typed.
    """

    code: str
    condition: str
    message: str
    warn: bool = False
    plain: str | None = None
    settled: str | None = None

    def test(self, plain: bool) -> str:
        """The condition for one of the two ways of reading."""
        return self.condition if self.plain is None or not plain else self.plain


@dataclass
class Checked:
    """A compiled set of checks over one dataset's rows."""

    items: list[ItemCheck]
    trimmed: dict[str, str] = field(default_factory=dict)
    cleaned: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    digits: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    tables: list[tuple[str, list[tuple[str, datetime.date | None, datetime.date | None]]]] = field(
        default_factory=list
    )
    legacy: dict[str, str] = field(default_factory=dict)
    plain_typed: dict[str, str] = field(default_factory=dict)
    not_plain: list[str] = field(default_factory=list)
    unspaced: list[str] = field(default_factory=list)

    def columns(self) -> list[Column]:
        """The typed columns in order, companions for old numbers at the end."""
        made = [item.column for item in self.items]
        return made + [Column(name) for name in self.legacy.values()]

    def prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        """Makes the temporary tables of long code lists on this connection."""
        for name, rows in self.tables:
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE {quote(name)} (code VARCHAR, f DATE, t DATE)"
            )
            for start in range(0, len(rows), 2000):
                values = ", ".join(
                    f"({literal(code)}, {_date(f)}, {_date(t)})"
                    for code, f, t in rows[start : start + 2000]
                )
                con.execute(f"INSERT INTO {quote(name)} VALUES {values}")

    @property
    def wide(self) -> bool:
        """Whether there are so many items that what is kept for each must be small."""
        return len(self.items) > WIDE_ITEMS

    def _typed_rows(self, relation: str, carry: Sequence[str], plain: bool = False) -> str:
        """SQL of the typed rows over `relation`, whose columns are the items' raw texts."""
        kept = "".join(f"{quote(c)}, " for c in carry)

        def named(parts: dict[str, str], prefix: str) -> str:
            return ", ".join(f"{sql} AS {quote(prefix + name)}" for name, sql in parts.items())

        parts, typed = self.parts, self.typed
        if plain:
            parts = {}
            typed = {name: self.plain_typed.get(name, "NULL") for name in self.typed}
            texts = {i.name: f"nullif({quote(i.name)}, '')" for i in self.items}
            inner = f"SELECT {kept}{named(texts, 't.')} FROM {relation}"
        else:
            inner = f"SELECT {kept}{named(self.trimmed, 'u.')} FROM {relation}"
            inner = f"SELECT {kept}{named(self.cleaned, 't.')} FROM ({inner})"
        if parts:
            inner = f"SELECT *, {named(parts, '')} FROM ({inner})"
        if self.digits and not plain:
            inner = f"SELECT *, {named(self.digits, '')} FROM ({inner})"
        third = ", ".join(f"{sql} AS {quote(name)}" for name, sql in typed.items())
        return f"SELECT *, {third} FROM ({inner})"

    def bad(self, plain: bool = False) -> str:
        """SQL that is TRUE when any check refuses the row (never NULL)."""
        conditions = [f.test(plain) for f in self.failures if not f.warn]
        if plain:
            conditions += self.not_plain
            spaced = self.unspaced
            conditions += [_any_spaced(spaced)] if self.wide else [_spaced(t) for t in spaced]
        return " OR ".join(f"coalesce({c}, FALSE)" for c in conditions if c) or "FALSE"

    def verdicts(
        self, relation: str, carry: Sequence[str] = ("_line",), *, plain: bool = False
    ) -> str:
        """SQL: `carry`, the typed values, ``_ok`` and ``_warnings`` (codes joined by commas).

        With `plain` values are taken as they would be written by a machine: no spaces around,
        no wide digits, ISO dates. It costs half; a row it finds good is good and typed the same,
        a row it does not may still be good.
        """
        warnings = [(f.code, f.test(plain)) for f in self.failures if f.warn and f.test(plain)]
        warned = "CAST(NULL AS VARCHAR)"
        if warnings:
            any_warning = " OR ".join(f"coalesce({test}, FALSE)" for _, test in warnings)
            listed = ", ".join(
                f"CASE WHEN {test} THEN {literal(code)} END" for code, test in warnings
            )
            warned = f"CASE WHEN {any_warning} THEN concat_ws(',', {listed}) END"
        kept = ", ".join(quote(c) for c in carry)
        values = ", ".join(quote(c.name) for c in self.columns())
        return (
            f"SELECT {kept}, {values}, NOT ({self.bad(plain)}) AS _ok, {warned} AS _warnings "
            f"FROM ({self._typed_rows(relation, carry, plain)})"
        )

    def tally(self, relation: str) -> tuple[list[str], str]:
        """Codes, and SQL of one row over typed rows: how many there are, how many fail each check.

        For rows that were accepted once, whatever has changed in rules, domains and lengths since;
        that a text could be read as a date or number is settled. One scan however many the checks.
        """
        tests = []
        for failure in self.failures:
            test = failure.test(True) if failure.settled is None else failure.settled
            if test and not failure.code.endswith(".type") and failure.code != "row.empty":
                tests.append((failure.code, test))
        texts = ", ".join(
            f"{quote(i.name) if i.sql_type == 'VARCHAR' else f'CAST({quote(i.name)} AS VARCHAR)'} "
            f"AS {quote('t.' + i.name)}"
            for i in self.items
        )
        counts = "".join(f", count(*) FILTER ({test})" for _, test in tests)
        return (
            [code for code, _ in tests],
            f"SELECT count(*){counts} FROM (SELECT *, {texts} FROM {relation})",
        )

    def reasons(self, relation: str, carry: Sequence[str] = ("_line",)) -> str:
        """SQL: `carry`, ``_codes`` and ``_reasons`` (parallel lists) of every row of `relation`."""
        refusing = [f for f in self.failures if not f.warn]
        kept = ", ".join(quote(c) for c in carry)
        if not refusing:
            empty = "CAST([] AS VARCHAR[])"
            return f"SELECT {kept}, {empty} AS _codes, {empty} AS _reasons FROM {relation}"

        def gathered(parts: Iterable[str]) -> str:
            return f"list_filter([{', '.join(parts)}], lambda x: x IS NOT NULL)"

        codes = gathered(f"CASE WHEN {f.condition} THEN {literal(f.code)} END" for f in refusing)
        texts = gathered(f"CASE WHEN {f.condition} THEN {f.message} END" for f in refusing)
        return (
            f"SELECT {kept}, {codes} AS _codes, {texts} AS _reasons "
            f"FROM ({self._typed_rows(relation, carry)})"
        )


def _date(day: datetime.date | None) -> str:
    return "NULL" if day is None else f"DATE '{day.isoformat()}'"


def _trim(raw: str, wide: bool) -> str:
    """Text without surrounding spaces of any width; NULL when nothing is left.

    Trimming by a set of wide characters is dear, so values that need none are told apart first,
    except in a `wide` table, where the telling apart would take too much memory.
    """
    trimmed = f"nullif(trim({raw}, {literal(SPACES)}), '')"
    if wide:
        return trimmed
    return f"CASE WHEN {_spaced(raw)} THEN {trimmed} ELSE {raw} END"


def _spaced(raw: str) -> str:
    """SQL that is TRUE when a text is empty or has a space of any width at either end."""
    ends = " OR ".join(f"ends_with({raw}, {literal(space)})" for space in SPACES)
    starts = " OR ".join(f"starts_with({raw}, {literal(s)})" for s in SPACES if s > "!")
    return f"({raw} < '!' OR {ends} OR {starts})"


def _any_spaced(raws: Sequence[str]) -> str:
    """SQL that is TRUE when any of many texts has a space of any width at either end.

    Each of the dozen comparisons of `_spaced` keeps vectors of its own for each column: for 600
    columns 460 MB a thread. Here one text holds the row, U+0001 around each value, and one
    expression asks: what is pushed below the filter is computed once for each time it is named.
    """
    row = f"concat_ws(chr(1), '', {', '.join(raws)}, '')"
    spaces = "".join(f"\\x{{{ord(s):x}}}" for s in SPACES)
    return f"regexp_matches({row}, '\\x01[{spaces}]|[{spaces}]\\x01')"


def _shown(text: str) -> str:
    """A value quoted for a reason, at most 40 characters."""
    return f"'“' || left({text}, 40) || CASE WHEN length({text}) > 40 THEN '…' ELSE '' END || '”'"


def _digits_sum(number: str, weights: Sequence[int]) -> str:
    """Σ digit × weight of a 17-digit number given as BIGINT, first digit first."""
    terms = []
    for index, weight in enumerate(weights):
        power = 10 ** (len(weights) - 1 - index)
        terms.append(f"(({number} // {power}) % 10) * {weight}")
    return " + ".join(terms)


def citizen_check_digit(first17: str) -> str:
    """SQL for the GB 11643 check digit of 17 digits given as a BIGINT expression."""
    return f"substr('{CITIZEN_DIGITS}', CAST(({_digits_sum(first17, CITIZEN_WEIGHTS)}) % 11 AS INTEGER) + 1, 1)"


def credit_parts(text: str) -> dict[str, str]:
    """SQL of a well-formed credit code's bytes as three integers: body, ends, region.

    One integer for seven characters is far cheaper than a substring for each. NULL when the
    text has another shape.
    """
    return {
        "body": f"TRY_CAST('0x' || hex(substr({text}, 9, 7)) AS BIGINT)",
        "ends": f"TRY_CAST('0x' || hex(substr({text}, 16, 2) || substr({text}, 1, 2)) AS BIGINT)",
        "region": f"TRY_CAST(substr({text}, 3, 6) AS BIGINT)",
    }


def credit_check_digit(body: str, ends: str, region: str) -> str:
    """SQL for the GB 32100 check character from the parts of `credit_parts`."""
    values = ", ".join(str(CREDIT_ALPHABET.find(chr(code))) for code in range(48, 91))
    places = [(body, 8 * (6 - i), 9 + i) for i in range(7)]
    places += [(ends, 24, 16), (ends, 16, 17), (ends, 8, 1), (ends, 0, 2)]
    terms = [
        f"[{values}][(({part} >> {shift}) & 255) - 47] * {CREDIT_WEIGHTS[place - 1]}"
        for part, shift, place in places
    ]
    terms += [
        f"(({region} // {10 ** (8 - place)}) % 10) * {CREDIT_WEIGHTS[place - 1]}"
        for place in range(3, 9)
    ]
    total = " + ".join(terms)
    alphabet = literal(CREDIT_ALPHABET)
    return f"substr({alphabet}, CAST((31 - ({total}) % 31) % 31 AS INTEGER) + 1, 1)"


class _Compiler:
    """Turns items and rules into SQL, one item after another."""

    def __init__(
        self, items: Sequence[ItemCheck], key: Sequence[str], excel: bool, today: datetime.date
    ) -> None:
        self.out = Checked(list(items))
        self.key = set(key)
        self.excel = excel
        self.today = today
        self.types = {item.name: item for item in items}

    def fail(
        self,
        item: ItemCheck,
        kind: str,
        condition: str,
        text: str,
        warn: bool = False,
        plain: str | None = None,
        settled: str | None = None,
    ) -> None:
        message = f"{literal(item.title + '：')} || {text}"
        self.out.failures.append(
            Failure(f"{item.name}.{kind}", condition, message, warn, plain, settled)
        )

    def domain_test(
        self, item: ItemCheck, value: str, label: str, codes: Sequence[DomainCode | str]
    ) -> str:
        """SQL that is TRUE when `value` is one of `codes`."""
        listed = [c if isinstance(c, DomainCode) else DomainCode(str(c)) for c in codes]
        dated = item.domain_on and item.domain_on in self.types
        if not dated and len(listed) <= 200:
            if not listed:
                return "FALSE"
            return f"{value} IN ({', '.join(literal(c.code) for c in listed)})"
        table = f"{label}.{item.name}"
        rows = [(c.code, c.valid_from, c.valid_to) for c in listed]
        self.out.tables.append((table, rows))
        if dated:
            day = f"CAST({quote(item.domain_on or '')} AS DATE)"
            return (
                f"EXISTS (SELECT 1 FROM {quote(table)} d WHERE d.code = {value} AND "
                f"({day} IS NULL OR (({day} >= d.f OR d.f IS NULL) AND "
                f"({day} <= d.t OR d.t IS NULL))))"
            )
        return f"{value} IN (SELECT code FROM {quote(table)})"

    def compile(self) -> Checked:
        for item in self.out.items:
            valid_name(item.name)
        for item in self.out.items:
            letter = (item.type or "C").upper()[:1]
            raw = quote(item.name)
            text = quote("t." + item.name)
            value = quote(item.name)
            plain = quote("u." + item.name)
            self.out.trimmed[item.name] = _trim(raw, self.out.wide)
            cleaned = plain
            if item.check in ("citizen_number", "credit_code", "region"):
                narrow = f"translate({plain}, {literal(_WIDE)}, {literal(_NARROW)})"
                narrow = f"nullif(replace(upper(ltrim({narrow}, '''')), ' ', ''), '')"
                cleaned = (
                    f"CASE WHEN regexp_full_match({plain}, '[0-9A-Z]+') THEN {plain} "
                    f"ELSE {narrow} END"
                )
            if letter != "L" and (item.check or item.domain is not None or letter not in "CMG"):
                codes = {c.code if isinstance(c, DomainCode) else str(c) for c in item.domain or ()}
                tokens = ", ".join(literal(n) for n in NO_VALUE if n not in codes)
                cleaned = (
                    f"CASE WHEN strlen({plain}) < 7 AND list_contains([{tokens}], upper({plain})) "
                    f"THEN NULL ELSE {cleaned} END"
                )
            self.out.cleaned[item.name] = cleaned
            if item.required or item.name in self.key:
                self.fail(item, "required", f"{text} IS NULL", "'必填，但没有值'")
            if item.check == "citizen_number":
                self.citizen_number(item, text, value)
            elif item.check == "credit_code":
                self.credit_code(item, text, value)
            elif item.check == "region":
                self.region(item, text, value)
            elif letter in "NYI":
                self.number(item, text, value)
            elif letter in "BF":
                self.double(item, text, value)
            elif letter == "D":
                self.date(item, text, value)
            elif letter == "T":
                self.timestamp(item, text, value)
            elif letter == "L":
                self.logical(item, text, value)
            else:
                self.characters(item, text, value)
            if item.domain is not None and item.check != "region":
                test = self.domain_test(item, f"CAST({value} AS VARCHAR)", "domain", item.domain)
                named = f"“{item.domain_name}”" if item.domain_name else ""
                sample = "、".join(
                    (f"{c.code} {c.name}".strip() if isinstance(c, DomainCode) else str(c))
                    for c in list(item.domain)[:5]
                )
                more = " 等" if len(item.domain) > 5 else ""
                when = "该日期有效的" if item.domain_on else ""
                self.fail(
                    item,
                    "domain",
                    f"{value} IS NOT NULL AND NOT ({test})",
                    f"{_shown(f'CAST({value} AS VARCHAR)')} || "
                    + literal(f"不在{when}值域{named}内（应为 {sample}{more}）"),
                )
        everything = [quote("t." + item.name) for item in self.out.items]
        refused = [f.code for f in self.out.failures]
        if everything:
            self.out.failures.insert(
                0,
                Failure(
                    "row.empty",
                    f"coalesce({', '.join(everything)}) IS NULL",
                    "'整行为空'",
                    # an empty row lacks what is required, too
                    plain="" if any(c.endswith(".required") for c in refused) else None,
                ),
            )
        return self.out

    # ------------------------------------------------------------ kinds of values

    def characters(self, item: ItemCheck, text: str, value: str) -> None:
        parts = format_parts(item.format)
        self.out.typed[item.name] = self.out.plain_typed[item.name] = text
        if item.domain is None and parts.kind != "n" and not parts.pattern:
            self.out.unspaced.append(text)
        if parts.pattern and set(parts.pattern.lower()) <= set("an"):
            pattern = "".join({"a": "[A-Za-z]", "n": "[0-9]"}[c] for c in parts.pattern.lower())
            self.fail(
                item,
                "format",
                f"{text} IS NOT NULL AND NOT regexp_full_match({text}, '{pattern}')",
                f"{literal('格式应为 ' + str(item.format) + '，实为')} || {_shown(text)}",
            )
            return
        if parts.high is not None:
            exact = parts.low == parts.high
            low = parts.low or 0
            over = f"length({text}) > {parts.high}"
            if low > 1:
                over += f" OR length({text}) < {low}"
            want = f"应为 {parts.high} 个字符" if exact else f"应为 {low}–{parts.high} 个字符"
            if not low:
                want = f"最长 {parts.high} 个字符"
            self.fail(
                item,
                "length",
                f"({over})",
                f"'长度不符（{want}，实为 ' || length({text}) || ' 个）'",
                # no text has more characters than bytes, and bytes need no counting
                plain=f"(strlen({text}) > {parts.high} AND length({text}) > {parts.high})"
                if low <= 1
                else None,
            )
        if parts.kind == "n":
            self.fail(
                item,
                "format",
                f"{text} IS NOT NULL AND NOT regexp_full_match({text}, '[0-9]+')",
                f"'应全为数字，实为' || {_shown(text)}",
            )

    def cleaned(self, item: ItemCheck, text: str) -> str:
        """The number in `text` without thousands separators, currency signs and wide digits."""
        name = "n." + item.name
        wide = literal("０１２３４５６７８９．－＋，, ￥¥$　")
        narrow = literal("0123456789.-+")
        self.out.parts[name] = (
            f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+(\\.[0-9]+)?') THEN {text} "
            f"WHEN regexp_full_match({text}, '[￥¥$]?\\s*[+－＋-]?[0-9０-９]+([,，][0-9０-９]{{3}})*([.．][0-9０-９]*)?') "
            f"THEN translate({text}, {wide}, {narrow}) "
            f"WHEN regexp_full_match({text}, '[+-]?([0-9]+\\.?|[0-9]*\\.[0-9]+)([eE][+-]?[0-9]{{1,2}})?') THEN {text} END"
        )
        return quote(name)

    def number(self, item: ItemCheck, text: str, value: str) -> None:
        kind = item.sql_type
        clean = self.cleaned(item, text)
        parts = format_parts(item.format)
        decimals = parts.decimals or (
            2 if kind.startswith("DECIMAL(18,2") and not item.format else 0
        )
        word = KIND_NAMES[item.type.upper()[:1]]
        if kind == "BIGINT" or kind.endswith(",0)"):
            want = f"应为整数{f'（最多 {parts.high} 位）' if parts.high else ''}"
            self.out.plain_typed[item.name] = f"TRY_CAST({text} AS {kind})"
            self.out.not_plain.append(f"CAST({value} AS VARCHAR) <> {text}")
            self.out.typed[item.name] = (
                f"CASE WHEN regexp_full_match({clean}, '[+-]?[0-9]+(\\.0*)?') "
                f"THEN TRY_CAST({clean} AS {kind}) END"
            )
        else:
            precision = kind[8:].split(",")[0]
            want = f"应为{word}（最多 {precision} 位，其中小数 {decimals} 位）"
            exact = f"TRY_CAST({clean} AS {kind})"
            shape = f"[+-]?[0-9]+(\\.[0-9]{{1,{decimals}}})?"
            self.out.plain_typed[item.name] = (
                f"CASE WHEN regexp_full_match({text}, '{shape}') THEN TRY_CAST({text} AS {kind}) END"
            )
            self.out.typed[item.name] = (
                f"CASE WHEN length(rtrim(split_part({clean}, '.', 2), '0')) <= {decimals} "
                f"OR contains(lower({clean}), 'e') THEN {exact} END"
            )
        self.fail(
            item,
            "type",
            f"{text} IS NOT NULL AND {value} IS NULL",
            f"{literal(want + '，实为')} || {_shown(text)}",
        )
        if parts.high and kind == "BIGINT" and parts.high < 18:
            self.fail(
                item,
                "length",
                f"abs({value}) >= {10**parts.high}",
                f"{literal(f'超过 {parts.high} 位：')} || {_shown(text)}",
            )

    def double(self, item: ItemCheck, text: str, value: str) -> None:
        clean = self.cleaned(item, text)
        self.out.typed[item.name] = f"TRY_CAST({clean} AS DOUBLE)"
        self.out.plain_typed[item.name] = (
            f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+(\\.[0-9]+)?') "
            f"THEN TRY_CAST({text} AS DOUBLE) END"
        )
        self.fail(
            item,
            "type",
            f"{text} IS NOT NULL AND ({value} IS NULL OR NOT isfinite({value}))",
            f"'应为数值，实为' || {_shown(text)}",
        )

    def serial(self, text: str) -> str:
        """Excel's day number as a timestamp; NULL outside 1900–9999."""
        days = f"TRY_CAST({text} AS DOUBLE)"
        return (
            f"CASE WHEN {days} BETWEEN 1 AND 2958465.99999 THEN TIMESTAMP '1899-12-30' + "
            f"to_days(CAST(floor({days}) AS INTEGER)) + "
            f"to_seconds(CAST(round(({days} - floor({days})) * 86400) AS BIGINT)) END"
        )

    def date(self, item: ItemCheck, text: str, value: str) -> None:
        other = (
            "TRY_STRPTIME("
            + text
            + ", ['%Y/%m/%d', '%Y年%m月%d日', '%Y.%m.%d', '%Y-%m-%d %H:%M:%S', "
            "'%Y/%m/%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y-%m-%dT%H:%M:%S', '%Y-%m-%d %H:%M:%S.%f', '%Y-%m-%d %H:%M'])"
        )
        self.out.plain_typed[item.name] = (
            f"CASE WHEN strlen({text}) = 10 AND {text} BETWEEN '1' AND ':' "
            f"THEN TRY_CAST({text} AS DATE) END"
        )
        whole = f"translate({text}, '０１２３４５６７８９／－', '0123456789/-')"
        serial = (
            f" WHEN length({text}) <= 5 THEN CAST({self.serial(text)} AS DATE)"
            if self.excel
            else ""
        )
        self.out.typed[item.name] = (
            f"CASE WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}') "
            f"THEN TRY_CAST({text} AS DATE) "
            f"WHEN regexp_full_match({text}, '[0-9]{{8}}') "
            f"THEN CAST(TRY_STRPTIME({text}, '%Y%m%d') AS DATE){serial} "
            f"WHEN regexp_full_match({text}, '[0-9]{{14}}') "
            f"THEN CAST(TRY_STRPTIME({text}, '%Y%m%d%H%M%S') AS DATE) "
            f"WHEN regexp_matches({text}, '^[0-9]{{4}}[^0-9]') THEN CAST({other} AS DATE) "
            f"WHEN regexp_matches({text}, '[０-９／－]') THEN TRY_CAST({whole} AS DATE) END"
        )
        self.fail(
            item,
            "type",
            f"{text} IS NOT NULL AND ({value} IS NULL OR {value} < DATE '1000-01-01')",
            f"'应为日期（如 2018-01-02），实为' || {_shown(text)}",
        )

    def timestamp(self, item: ItemCheck, text: str, value: str) -> None:
        shapes = (
            "['%Y/%m/%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y%m%d%H%M%S', '%Y%m%dT%H%M%S', "
            "'%Y%m%d%H:%M:%S', '%Y%m%d %H:%M:%S', '%Y-%m-%d %H:%M', '%Y年%m月%d日 %H:%M:%S', "
            "'%Y年%m月%d日%H:%M:%S', '%Y年%m月%d日 %H时%M分%S秒', '%Y年%m月%d日%H时%M分%S秒', "
            "'%Y年%m月%d日 %H:%M', '%Y年%m月%d日%H时%M分', '%Y/%m/%d', '%Y年%m月%d日', '%Y.%m.%d', "
            "'%Y.%m.%d %H:%M:%S', '%Y-%m-%d %H:%M:%S.%f', '%Y/%m/%d %H:%M:%S.%f']"
        )
        self.out.plain_typed[item.name] = (
            f"CASE WHEN strlen({text}) = 19 AND {text} BETWEEN '1' AND ':' "
            f"AND substr({text}, 14, 1) = ':' AND substr({text}, 17, 1) = ':' "
            f"THEN TRY_CAST({text} AS TIMESTAMP) END"
        )
        serial = (
            f" WHEN regexp_full_match({text}, '[0-9]{{1,7}}(\\.[0-9]+)?') THEN {self.serial(text)}"
            if self.excel
            else ""
        )
        self.out.typed[item.name] = (
            f"CASE WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\\.[0-9]+)?') "
            f"THEN TRY_CAST({text} AS TIMESTAMP) "
            f"WHEN regexp_full_match({text}, '[0-9]{{8}}') THEN TRY_STRPTIME({text}, '%Y%m%d'){serial} "
            f"WHEN regexp_matches({text}, '(Z|[0-9][+-][0-9]{{2}}:?[0-9]{{2}})$') "
            f"THEN TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'Asia/Shanghai' "
            f"WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}') "
            f"THEN TRY_CAST({text} AS TIMESTAMP) "
            f"ELSE TRY_STRPTIME({text}, {shapes}) END"
        )
        self.fail(
            item,
            "type",
            f"{text} IS NOT NULL AND ({value} IS NULL OR {value} < TIMESTAMP '1000-01-01')",
            f"'应为日期时间（如 2018-01-02 08:30:00），实为' || {_shown(text)}",
        )

    def logical(self, item: ItemCheck, text: str, value: str) -> None:
        yes = "'1','1.0','true','t','y','yes','是','有','真','√','on'"
        no = "'0','0.0','false','f','n','no','否','没有','假','×','off'"
        self.out.plain_typed[item.name] = self.out.typed[item.name] = (
            f"CASE WHEN lower({text}) IN ({yes}) THEN TRUE "
            f"WHEN lower({text}) IN ({no}) OR {text} = '无' THEN FALSE END"
        )
        self.fail(
            item,
            "type",
            f"{text} IS NOT NULL AND {value} IS NULL",
            f"'应为是或否，实为' || {_shown(text)}",
        )

    # ------------------------------------------------------------ codes with check digits

    def citizen_number(self, item: ItemCheck, text: str, value: str) -> None:
        """GB 11643: format, birth date, region, check digit; 15 old digits are brought to 18."""
        shape, old = quote("s." + item.name), f"length({text}) = 15"
        self.out.parts["s." + item.name] = (
            f"CASE WHEN length({text}) = 18 AND regexp_full_match({text}, '[1-9][0-9]{{16}}[0-9X]') "
            f"THEN CAST(substr({text}, 1, 17) AS BIGINT) "
            f"WHEN length({text}) = 15 AND regexp_full_match({text}, '[1-9][0-9]{{14}}') "
            f"THEN CAST(substr({text}, 1, 6) || '19' || substr({text}, 7, 9) AS BIGINT) END"
        )
        self.out.plain_typed[item.name] = text
        right = quote("r." + item.name)
        self.out.digits["r." + item.name] = citizen_check_digit(shape)
        self.out.typed[item.name] = (
            f"CASE WHEN {old} AND {shape} IS NOT NULL THEN {shape} || {right} ELSE {text} END"
        )
        number = f"(({shape} // 1000) % 100000000)"
        birth = f"lpad(CAST({number} AS VARCHAR), 8, '0')"
        year, month, day = f"({number} // 10000)", f"(({number} // 100) % 100)", f"({number} % 100)"
        leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
        born = (
            f"({month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND 31 AND ({day} <= 28 OR "
            f"CASE WHEN {month} = 2 THEN {day} = 29 AND {leap} "
            f"ELSE {day} <= 30 OR (({month} + {month} // 8) % 2) = 1 END))"
        )
        self.fail(
            item,
            "format",
            f"{text} IS NOT NULL AND {shape} IS NULL",
            f"CASE WHEN regexp_matches({text}, '[0-9]E\\+[0-9]') THEN "
            f"'被表格软件改成了科学计数法，实为' || {_shown(text)} "
            f"WHEN length({text}) <> 18 THEN '应为 18 位公民身份号码，实为 ' || length({text}) || ' 位' "
            f"ELSE '应为 17 位数字加 1 位数字或 X，实为' || {_shown(text)} END",
            plain=f"{text} IS NOT NULL AND NOT citizen_numbers_ok({text})",
        )
        now = self.today.strftime("%Y%m%d")
        self.fail(
            item,
            "birth_date",
            f"{shape} IS NOT NULL AND NOT ({number} BETWEEN 18500101 AND {now} AND {born})",
            f"'公民身份号码中的出生日期“' || {birth} || '”不存在或晚于今天'",
            plain=f"substr({text}, 7, 8) > '{now}'",
        )
        if item.regions is not None:
            region = f"substr({text}, 1, 6)"
            test = self.domain_test(item, region, "regions", item.regions)
            self.fail(
                item,
                "region",
                f"{shape} IS NOT NULL AND NOT ({test})",
                f"'公民身份号码前六位“' || {region} || '”不是曾用或现用的行政区划代码'",
                plain=f"{text} IS NOT NULL AND NOT ({test})",
            )
        self.fail(
            item,
            "check_digit",
            f"length({text}) = 18 AND substr({text}, 18, 1) <> {right}",
            f"'校验位错误（应为 ' || {right} || '）'",
            plain="",
        )
        self.fail(
            item,
            "legacy",
            f"{old} AND {shape} IS NOT NULL",
            "'15 位旧号码，已按规则升为 18 位'",
            warn=True,
            plain="",
        )

    def credit_code(self, item: ItemCheck, text: str, value: str) -> None:
        """GB 32100: format, then check character; 15 and 13 digit old numbers are kept apart."""
        well = f"(length({text}) = 18 AND regexp_full_match({text}, '[0-9A-HJ-NPQRTUWXY]{{2}}[0-9]{{6}}[0-9A-HJ-NPQRTUWXY]{{10}}'))"
        old = f"(length({text}) IN (13, 15) AND regexp_full_match({text}, '[0-9]{{13,15}}'))"
        shape = quote("s." + item.name)
        names = {part: f"{part}.{item.name}" for part in ("body", "ends", "region")}
        right = credit_check_digit(**{part: quote(name) for part, name in names.items()})
        for part, sql in credit_parts(text).items():
            self.out.parts[names[part]] = f"CASE WHEN {well} THEN {sql} END"
        self.out.digits["s." + item.name] = right
        right = shape
        self.out.plain_typed[item.name] = text
        if item.name in self.key:
            self.out.typed[item.name] = text
        else:
            companion = f"{item.name}_legacy"
            self.out.legacy[item.name] = companion
            self.out.typed[item.name] = f"CASE WHEN NOT {old} THEN {text} END"
            self.out.typed[companion] = f"CASE WHEN {old} THEN {text} END"
        self.fail(
            item,
            "format",
            f"{text} IS NOT NULL AND {shape} IS NULL AND NOT {old}",
            f"CASE WHEN length({text}) <> 18 THEN '应为 18 位统一社会信用代码，实为 ' || length({text}) || ' 位：' || {_shown(text)} "
            f"WHEN regexp_matches({text}, '[IOSVZ]') THEN '统一社会信用代码不含字母 I、O、S、V、Z，实为' || {_shown(text)} "
            f"ELSE '应为 18 位统一社会信用代码（第 3–8 位为数字），实为' || {_shown(text)} END",
            plain=f"{text} IS NOT NULL AND NOT credit_codes_ok({text})",
            settled=f"{text} IS NOT NULL AND NOT credit_codes_ok({text}) AND NOT {old}",
        )
        self.fail(
            item,
            "check_digit",
            f"{shape} IS NOT NULL AND substr({text}, 18, 1) <> {shape}",
            f"'校验位错误（应为 ' || {shape} || '）'",
            plain="",
        )
        self.fail(item, "legacy", old, "'旧注册号，已存入旧号列'", warn=True, plain="")

    def region(self, item: ItemCheck, text: str, value: str) -> None:
        """GB/T 2260 and longer statistical codes: digits, an allowed length, a known code."""
        self.out.typed[item.name] = self.out.plain_typed[item.name] = text
        parts = format_parts(item.format)
        low, high = parts.low or 2, parts.high or 12
        well = f"regexp_full_match({text}, '[0-9]+') AND length({text}) BETWEEN {low} AND {high}"
        span = f"{high}" if low == high else f"{low}–{high}"
        codes = [c.code if isinstance(c, DomainCode) else str(c) for c in item.domain or ()]
        longest = max((len(c) for c in codes), default=6)
        known = bool(codes) and all(
            c.isascii() and c.isdigit() and low <= len(c) <= high for c in codes
        )
        self.fail(
            item,
            "format",
            f"{text} IS NOT NULL AND NOT ({well})",
            f"{literal(f'应为 {span} 位数字的行政区划代码，实为')} || {_shown(text)}",
            # one of the codes is well formed; only what is longer than they are must be looked at
            plain=f"strlen({text}) > {longest} AND NOT ({well})" if known else None,
        )
        if item.domain is None:
            return
        probe = f"left(regexp_replace({text}, '(000000|000)$', ''), {longest})"
        probe = f"CASE WHEN length({text}) > 6 THEN {probe} ELSE {text} END"
        test = self.domain_test(item, probe, "domain", item.domain)
        when = "在该日期有效的" if item.domain_on else "曾用或现用的"
        self.fail(
            item,
            "domain",
            f"{text} IS NOT NULL AND {well} AND NOT ({test})",
            f"{_shown(text)} || '不是{when}行政区划代码'",
            plain=f"{text} IS NOT NULL AND NOT ({test})" if known else None,
        )


def compile_checks(
    items: Sequence[ItemCheck],
    rules: Sequence[RowRule] = (),
    *,
    key: Sequence[str] = (),
    excel: bool = False,
    today: datetime.date | None = None,
) -> Checked:
    """Compiles a dataset's items and rules; raises LakeError for a name or rule that is unsafe."""
    # The day of the city: in UTC a child born today would be refused until eight in the morning.
    day = today or datetime.datetime.now(CHINA).date()
    out = _Compiler(items, key, excel, day).compile()
    names = [c.name for c in out.columns()]
    for rule in rules:
        sql = vet_rule(rule, names)
        out.failures.append(
            Failure(
                rule.code,
                f"(TRY({sql}) IS FALSE)",
                literal(rule.title),
                warn=rule.severity != "reject",
            )
        )
    return out


def recheck(
    lake: Lake,
    name: str,
    items: Sequence[ItemCheck],
    rules: Sequence[RowRule] = (),
    *,
    key: Sequence[str] = (),
) -> tuple[int, dict[str, int]]:
    """Holds a dataset's accepted rows against today's items and rules, in one scan.

    Returns its rows and how many fail each check, those that none fails left out. Items that the
    table does not have yet are passed over.
    """
    with lake.connect(read_only=True) as con:
        have = table_columns(con, "trusted", valid_name(name))
        if not have:
            raise LakeError(f"数据集“{name}”还没有数据")
        known = [item for item in items if item.name in have]
        names = {c for c in have if not c.startswith("_")}
        usable = [r for r in rules if _names(r.sql) <= names]
        checks = compile_checks(known, usable, key=key)
        checks.prepare(con)
        codes, sql = checks.tally(f"lake.trusted.{quote(name)}")
        row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0]), {c: int(n) for c, n in zip(codes, row[1:], strict=True) if n}


def _names(sql: str) -> set[str]:
    return {column.name for column in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Column)}


# ---------------------------------------------------------------- vetting of pack rules

SAFE_FUNCTIONS = frozenset(
    [
        "abs",
        "ceil",
        "ceiling",
        "floor",
        "round",
        "sqrt",
        "ln",
        "log",
        "log10",
        "exp",
        "pow",
        "power",
        "mod",
        "greatest",
        "least",
        "sign",
        "trunc",
        "length",
        "len",
        "lower",
        "upper",
        "trim",
        "ltrim",
        "rtrim",
        "left",
        "right",
        "substr",
        "substring",
        "replace",
        "translate",
        "reverse",
        "concat",
        "concat_ws",
        "contains",
        "starts_with",
        "ends_with",
        "prefix",
        "suffix",
        "instr",
        "strpos",
        "position",
        "lpad",
        "rpad",
        "split_part",
        "regexp_matches",
        "regexp_full_match",
        "regexp_replace",
        "regexp_extract",
        "coalesce",
        "ifnull",
        "nullif",
        "strftime",
        "strptime",
        "try_strptime",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "quarter",
        "week",
        "dayofweek",
        "date_part",
        "date_diff",
        "datediff",
        "date_trunc",
        "make_date",
        "age",
        "today",
        "current_date",
        "if",
        "iff",
        "levenshtein",
        "jaro_winkler_similarity",
        "array_extract",
        "ascii",
        "unicode",
        "chr",
        "repeat",
        "isfinite",
        "isnan",
        "ceil",
        "bit_count",
        "hash",
        "md5",
        "list_contains",
        "string_split",
        "strip_accents",
        "printf",
        "format",
    ]
)
_FORBIDDEN = (
    exp.Subquery,
    exp.Select,
    exp.Window,
    exp.AggFunc,
    exp.Table,
    exp.Command,
    exp.Star,
    exp.Placeholder,
    exp.Parameter,
    exp.Lambda,
    exp.DDL,
    exp.DML,
)


def function_names(node: exp.Expression | exp.Func) -> set[str]:
    """The names a function node may go by, lower case."""
    if isinstance(node, exp.Anonymous):
        return {str(node.this).lower()}
    if not isinstance(node, exp.Func):
        return set()
    written = re.match(r"([A-Za-z_]\w*)\(", node.sql(dialect="duckdb"))
    names = {name.lower() for name in node.sql_names()}
    return names | ({written[1].lower()} if written else set())


def vet_rule(rule: RowRule, columns: Sequence[str]) -> str:
    """The rule's SQL, normalised, if it is one expression over `columns` and harmless functions."""
    if rule.severity not in ("reject", "warn"):
        raise LakeError(f"规则“{rule.code}”的级别只能是 reject 或 warn")
    try:
        parsed = sqlglot.parse(rule.sql, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise LakeError(f"规则“{rule.code}”的 SQL 无法解析：{error}") from error
    if len(parsed) != 1 or parsed[0] is None:
        raise LakeError(f"规则“{rule.code}”必须是一个表达式")
    tree = parsed[0]
    known = {c.lower() for c in columns}
    for node in tree.walk():
        if isinstance(node, _FORBIDDEN):
            raise LakeError(f"规则“{rule.code}”只能用本行的列，不能含查询、聚合或语句")
        if isinstance(node, exp.Column):
            if node.table or node.name.lower() not in known:
                raise LakeError(f"规则“{rule.code}”用到了数据集里没有的列“{node.sql()}”")
        elif isinstance(node, exp.Func) and not isinstance(
            node, exp.Cast | exp.TryCast | exp.Case | exp.If | exp.And | exp.Or | exp.Xor
        ):
            names = function_names(node)
            if not names & SAFE_FUNCTIONS and not isinstance(node, exp.Connector | exp.Binary):
                raise LakeError(f"规则“{rule.code}”用到了不允许的函数“{node.sql()[:60]}”")
    return f"({tree.sql(dialect='duckdb')})"
