"""S-FEEL: the simple expressions and unary tests of DMN 1.3 (§9), parsed by us and walked by us.

Values are three-valued where DMN has null; a text is limited in length and depth; nothing but the
functions named here can be called.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from . import values
from .functions import FUNCTIONS
from .values import Months

LONGEST = 4000
DEEPEST = 60


class BadFeel(Exception):
    """Text that is not S-FEEL; the message says where."""


Node = tuple[Any, ...]
Scope = Mapping[str, Any]

_NUMBER = re.compile(r"(\d{1,34}(\.\d{1,34})?|\.\d{1,34})([eE][+-]?\d{1,4})?")
_WORD = re.compile(r"[^\W\d][\w·]*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}
_KEYWORDS = {"and", "or", "between", "in", "true", "false", "null", "not"}


def _text(raw: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1][0] == "u" and len(match[1]) == 5:
            return chr(int(match[1][1:], 16))
        return _ESCAPES.get(match[1], match[0])

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", one, raw)


class _Parser:
    """Recursive descent over one text; `names` are the names with spaces that it may use."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        if len(text) > LONGEST:
            raise BadFeel("表达式过长")
        self.text, self.at, self.deep = text, 0, 0
        self.names = sorted((n for n in (*names, *FUNCTIONS) if not n.isidentifier()), key=len)
        self.names.reverse()

    def fail(self, what: str) -> BadFeel:
        return BadFeel(f"“{self.text}”第 {self.at + 1} 个字处：{what}")

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def take(self, *marks: str) -> str:
        """The first of the marks that stands here (words end where words end), or nothing."""
        self.space()
        for mark in marks:
            end = self.at + len(mark)
            if self.text.startswith(mark, self.at) and not (
                mark[-1].isalnum() and end < len(self.text) and _WORD.match(self.text[end])
            ):
                self.at = end
                return mark
        return ""

    def need(self, mark: str) -> None:
        if not self.take(mark):
            raise self.fail(f"此处应为 {mark}")

    def end(self) -> None:
        self.space()
        if self.at < len(self.text):
            raise self.fail("多余的内容")

    def deeper(self, parse: Callable[[], Node]) -> Node:
        self.deep += 1
        if self.deep > DEEPEST:
            raise BadFeel("表达式嵌套过深")
        try:
            return parse()
        finally:
            self.deep -= 1

    def expression(self) -> Node:
        return self.deeper(self._or)

    def _or(self) -> Node:
        left = self._and()
        while self.take("or"):
            left = ("or", left, self._and())
        return left

    def _and(self) -> Node:
        left = self._comparison()
        while self.take("and"):
            left = ("and", left, self._comparison())
        return left

    def _comparison(self) -> Node:
        left = self._sum()
        operator = self.take("<=", ">=", "!=", "=", "<", ">")
        if operator:
            return ("compare", operator, left, self._sum())
        if self.take("between"):
            low = self._sum()
            self.need("and")
            return ("between", left, low, self._sum())
        if self.take("in"):
            interval = self._interval()
            if interval is not None:
                return ("in", left, ("tests", (interval,)))
            if self.take("("):
                tests = self.tests()
                self.need(")")
                return ("in", left, tests)
            return ("in", left, ("tests", (self._test(),)))
        return left

    def _sum(self) -> Node:
        left = self._product()
        while operator := self.take("+", "-"):
            left = ("add", 1 if operator == "+" else -1, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._power()
        while True:
            self.space()
            if self.text.startswith("**", self.at) or not (operator := self.take("*", "/")):
                return left
            left = ("multiply", operator, left, self._power())

    def _power(self) -> Node:
        left = self._unary()
        while self.take("**"):
            left = ("multiply", "**", left, self._unary())
        return left

    def _unary(self) -> Node:
        if self.take("-"):
            return ("negative", self.deeper(self._unary))
        node = self._primary()
        while True:
            self.space()
            if self.text.startswith("..", self.at) or not self.take("."):
                return node
            node = ("path", node, self._name())

    def _name(self) -> str:
        self.space()
        for name in self.names:
            if self.text.startswith(name, self.at):
                end = self.at + len(name)
                if end == len(self.text) or not (self.text[end].isalnum() or self.text[end] == "_"):
                    self.at = end
                    return name
        found = _WORD.match(self.text, self.at)
        if found is None or found[0] in _KEYWORDS - {"not"}:
            raise self.fail("此处应为名称或值")
        self.at = found.end()
        return found[0]

    def _primary(self) -> Node:
        self.space()
        if found := _NUMBER.match(self.text, self.at):
            self.at = found.end()
            return ("value", values.number(found[0]))
        if found := _STRING.match(self.text, self.at):
            self.at = found.end()
            return ("value", _text(found[1]))
        if self.take("@"):
            literal = _STRING.match(self.text, self.at)
            if literal is None:
                raise self.fail("@ 之后应为引号中的日期、时间或时长")
            self.at = literal.end()
            return ("value", _literal(literal[1]))
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.take(word):
                return ("value", value)
        if self.take("?"):
            return ("input",)
        interval = self._interval()
        if interval is not None:
            return interval
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner
        if self.take("["):
            return ("list", tuple(self._arguments("]")))
        name = self._name()
        if self.take("("):
            return ("call", name, tuple(self._arguments(")")))
        return ("name", name)

    def _arguments(self, close: str) -> list[Node]:
        found: list[Node] = []
        if self.take(close):
            return found
        while True:
            found.append(self.expression())
            if self.take(close):
                return found
            self.need(",")

    def _interval(self) -> Node | None:
        """`[1..5)` and its kin, or None where the bracket is something else."""
        start = self.at
        opening = self.take("[", "(", "]")
        if not opening:
            return None
        try:
            low = self.deeper(self._sum)
            if not self.take(".."):
                raise BadFeel("no interval")
            high = self.deeper(self._sum)
            closing = self.take("]", ")", "[")
            if not closing:
                raise self.fail("区间没有结束")
        except BadFeel as error:
            if opening == "]" or "区间" in str(error) or "过深" in str(error):
                raise
            self.at = start
            return None
        return ("interval", opening == "[", low, high, closing == "]")

    def tests(self) -> Node:
        """Unary tests, divided by commas."""
        found = [self._test()]
        while self.take(","):
            found.append(self._test())
        return ("tests", tuple(found))

    def _test(self) -> Node:
        operator = self.take("<=", ">=", "!=", "<", ">", "=")
        if operator:
            return ("operator", operator, self._sum())
        return self.expression()

    def unary_tests(self) -> Node:
        """The whole content of an input cell: `-`, `not(…)` or tests."""
        self.space()
        if self.text[self.at :].strip() in ("-", ""):
            self.at = len(self.text)
            return ("any",)
        start = self.at
        if self.take("not"):
            self.need("(")
            inner = self.tests()
            self.need(")")
            self.space()
            if self.at == len(self.text):
                return ("none of", inner)
            self.at = start
        return self.tests()


def _literal(text: str) -> Any:
    for reader in (values.date, values.time, values.duration, values.date_and_time):
        found = reader(text)
        if found is not None:
            return found
    raise BadFeel(f"“{text}”不是日期、时间或时长")


@lru_cache(maxsize=4096)
def expression(text: str, names: tuple[str, ...] = ()) -> Node:
    """The parsed form of an expression; raises BadFeel."""
    return _parse(text, names, _Parser.expression)


@lru_cache(maxsize=4096)
def unary_tests(text: str, names: tuple[str, ...] = ()) -> Node:
    """The parsed form of an input cell; raises BadFeel."""
    return _parse(text, names, _Parser.unary_tests)


def _parse(text: str, names: tuple[str, ...], parse: Callable[[_Parser], Node]) -> Node:
    parser = _Parser(text, names)
    try:
        found = parse(parser)
    except RecursionError as error:
        raise BadFeel("表达式嵌套过深") from error
    parser.end()
    return found


def names_in(node: Any) -> set[str]:
    """The names that a parsed text uses."""
    if not isinstance(node, tuple) or not node:
        return set()
    if node[0] == "name":
        return {node[1]}
    return {n for part in node for n in names_in(part)}


_INPUT = "?"


def evaluate(node: Node, scope: Scope) -> Any:
    """The value of a parsed expression; what cannot be computed is null (None)."""
    match node:
        case ("value", value):
            return value
        case ("name", name):
            return scope.get(name)
        case ("input",):
            return scope.get(_INPUT)
        case ("path", owner, name):
            return _property(evaluate(owner, scope), name)
        case ("list", entries):
            return [evaluate(e, scope) for e in entries]
        case ("negative", inner):
            found = evaluate(inner, scope)
            if isinstance(found, Months):
                return Months(-found.months)
            fits = isinstance(found, Decimal | dt.timedelta)
            return -found if fits else None
        case ("add", sign, left, right):
            return values.add(evaluate(left, scope), evaluate(right, scope), sign)
        case ("multiply", operator, left, right):
            return values.multiply(operator, evaluate(left, scope), evaluate(right, scope))
        case ("compare", operator, left, right):
            return values.compare(operator, evaluate(left, scope), evaluate(right, scope))
        case ("between", inner, low, high):
            value = evaluate(inner, scope)
            return _both(
                values.compare(">=", value, evaluate(low, scope)),
                values.compare("<=", value, evaluate(high, scope)),
            )
        case ("and", left, right):
            return _both(_truth(evaluate(left, scope)), _truth(evaluate(right, scope)))
        case ("or", left, right):
            one, two = _truth(evaluate(left, scope)), _truth(evaluate(right, scope))
            return True if one or two else (None if one is None or two is None else False)
        case ("in", inner, tests):
            return matches(tests, evaluate(inner, scope), scope)
        case ("interval", *_):
            return node
        case ("call", name, arguments):
            return _call(name, [evaluate(a, scope) for a in arguments], scope)
    raise BadFeel(f"不能计算 {node[0]}")


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _both(one: bool | None, two: bool | None) -> bool | None:
    if one is False or two is False:
        return False
    return None if one is None or two is None else True


def matches(node: Node, value: Any, scope: Scope) -> bool:
    """Whether an input value passes an input cell's tests."""
    match node:
        case ("any",):
            return True
        case ("none of", inner):
            return not matches(inner, value, scope)
        case ("tests", tests):
            return any(_passes(test, value, scope) for test in tests)
    return _passes(node, value, scope)


def _passes(test: Node, value: Any, scope: Scope) -> bool:
    if test[0] == "operator":
        return values.compare(test[1], value, evaluate(test[2], scope)) is True
    if test[0] == "interval":
        _, closed_low, low, high, closed_high = test
        return (
            _both(
                values.compare(">=" if closed_low else ">", value, evaluate(low, scope)),
                values.compare("<=" if closed_high else "<", value, evaluate(high, scope)),
            )
            is True
        )
    found = evaluate(test, {**scope, _INPUT: value})
    if isinstance(found, tuple) and found and found[0] == "interval":
        return _passes(found, value, scope)
    if isinstance(found, bool) and _uses_input(test):
        return found
    if isinstance(found, list) and not isinstance(value, list):
        return any(values.equal(value, one) is True for one in found)
    return values.equal(value, found) is True


def _uses_input(node: Any) -> bool:
    return isinstance(node, tuple) and (
        node[:1] == ("input",) or any(_uses_input(part) for part in node)
    )


_PARTS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "date": {
        "year": lambda v: v.year,
        "month": lambda v: v.month,
        "day": lambda v: v.day,
        "weekday": lambda v: v.isoweekday(),
    },
    "time": {
        "hour": lambda v: v.hour,
        "minute": lambda v: v.minute,
        "second": lambda v: v.second,
    },
    "days": {
        "days": lambda v: int(v / dt.timedelta(days=1)),
        "hours": lambda v: int(abs(v).seconds / 3600),
        "minutes": lambda v: int(abs(v).seconds % 3600 / 60),
        "seconds": lambda v: int(abs(v).seconds % 60),
    },
    "months": {
        "years": lambda v: v.years,
        "months": lambda v: v.months - 12 * v.years,
    },
}
_PARTS["date and time"] = _PARTS["date"] | _PARTS["time"]


def _property(owner: Any, name: str) -> Any:
    if isinstance(owner, dict):
        return owner.get(name)
    if isinstance(owner, list):
        return [_property(one, name) for one in owner]
    part = _PARTS.get(values.family(owner), {}).get(name)
    return values.number(part(owner)) if part else None


@dataclass(frozen=True)
class Function:
    """A function of the model's own (a business knowledge model): parameters and a body."""

    parameters: tuple[str, ...]
    body: Node


def _call(name: str, given: list[Any], scope: Scope) -> Any:
    own = scope.get(name)
    if isinstance(own, Function):
        if len(given) != len(own.parameters):
            return None
        deep = int(scope.get(" depth") or 0) + 1
        if deep > DEEPEST:
            raise BadFeel("函数调用过深")
        functions = {k: v for k, v in scope.items() if isinstance(v, Function)}
        inner = {**functions, **dict(zip(own.parameters, given, strict=True)), " depth": deep}
        return evaluate(own.body, inner)
    known = FUNCTIONS.get(name)
    if known is None:
        raise BadFeel(f"没有名为 {name} 的函数")
    try:
        return known(*given)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return None
