"""Expression: a closed expression over declared facts, as SQL, in words, and by how much it is missed.

The language is `lianyun.decision.closed`; here it is written as SQL, so that a rule is asked of a
whole library in one statement. Names become columns, constants quoted literals; a comparison with
something unknown does not hold (it is never NULL).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from lianyun.decision.closed import BadExpression, check_expression

_SIGNS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("=", "是"),
    ast.NotEq: ("<>", "不是"),
    ast.Lt: ("<", "小于"),
    ast.LtE: ("<=", "不超过"),
    ast.Gt: (">", "大于"),
    ast.GtE: (">=", "不少于"),
}
_SUMS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "加"),
    ast.Sub: ("-", "减"),
    ast.Mult: ("*", "乘以"),
    ast.Div: ("/", "除以"),
}


def _tree(expression: str) -> ast.expr:
    check_expression(expression)
    return ast.parse(expression.strip(), mode="eval").body


def names_in(expression: str) -> set[str]:
    """The facts that an expression asks for; raises BadExpression outside the language."""
    return {n.id for n in ast.walk(_tree(expression)) if isinstance(n, ast.Name)}


def literal(value: Any) -> str:
    """A constant as SQL, whatever it holds."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''").replace("\x00", "") + "'"


def to_sql(expression: str, columns: Mapping[str, str]) -> str:
    """An expression as SQL; `columns` gives the SQL of each name.

    Raises BadExpression for a name that is not declared and for what SQL would not mean alike.
    """
    return _sql(_tree(expression), columns)


def _sql(node: ast.expr, columns: Mapping[str, str]) -> str:
    match node:
        case ast.Constant():
            return literal(node.value)
        case ast.Name():
            if node.id not in columns:
                raise BadExpression(f"没有声明“{node.id}”这一事实")
            return columns[node.id]
        case ast.UnaryOp(op=ast.Not()):
            return f"(NOT {_sql(node.operand, columns)})"
        case ast.UnaryOp(op=ast.USub()):
            return f"(-{_sql(node.operand, columns)})"
        case ast.BinOp():
            sign = _SUMS[type(node.op)][0]
            return f"({_sql(node.left, columns)} {sign} {_sql(node.right, columns)})"
        case ast.BoolOp():
            word = " AND " if isinstance(node.op, ast.And) else " OR "
            return "(" + word.join(_sql(v, columns) for v in node.values) + ")"
        case ast.Compare():
            sides = [node.left, *node.comparators]
            pairs = zip(sides, node.ops, sides[1:], strict=False)
            return "(" + " AND ".join(_pair(a, op, b, columns) for a, op, b in pairs) + ")"
    raise BadExpression(f"这里不能使用 {type(node).__name__}")


def _pair(left: ast.expr, op: ast.cmpop, right: ast.expr, columns: Mapping[str, str]) -> str:
    first = _sql(left, columns)
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.List | ast.Tuple) or not right.elts:
            raise BadExpression("in 的右边应是一个列表")
        listed = ", ".join(_sql(e, columns) for e in right.elts)
        word = "IN" if isinstance(op, ast.In) else "NOT IN"
        return f"coalesce({first} {word} ({listed}), FALSE)"
    nothing = isinstance(right, ast.Constant) and right.value is None
    if nothing and isinstance(op, ast.Eq | ast.NotEq):
        return f"({first} IS {'NOT ' if isinstance(op, ast.NotEq) else ''}NULL)"
    second = _sql(right, columns)
    # A register that holds its dates as text is asked all the same.
    if isinstance(left, ast.Name) and left.id == "today":
        second = f"TRY_CAST({second} AS DATE)"
    elif isinstance(right, ast.Name) and right.id == "today":
        first = f"TRY_CAST({first} AS DATE)"
    return f"coalesce({first} {_SIGNS[type(op)][0]} {second}, FALSE)"


def in_words(expression: str, titles: Mapping[str, str]) -> str:
    """An expression as an officer reads it, the facts by their titles."""
    return _words(_tree(expression), titles)


def _words(node: ast.expr, titles: Mapping[str, str]) -> str:
    match node:
        case ast.Constant():
            return "没有" if node.value is None else str(node.value)
        case ast.Name():
            return "今天" if node.id == "today" else f"“{titles.get(node.id, node.id)}”"
        case ast.List() | ast.Tuple():
            return "、".join(_words(e, titles) for e in node.elts)
        case ast.UnaryOp(op=ast.Not()):
            return f"并非（{_words(node.operand, titles)}）"
        case ast.UnaryOp():
            return f"负{_words(node.operand, titles)}"
        case ast.BinOp():
            word = _SUMS[type(node.op)][1]
            return f"{_words(node.left, titles)}{word}{_words(node.right, titles)}"
        case ast.BoolOp():
            joined = "，并且" if isinstance(node.op, ast.And) else "，或者"
            parts = [
                f"（{_words(v, titles)}）" if isinstance(v, ast.BoolOp) else _words(v, titles)
                for v in node.values
            ]
            return joined.join(parts)
        case ast.Compare():
            out = _words(node.left, titles)
            for op, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(right, ast.Constant) and right.value is None:
                    out += "没有" if isinstance(op, ast.Eq) else "有"
                elif isinstance(op, ast.In | ast.NotIn):
                    word = "是其中之一" if isinstance(op, ast.In) else "不是其中任何一个"
                    out += f"{word}：{_words(right, titles)}"
                else:
                    out += f"{_SIGNS[type(op)][1]} {_words(right, titles)}"
            return out
    raise BadExpression(f"这里不能使用 {type(node).__name__}")


def missed_by(expression: str, facts: Mapping[str, Any]) -> tuple[str, float] | None:
    """For one fact held against one number: the fact and by how much it is too small (+) or large (-).

    None where the expression is of another kind, the fact is unknown, or it is met.
    """
    node = _tree(expression)
    if (
        not isinstance(node, ast.Compare)
        or len(node.ops) != 1
        or not isinstance(node.left, ast.Name)
    ):
        return None
    bound, op = node.comparators[0], node.ops[0]
    value = facts.get(node.left.id)
    if not isinstance(bound, ast.Constant) or not isinstance(bound.value, int | float):
        return None
    if isinstance(value, bool) or value is None:
        return None
    try:
        gap = float(bound.value) - float(value)
    except (TypeError, ValueError):
        return None
    short = isinstance(op, ast.GtE | ast.Gt) and gap > 0
    over = isinstance(op, ast.LtE | ast.Lt) and gap < 0
    return (node.left.id, gap) if short or over else None


__all__ = ["in_words", "literal", "missed_by", "names_in", "to_sql"]
