"""Dialect: a pipeline's SQL, written once in DuckDB's dialect, as Spark understands the same.

SQLGlot carries syntax over; what the two engines *mean* differently is set right here: casts of
text, integer and real division, dates, regular expressions (RE2 and Java), arrays counted from
one, JSON, aggregates that skip NULL. A function whose meaning on Spark is not known to be the same
is refused, so that no pipeline gives another answer in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.spark import Spark

from ..check import citizen_check_digit, credit_check_digit, credit_parts
from ..digits import CREDIT_ALPHABET, FIRST_YEAR
from ..shelves import LakeError

ZONE = "Asia/Shanghai"
_INTEGERS = {
    exp.DataType.Type.TINYINT,
    exp.DataType.Type.SMALLINT,
    exp.DataType.Type.INT,
    exp.DataType.Type.BIGINT,
}
# functions that mean the same on both engines, by the name SQLGlot gives them on Spark
_SAME = frozenset(
    [
        "abs",
        "and",
        "array",
        "avg",
        "case",
        "cast",
        "ceil",
        "ceiling",
        "coalesce",
        "collect",
        "count",
        "concat",
        "concat_ws",
        "contains",
        "current_date",
        "current_timestamp",
        "date_format",
        "dense_rank",
        "endswith",
        "exp",
        "exists",
        "first_value",
        "floor",
        "greatest",
        "if",
        "ifnull",
        "in",
        "is",
        "lag",
        "last_value",
        "lead",
        "least",
        "left",
        "length",
        "listagg",
        "ln",
        "locate",
        "lower",
        "lpad",
        "max",
        "max_by",
        "md5",
        "min",
        "min_by",
        "nullif",
        "octet_length",
        "or",
        "replace",
        "reverse",
        "right",
        "round",
        "row_number",
        "rank",
        "rpad",
        "sign",
        "split_part",
        "sqrt",
        "startswith",
        "substr",
        "substring",
        "sum",
        "translate",
        "trim",
        "try_cast",
        "upper",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "chr",
        "ascii",
        "repeat",
        "power",
        "pow",
        "stddev_samp",
        "bool_or",
        "bool_and",
        "some",
        "every",
        "any",
        "any_value",
        "mod",
        "xor",
        "isnan",
        "explode",
        "trunc",
        "date_trunc",
        "hex",
        "not",
        "between",
        "like",
        "distinct",
        "over",
        "filter",
        "ntile",
        "min",
        "max",
        "string_agg",
        "count_if",
    ]
)
_PARTS = {"year": "YEAR", "month": "MONTH", "day": "DAY", "hour": "HOUR", "minute": "MINUTE"}
_STRFTIME = {
    "Y": r"([0-9]{1,4})",
    "m": r"([0-9]{1,2})",
    "d": r"([0-9]{1,2})",
    "H": r"([0-9]{1,2})",
    "M": r"([0-9]{1,2})",
    "S": r"([0-9]{1,2})",
    "f": r"([0-9]{1,6})",
}
# Java also reads digits of other scripts
_ASCII = r"\A[ -~\t\n\r]*\z"
_RE_SPACE = r"\t\n\f\r "


class _FromOne(DuckDB):
    """DuckDB's dialect with places left as written: SQLGlot moves only those it knows as numbers."""

    INDEX_OFFSET = 0


class Untranslatable(LakeError):
    """A piece of SQL that Spark would answer differently, or not at all."""


def java_regex(pattern: str) -> str:
    """An RE2 pattern (DuckDB's) as a Java one (Spark's) that matches the same texts."""
    out: list[str] = []
    inside = False
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\" and index + 1 < len(pattern):
            follower = pattern[index + 1]
            if follower == "s":
                out.append(_RE_SPACE if inside else f"[{_RE_SPACE}]")
            elif follower == "S":
                if inside:
                    raise Untranslatable(f"正则表达式“{pattern}”无法在 Spark 上照样解释")
                out.append(f"[^{_RE_SPACE}]")
            elif follower in "CQpP":
                raise Untranslatable(f"正则表达式“{pattern}”无法在 Spark 上照样解释")
            else:
                out.append(char + follower)
            index += 2
            continue
        if inside:
            if char == "[":
                found = re.match(r"\[:(\w+):\]", pattern[index:])
                if found:
                    out.append(f"\\p{{{found[1].capitalize()}}}")
                    index += found.end()
                    continue
                char = "\\["
            elif char == "&":
                char = "\\&"
            elif char == "]":
                inside = False
        elif char == "[":
            inside = True
            out.append(char)
            index += 1
            if pattern[index : index + 1] == "^":
                out.append("^")
                index += 1
            if pattern[index : index + 1] == "]":
                out.append("\\]")
                index += 1
            continue
        elif char == "$":
            char = "\\z"
        elif char == ".":
            char = "[^\\n]"
        out.append(char)
        index += 1
    return "".join(out)


def strptime_regex(form: str) -> tuple[str, str]:
    """A strptime format as a Java regex of the texts it reads, and their ISO spelling ($n)."""
    places: dict[str, int] = {}
    pattern = ""
    index = 0
    while index < len(form):
        if form[index] == "%":
            letter = form[index + 1 : index + 2]
            if letter not in _STRFTIME or letter in places:
                raise Untranslatable(f"日期格式“{form}”无法在 Spark 上解释")
            places[letter] = len(places) + 1
            pattern += _STRFTIME[letter]
            index += 2
            continue
        # DuckDB reads one space of a format as any number of them
        pattern += r"\s+" if form[index] == " " else re.escape(form[index])
        index += 1

    def at(letter: str, otherwise: str) -> str:
        return f"${{{letter}}}" if letter in places else otherwise

    iso = f"{at('Y', '1900')}-{at('m', '1')}-{at('d', '1')} {at('H', '0')}:{at('M', '0')}:{at('S', '0')}"
    if "f" in places:
        iso += f".{at('f', '0')}"
    for letter, place in places.items():
        iso = iso.replace(f"${{{letter}}}", f"${place}")
    return rf"\A\s*{pattern}\s*\z", iso


def _text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def _call(name: str, *arguments: exp.Expr | str | int) -> exp.Anonymous:
    made = [
        a
        if isinstance(a, exp.Expr)
        else (exp.Literal.number(a) if isinstance(a, int) else _text(a))
        for a in arguments
    ]
    return exp.Anonymous(this=name, expressions=made)


def _cast(node: exp.Expr, kind: str, *, try_: bool = False) -> exp.Expr:
    made = exp.DataType.build(kind, dialect="spark")
    return _as(node, made, try_)


def _as(value: exp.Expr, kind: exp.DataType, try_: bool) -> exp.Expr:
    return exp.TryCast(this=value, to=kind, safe=True) if try_ else exp.Cast(this=value, to=kind)


def _like(text: exp.Expr, pattern: str) -> exp.Expr:
    return exp.RegexpLike(this=text.copy(), expression=_text(pattern))


def _given(value: exp.Expr) -> exp.Expr:
    return exp.not_(exp.Is(this=exp.Paren(this=value.copy()), expression=exp.null()))


def _when(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition, true=value)])


def _literal(node: exp.Expr | None) -> str | None:
    return node.name if isinstance(node, exp.Literal) and node.is_string else None


def _integral(node: exp.Expr) -> bool:
    """Whether an expression is known to have a whole number for a value."""
    if isinstance(node, exp.Paren | exp.Neg):
        return _integral(node.this)
    if isinstance(node, exp.Literal):
        return not node.is_string and node.name.isdigit()
    if isinstance(
        node,
        exp.IntDiv
        | exp.BitwiseAnd
        | exp.BitwiseRightShift
        | exp.BitwiseLeftShift
        | exp.Floor
        | exp.Ceil
        | exp.Length
        | exp.StrPosition
        | exp.Year
        | exp.Count,
    ):
        return True
    if isinstance(node, exp.Round):
        return node.args.get("decimals") is None
    if isinstance(node, exp.Mod):
        return _integral(node.this)
    if isinstance(node, exp.Add | exp.Sub | exp.Mul):
        return _integral(node.left) and _integral(node.right)
    if isinstance(node, exp.Cast):
        return node.to.this in _INTEGERS
    if isinstance(node, exp.Bracket):
        return isinstance(node.this, exp.Array) and all(_whole(e) for e in node.this.expressions)
    return False


def _whole(node: exp.Expr) -> bool:
    return _integral(node)


class _Rewriter:
    """One pass over a tree, leaves first; `trying` is how many TRY() are around a node."""

    def rewrite(self, node: exp.Expr, trying: bool = False) -> exp.Expr:
        if isinstance(node, exp.Try):
            return self._try(node)
        for key, value in list(node.args.items()):
            if isinstance(value, exp.Expr):
                node.set(key, self.rewrite(value, trying))
            elif isinstance(value, list):
                node.set(
                    key,
                    [self.rewrite(v, trying) if isinstance(v, exp.Expr) else v for v in value],
                )
        method = getattr(self, "on_" + type(node).__name__.lower(), None)
        if method is None:
            return node
        made = method(node, trying)
        return made if made is not None else node

    # ------------------------------------------------------------ casts

    def _try(self, node: exp.Try) -> exp.Expr:
        """TRY(x): NULL as a whole where any cast in it fails that no CASE keeps from running."""
        failing: list[exp.Expr] = []
        for cast in node.find_all(exp.Cast):
            if isinstance(cast, exp.TryCast) or cast.to.this in exp.DataType.TEXT_TYPES:
                continue
            if isinstance(cast.this, exp.Literal) or cast.find_ancestor(exp.Case, exp.Coalesce):
                continue
            tried = self.rewrite(_as(cast.this.copy(), cast.to.copy(), True), True)
            given = exp.Not(
                this=exp.Is(this=self.rewrite(cast.this.copy(), True), expression=exp.null())
            )
            failing.append(
                exp.And(this=given, expression=exp.Is(this=tried, expression=exp.null()))
            )
        value = self.rewrite(node.this, True)
        if not failing:
            return exp.Paren(this=value)
        return exp.Case(
            ifs=[exp.If(this=exp.Paren(this=f), true=exp.null()) for f in failing], default=value
        )

    def on_cast(self, node: exp.Cast, trying: bool) -> exp.Expr:
        return self._cast(node, trying)

    def on_trycast(self, node: exp.TryCast, trying: bool) -> exp.Expr:
        return self._cast(node, True)

    def _cast(self, node: exp.Cast, trying: bool) -> exp.Expr:
        value, kind = node.this, node.to
        types = exp.DataType.Type
        if kind.this in (types.UBIGINT, types.UINT128, types.INT128, types.UINT256, types.INT256):
            node.set("to", exp.DataType.build("DECIMAL(38,0)"))
            return _as(value, node.to, trying)
        if kind.this in (types.TIMESTAMPTZ, types.TIMESTAMPLTZ):
            node.set("to", exp.DataType(this=types.TIMESTAMPLTZ))
            return _as(value, node.to, trying)
        if kind.this in _INTEGERS:
            shown = self._hex(value)
            if shown is not None:
                return shown
            if _integral(value):
                return _as(value, kind, trying)
            # DuckDB rounds to the nearest whole number, Spark cuts or refuses
            number = _call("ROUND", _cast(value.copy(), "DECIMAL(38,6)", try_=trying))
            made = _as(number, kind, trying)
            return _when(_like(_cast(value, "STRING"), _ASCII), made) if trying else made
        if not trying:
            return node
        if kind.this == types.DECIMAL:
            return _when(_like(_cast(value.copy(), "STRING"), _ASCII), _as(value, kind, True))
        if kind.this == types.DATE and not isinstance(value, exp.Literal):
            return self._date(value)
        if kind.this in (types.TIMESTAMP, types.TIMESTAMPNTZ) and not isinstance(
            value, exp.Literal
        ):
            return self._timestamp(value)
        if kind.this in (types.DOUBLE, types.FLOAT):
            # Java also reads 1d and 1f
            odd = exp.RegexpLike(this=_cast(value.copy(), "STRING"), expression=_text("[dDfF]\\z"))
            return exp.Case(ifs=[exp.If(this=exp.not_(odd), true=_as(value, kind, True))])
        return _as(value, kind, True)

    @staticmethod
    def _hex(value: exp.Expr) -> exp.Expr | None:
        """'0x' || hex(…) as a number; NULL beyond seven bytes."""
        if not isinstance(value, exp.DPipe | exp.Concat):
            return None
        parts = [value.this, value.expression] if isinstance(value, exp.DPipe) else []
        plain = [p.this if isinstance(p, exp.Cast) else p for p in parts]
        if len(plain) != 2 or _literal(plain[0]) != "0x":
            return None
        digits = plain[1]
        short = exp.LTE(this=_call("LENGTH", digits.copy()), expression=exp.Literal.number(14))
        number = _cast(_call("CONV", digits, 16, 10), "BIGINT")
        return exp.Case(ifs=[exp.If(this=short, true=number)])

    @staticmethod
    def _date(value: exp.Expr) -> exp.Expr:
        """Text as DuckDB reads a date: year, month, day with one separator, anything behind."""
        text = _cast(value, "STRING")
        seps = ("-", "/", r"\\", " ")
        shapes = "|".join(f"[0-9]{{1,6}}{s}[0-9]{{1,2}}{s}[0-9]{{1,2}}" for s in seps)
        shape = rf"\A\s*({shapes})([^0-9][\s\S]*)?\z"
        cut = r"\A\s*([0-9]{1,6})[^0-9]([0-9]{1,2})[^0-9]([0-9]{1,2})"
        year, month, day = (_call("REGEXP_EXTRACT", text.copy(), cut, n) for n in (1, 2, 3))
        four = exp.Greatest(this=exp.Literal.number(4), expressions=[_call("LENGTH", year.copy())])
        iso = _call("CONCAT", _call("LPAD", year, four, "0"), "-", month, "-", day)
        return _when(_like(text, shape), _cast(iso, "DATE", try_=True))

    @staticmethod
    def _timestamp(value: exp.Expr) -> exp.Expr:
        """Text as DuckDB reads a timestamp; 24:00:00 is the next day's first moment."""
        text = _cast(value, "STRING")
        shape = (
            r"\A\s*[0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}"
            r"([ T]+[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?)?\s*\z"
        )
        midnight = r"[ T]24:00:00\s*\z"
        before = _call("REGEXP_REPLACE", text.copy(), midnight, "")
        day = _cast(_cast(before, "DATE", try_=True), "TIMESTAMP_NTZ")
        next_day = exp.Add(this=day, expression=_call("MAKE_DT_INTERVAL", 1))
        short = _call("REGEXP_REPLACE", text.copy(), "([.][0-9]{6})[0-9]+", "$1")
        read = _when(_like(text, shape), _cast(short, "TIMESTAMP_NTZ", try_=True))
        assert isinstance(read, exp.Case)
        read.args["ifs"].insert(0, exp.If(this=_like(text, midnight), true=next_day))
        return read

    # ------------------------------------------------------------ numbers

    def on_div(self, node: exp.Div, trying: bool) -> exp.Expr:
        above, below = _cast(node.left, "DOUBLE"), _cast(node.right, "DOUBLE")
        plain = exp.Div(this=above, expression=below)
        if isinstance(node.right, exp.Literal) and float(node.right.name) != 0:
            return exp.Paren(this=plain)
        zero = exp.Literal.number(0)
        sign = exp.Case(
            ifs=[
                exp.If(this=exp.GT(this=above.copy(), expression=zero.copy()), true=_cast(_text("Infinity"), "DOUBLE")),
                exp.If(this=exp.LT(this=above.copy(), expression=zero.copy()), true=_cast(_text("-Infinity"), "DOUBLE")),
                exp.If(this=exp.EQ(this=above.copy(), expression=zero.copy()), true=_cast(_text("NaN"), "DOUBLE")),
            ]
        )  # fmt: skip
        return exp.Case(
            ifs=[exp.If(this=exp.EQ(this=below.copy(), expression=zero.copy()), true=sign)],
            default=plain,
        )

    def on_intdiv(self, node: exp.IntDiv, trying: bool) -> None:
        self._not_zero(node)

    def on_mod(self, node: exp.Mod, trying: bool) -> None:
        self._not_zero(node)

    @staticmethod
    def _not_zero(node: exp.Binary) -> None:
        """x // 0 and x % 0 are NULL in DuckDB; strict Spark raises."""
        if not isinstance(node.right, exp.Literal):
            node.set("expression", _call("NULLIF", node.right, 0))

    def on_add(self, node: exp.Add, trying: bool) -> exp.Expr | None:
        return _call("TRY_ADD", node.left, node.right) if trying else None

    def on_sub(self, node: exp.Sub, trying: bool) -> exp.Expr | None:
        return _call("TRY_SUBTRACT", node.left, node.right) if trying else None

    def on_mul(self, node: exp.Mul, trying: bool) -> exp.Expr | None:
        return _call("TRY_MULTIPLY", node.left, node.right) if trying else None

    # ------------------------------------------------------------ text

    def on_regexpfullmatch(self, node: exp.RegexpFullMatch, trying: bool) -> exp.Expr:
        pattern = self._pattern(node.expression)
        return exp.RegexpLike(this=node.this, expression=_text(rf"\A(?:{pattern})\z"))

    def on_regexplike(self, node: exp.RegexpLike, trying: bool) -> exp.Expr:
        return exp.RegexpLike(this=node.this, expression=_text(self._pattern(node.expression)))

    def on_regexpreplace(self, node: exp.RegexpReplace, trying: bool) -> exp.Expr:
        pattern = _literal(node.expression) or ""
        modifiers = _literal(node.args.get("modifiers")) or ""
        single = node.args.get("single_replace")
        everywhere = "g" in modifiers or (single is not None and not single)
        anchored = pattern.startswith("^") or pattern.endswith("$")
        if not everywhere and not anchored:
            raise Untranslatable(f"regexp_replace（{pattern}）只替换第一处，Spark 没有对应写法")
        replacement = _literal(node.args.get("replacement"))
        if replacement is None:
            raise Untranslatable("regexp_replace 的替换文本必须是常量")
        replacement = re.sub(r"\\(\d)", r"$\1", replacement.replace("$", "\\$"))
        return _call("REGEXP_REPLACE", node.this, self._pattern(node.expression), replacement)

    def on_regexpextract(self, node: exp.RegexpExtract, trying: bool) -> exp.Expr:
        group = node.args.get("group")
        index = int(group.name) if isinstance(group, exp.Literal) else 0
        return _call("REGEXP_EXTRACT", node.this, self._pattern(node.expression), index)

    @staticmethod
    def _pattern(node: exp.Expr | None) -> str:
        pattern = _literal(node)
        if pattern is None:
            raise Untranslatable("正则表达式必须是常量")
        return java_regex(pattern)

    def on_dpipe(self, node: exp.DPipe, trying: bool) -> None:
        for key in ("this", "expression"):
            side = node.args[key]
            if not isinstance(side, exp.Literal | exp.DPipe | exp.Paren | exp.Cast):
                node.set(key, _cast(side, "STRING"))

    def on_concat(self, node: exp.Concat, trying: bool) -> exp.Expr:
        parts = [
            e
            if isinstance(e, exp.Literal) and e.is_string
            else _call("COALESCE", _cast(e, "STRING"), "")
            for e in node.expressions
        ]
        return _call("CONCAT", *parts)

    def on_trim(self, node: exp.Trim, trying: bool) -> None:
        if node.args.get("expression") is None:
            node.set("expression", _text(" "))

    def on_substring(self, node: exp.Substring, trying: bool) -> exp.Expr | None:
        start = node.args.get("start")
        if start is not None and not isinstance(start, exp.Literal | exp.Neg):
            # Sail takes a NULL place for the first
            return _when(_given(start), node.copy())
        if isinstance(start, exp.Neg) or (isinstance(start, exp.Literal) and start.name == "0"):
            raise Untranslatable("substr 的起点须从 1 数起")
        return None

    def on_left(self, node: exp.Left, trying: bool) -> None:
        if isinstance(node.expression, exp.Neg):
            raise Untranslatable("left 与 right 的长度不能为负")

    on_right = on_left

    # ------------------------------------------------------------ lists

    def on_bracket(self, node: exp.Bracket, trying: bool) -> exp.Expr:
        index = node.expressions[0]
        if isinstance(index, exp.Slice):
            start, end = index.this, index.expression
            if start is None or not isinstance(start, exp.Literal):
                raise Untranslatable("片段 x[a:b] 的起点须是常量")
            if end is None:
                return _call("SUBSTR", node.this, start)
            if not isinstance(end, exp.Literal):
                raise Untranslatable("片段 x[a:b] 的终点须是常量")
            return _call("SUBSTR", node.this, start, int(end.name) - int(start.name) + 1)
        if isinstance(index, exp.Literal) and index.is_int:
            return _call("GET", node.this, int(index.name) - 1)
        one = exp.Literal.number(1)
        place = exp.Sub(this=exp.Paren(this=index), expression=one)
        return _when(_given(index), _call("GET", node.this, _cast(place, "INT")))

    def on_arraydistinct(self, node: exp.ArrayDistinct, trying: bool) -> exp.Expr:
        return _call("ARRAY_DISTINCT", _call("ARRAY_COMPACT", node.this))

    def on_length(self, node: exp.Length, trying: bool) -> exp.Expr | None:
        if _is_list(node.this):
            return _call("SIZE", node.this)
        return None

    def on_arrayfilter(self, node: exp.ArrayFilter, trying: bool) -> exp.Expr:
        body = node.expression
        inner = body.this if isinstance(body, exp.Lambda) else None
        if isinstance(inner, exp.Not) and isinstance(inner.this, exp.Is):
            return _call("ARRAY_COMPACT", node.this)
        raise Untranslatable("列表过滤只能去掉空值")

    def on_arrayconcat(self, node: exp.ArrayConcat, trying: bool) -> exp.Expr:
        return _call("CONCAT", node.this, *node.expressions)

    def on_arraycontains(self, node: exp.ArrayContains, trying: bool) -> exp.Expr:
        """NULL is in no list (strict Spark says NULL, DuckDB says no)."""
        if isinstance(node.this, exp.Array) and all(
            isinstance(e, exp.Literal) for e in node.this.expressions
        ):
            return exp.In(this=node.expression, expressions=node.this.expressions)
        return _call("ARRAY_CONTAINS", node.this, node.expression)

    # ------------------------------------------------------------ aggregates, rows, JSON

    def on_tuple(self, node: exp.Tuple, trying: bool) -> exp.Expr | None:
        if isinstance(node.parent, exp.In | exp.Values):
            return None
        return _call("STRUCT", *node.expressions)

    def on_ignorenulls(self, node: exp.IgnoreNulls, trying: bool) -> exp.Expr | None:
        if isinstance(node.this, exp.AnyValue):
            return _call("ANY_VALUE", node.this.this, exp.true())
        return None

    def on_jsonobject(self, node: exp.JSONObject, trying: bool) -> exp.Expr:
        parts: list[exp.Expr] = []
        for pair in node.expressions:
            parts += [pair.this, pair.expression]
        made = _call("NAMED_STRUCT", *parts)
        above = node.parent
        while isinstance(above, exp.Case | exp.If | exp.Paren):
            above = above.parent
        if isinstance(above, exp.JSONKeyValue):
            return made
        return _call("TO_JSON", made, _call("MAP", "ignoreNullFields", "false"))

    # ------------------------------------------------------------ dates and the rest

    def on_datediff(self, node: exp.DateDiff, trying: bool) -> exp.Expr:
        unit = (node.text("unit") or "day").lower()
        late, early = node.this, node.expression
        if unit == "day":
            return _call("DATEDIFF", _cast(late, "DATE"), _cast(early, "DATE"))
        years = exp.Sub(this=_call("YEAR", late), expression=_call("YEAR", early))
        if unit == "year":
            return exp.Paren(this=_cast(exp.Paren(this=years), "BIGINT"))
        if unit == "month":
            months = exp.Sub(
                this=_call("MONTH", late.copy()), expression=_call("MONTH", early.copy())
            )
            twelve = exp.Mul(this=exp.Paren(this=years), expression=exp.Literal.number(12))
            return exp.Paren(this=exp.Add(this=twelve, expression=exp.Paren(this=months)))
        raise Untranslatable(f"date_diff 的单位“{unit}”无法在 Spark 上照样计算")

    def on_timestampltz(self, node: exp.Expr, trying: bool) -> None:
        return None

    def on_attimezone(self, node: exp.AtTimeZone, trying: bool) -> exp.Expr:
        zone = _literal(node.args.get("zone"))
        if zone != ZONE:
            raise Untranslatable(f"时区只能是 {ZONE}")
        return exp.Cast(this=node.this, to=exp.DataType(this=exp.DataType.Type.TIMESTAMPNTZ))

    def on_todays(self, node: exp.ToDays, trying: bool) -> exp.Expr:
        return _call("MAKE_DT_INTERVAL", _cast(node.this, "INT"))

    def on_anonymous(self, node: exp.Anonymous, trying: bool) -> exp.Expr | None:
        name = str(node.this).lower()
        method: Callable[[Sequence[exp.Expr]], exp.Expr] | None = getattr(self, "fn_" + name, None)
        return method(node.expressions) if method else None

    def fn_strlen(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return _call("OCTET_LENGTH", *arguments)

    def fn_isfinite(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        value = _cast(arguments[0], "DOUBLE")
        bound = exp.LT(this=exp.Abs(this=value), expression=_cast(_text("Infinity"), "DOUBLE"))
        return exp.Paren(this=bound)

    def fn_isnan(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return _call("ISNAN", *arguments)

    def fn_to_seconds(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return _call("MAKE_DT_INTERVAL", 0, 0, 0, arguments[0])

    def fn_try_strptime(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        value, forms = arguments
        listed = forms.expressions if isinstance(forms, exp.Array) else [forms]
        ifs = []
        for one in listed:
            form = _literal(one)
            if form is None:
                raise Untranslatable("日期格式必须是常量")
            shape, iso = strptime_regex(form)
            text = _cast(value.copy(), "STRING")
            spelt: exp.Expr = _call("REGEXP_REPLACE", text, shape, iso)
            if "%Y" in form:
                # years of fewer than four digits
                spelt = _call("REGEXP_REPLACE", spelt, r"\A([0-9]{1,3})-", "000$1-")
                spelt = _call("REGEXP_REPLACE", spelt, r"\A0*([0-9]{4})-", "$1-")
            ifs.append(
                exp.Case(
                    ifs=[
                        exp.If(
                            this=exp.RegexpLike(this=text.copy(), expression=_text(shape)),
                            true=_cast(spelt, "TIMESTAMP_NTZ", try_=True),
                        )
                    ]
                )
            )
        return ifs[0] if len(ifs) == 1 else _call("COALESCE", *ifs)

    def fn_date_part(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        part = (_literal(arguments[0]) or "").lower()
        if part not in _PARTS:
            raise Untranslatable(f"date_part 的“{part}”无法在 Spark 上照样计算")
        return _call(_PARTS[part], arguments[1])

    def fn_citizen_numbers_ok(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        """What `digits.citizen_numbers_ok` says quickly here, in the SQL that defines it."""
        text = arguments[0].sql(dialect=DuckDB)
        digits = citizen_check_digit(f"CAST(substr({text}, 1, 17) AS BIGINT)")
        return self._said(
            f"CASE WHEN regexp_full_match({text}, '[1-9][0-9]{{16}}[0-9X]') THEN "
            f"substr({text}, 18, 1) = {digits} AND substr({text}, 7, 4) >= '{FIRST_YEAR}' AND "
            f"TRY_STRPTIME(substr({text}, 7, 8), '%Y%m%d') IS NOT NULL ELSE FALSE END"
        )

    def fn_credit_codes_ok(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        """What `digits.credit_codes_ok` says quickly here, in the SQL that defines it."""
        text = arguments[0].sql(dialect=DuckDB)
        good = f"[{CREDIT_ALPHABET}]"
        digit = credit_check_digit(**credit_parts(text))
        return self._said(
            f"CASE WHEN regexp_full_match({text}, '{good}{{2}}[0-9]{{6}}{good}{{10}}') "
            f"THEN substr({text}, 18, 1) = {digit} ELSE FALSE END"
        )

    def _said(self, sql: str) -> exp.Expr:
        return exp.Paren(this=self.rewrite(sqlglot.parse_one(sql, read=_FromOne)))

    def fn_array_extract(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return _call("SUBSTR", arguments[0], arguments[1], 1)

    def fn_prefix(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return _call("STARTSWITH", *arguments)

    def fn_suffix(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return _call("ENDSWITH", *arguments)


def _is_list(node: exp.Expr) -> bool:
    if isinstance(node, exp.Array | exp.ArrayFilter | exp.ArrayConcat | exp.ArrayDistinct):
        return True
    return isinstance(node, exp.Anonymous) and str(node.this).upper() in (
        "ARRAY_DISTINCT",
        "ARRAY_COMPACT",
        "ARRAY",
    )


_MADE = frozenset(
    [
        "try_add",
        "try_subtract",
        "try_multiply",
        "conv",
        "length",
        "round",
        "lpad",
        "concat",
        "regexp_extract",
        "regexp_replace",
        "coalesce",
        "nullif",
        "get",
        "substr",
        "array_distinct",
        "array_compact",
        "size",
        "array_contains",
        "struct",
        "any_value",
        "named_struct",
        "to_json",
        "map",
        "datediff",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "make_dt_interval",
        "octet_length",
        "isnan",
        "startswith",
        "endswith",
        "reverse",
    ]
)


def _inline(node: exp.In, listed: Callable[[exp.Table], list[str] | None]) -> None:
    """x IN (SELECT code FROM a_short_list) with the codes written out."""
    query = node.args.get("query")
    chosen = query.this if isinstance(query, exp.Subquery) else query
    if not isinstance(chosen, exp.Select) or len(chosen.expressions) != 1:
        return
    if {k for k, v in chosen.args.items() if v} - {"expressions", "from", "from_", "kind"}:
        return
    source = chosen.find(exp.Table)
    column = chosen.expressions[0]
    if source is None or not isinstance(column, exp.Column) or column.name != "code":
        return
    values = listed(source)
    if values:
        node.set("query", None)
        node.set("expressions", [_text(v) for v in values])


def _vet(tree: exp.Expr) -> None:
    """Refuses every function that is not known to mean the same."""
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            name = str(node.this).lower()
            if name not in _MADE and name not in _SAME:
                raise Untranslatable(f"函数“{name}”在 Spark 上没有相同含义的写法")
        elif isinstance(node, exp.Func) and not isinstance(node, exp.Connector | exp.Binary):
            names = {n.lower() for n in node.sql_names()}
            written = re.match(r"([A-Za-z_]\w*)\(", node.sql(dialect="spark"))
            if written:
                names.add(written[1].lower())
            if not names & _SAME:
                raise Untranslatable(f"函数“{min(names)}”在 Spark 上没有相同含义的写法")


def to_spark(
    sql: str,
    place: Callable[[exp.Table], str] | None = None,
    listed: Callable[[exp.Table], list[str] | None] | None = None,
) -> str:
    """A DuckDB query as Spark SQL for strict (ANSI) mode and time zone Asia/Shanghai.

    `place` gives the Spark name of each table read (not of CTEs). `listed` gives the values of a
    short list (a table of which one column is selected), which then stand in the statement: not
    every engine has a subquery wherever DuckDB has one. Raises Untranslatable.
    """
    try:
        tree = sqlglot.parse_one(sql, read=_FromOne)
    except sqlglot.errors.SqlglotError as error:
        raise Untranslatable(f"SQL 无法解析：{error}") from error
    if listed is not None:
        for node in list(tree.find_all(exp.In)):
            _inline(node, listed)
    if place is not None:
        known = {cte.alias for cte in tree.find_all(exp.CTE)}
        for table in list(tree.find_all(exp.Table)):
            if (not table.db and table.name in known) or not isinstance(table.this, exp.Identifier):
                continue
            alias = table.alias or table.name
            table.set("this", exp.to_identifier(place(table), quoted=True))
            table.set("db", None)
            table.set("catalog", None)
            if not table.args.get("alias"):
                table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    tree = _Rewriter().rewrite(tree)
    _vet(tree)
    return str(tree.sql(dialect=Spark))
