"""Closed: the expressions that a file may hold: comparisons, and/or/not, sums and `count` over data.

Nothing from a file is ever executed as Python: the text is parsed, every node is held against an
allow-list, and the tree is walked by us (ADR 0003).
"""

from __future__ import annotations

import ast
import operator
from functools import lru_cache
from typing import Any


class BadPath(Exception):
    """A declared path that cannot be run; the message names the step and what is wrong."""


class BadExpression(BadPath):
    """An expression outside the closed language."""


_COMPARE: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ARITHMETIC: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ALLOWED = (
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.Compare,
    ast.BinOp,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Attribute,
    *_COMPARE,
    *_ARITHMETIC,
)


def _is_count(node: ast.AST) -> bool:
    """Whether a node is `count(x)`, the only call there is: how many entries a list has."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "count"
        and len(node.args) == 1
        and not node.keywords
    )


@lru_cache(maxsize=2048)
def _parsed(expression: str) -> ast.expr:
    if len(expression) > 2000:
        raise BadExpression("条件表达式过长")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadExpression(f"条件“{expression}”写法有误") from error
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED) and not _is_count(node):
            raise BadExpression(f"条件“{expression}”中不允许使用 {type(node).__name__}")
    return tree


def check_expression(expression: str) -> None:
    """Raise BadExpression unless the text is in the closed language."""
    _parsed(expression)


def fault_of(expression: str) -> str | None:
    """What is wrong with the text of an expression, in words; None where nothing is."""
    try:
        check_expression(expression)
    except BadExpression as error:
        return str(error)
    return None


def evaluate(expression: str, values: dict[str, Any]) -> Any:
    """The value of an expression over `values`; `a.b` reads a key of a mapping; missing is None.

    Raises BadExpression where the text is outside the language or its operands do not fit.
    """
    try:
        return _value(_parsed(expression), values)
    except (TypeError, ZeroDivisionError, RecursionError) as error:
        raise BadExpression(f"条件“{expression}”无法计算：{error}") from error


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return values.get(node.id)
        case ast.Attribute():
            owner = _value(node.value, values)
            return owner.get(node.attr) if isinstance(owner, dict) else None
        case ast.List() | ast.Tuple():
            return [_value(e, values) for e in node.elts]
        case ast.Call():
            listed = _value(node.args[0], values)
            return len(listed) if isinstance(listed, list | tuple | dict) else 0
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, values)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, values)
        case ast.BinOp():
            left, right = _value(node.left, values), _value(node.right, values)
            if isinstance(node.op, ast.Mult) and not all(
                isinstance(v, int | float) for v in (left, right)
            ):
                raise BadExpression("只有数可以相乘")
            return _ARITHMETIC[type(node.op)](left, right)
        case ast.BoolOp(op=ast.And()):
            return all(_value(v, values) for v in node.values)
        case ast.BoolOp():
            return any(_value(v, values) for v in node.values)
        case ast.Compare():
            left = _value(node.left, values)
            for op, right_node in zip(node.ops, node.comparators, strict=True):
                right = _value(right_node, values)
                if not _COMPARE[type(op)](left, right):
                    return False
                left = right
            return True
    raise BadExpression(f"不允许使用 {type(node).__name__}")
