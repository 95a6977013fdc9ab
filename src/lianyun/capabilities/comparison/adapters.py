"""Adapter: the lake as comparison uses it: run a rule, what changed, the evidence of a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlglot

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import UserError
from lianyun.lake import compare
from lianyun.lake.shelves import LakeError


def read(declared: Mapping[str, Any]) -> compare.Rule:
    """A declared rule as the lake runs it; raises UserError where it cannot be run."""
    try:
        return compare.read(declared)
    except LakeError as error:
        raise UserError(str(error)) from error


def run(
    declared: Mapping[str, Any],
    code: str,
    *,
    stale: Mapping[str, str],
    quality: Mapping[str, float],
    tell: Callable[[float, str], None],
) -> compare.Compared:
    """Run a rule once; raises UserError with what is wrong."""
    try:
        return compare.compare(
            collection.lake(), read(declared), code, stale=stale, quality=quality, tell=tell
        )
    except LakeError as error:
        raise UserError(str(error)) from error


def changed(rule: str, runs: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """What these runs brought or altered, in lists."""
    return compare.changed(collection.lake(), rule, runs)


def evidence(rule: str, code: str) -> dict[str, Any] | None:
    """One finding with who it is about and what both sides said."""
    return compare.evidence(collection.lake(), rule, [code]).get(code)


def identities(rule: str) -> list[tuple[str, str, str, str, float]]:
    """Key, period, standing, doubt and amount of all that stands."""
    return compare.identities(collection.lake(), rule)


def statement(declared: Mapping[str, Any]) -> str:
    """The first of the rule's two statements, laid out for reading."""
    return sqlglot.transpile(
        compare.hits_sql(read(declared)), read="duckdb", write="duckdb", pretty=True
    )[0]
