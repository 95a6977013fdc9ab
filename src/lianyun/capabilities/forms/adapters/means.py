"""Means: what judging answers needs of the kernel: elements, code lists, check digits, conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.utils import timezone

from lianyun.decision.closed import check_expression, evaluate
from lianyun.kernel import packs
from lianyun.kernel.element import (
    ElementSpec,
    citizen_number_ok,
    credit_code_ok,
    domain_choices,
)

from .. import rules

_CHECKS = {"citizen_number": citizen_number_ok, "credit_code": credit_code_ok}


def means() -> rules.Means:
    """What rules are given to judge answers with, as of today in the city."""
    return rules.Means(evaluate, domain_choices, _CHECKS, timezone.localdate())


@cache
def world() -> rules.World:
    """What a declaration may refer to: the elements of all packs."""
    known = {e["code"]: ElementSpec.of(e) for e in packs.lists("elements.yaml")}
    return rules.World(known, check_expression)


@cache
def forms() -> dict[str, rules.Form]:
    """Every form that packs declare, by code; raises rules.BadForm."""
    found = packs.declarations("forms")
    return {d.file.stem: rules.read(d.file.stem, d.data, world()) for d in found}


def form(codes: Sequence[str], declared: Sequence[Mapping[str, Any]] | None = None) -> rules.Form:
    """One form, or several merged; of their frozen declarations where there are some.

    Raises KeyError for a form that no pack declares.
    """
    if declared:
        return rules.merged([rules.read(str(d["code"]), d, world()) for d in declared])
    return _merged(tuple(codes))


@cache
def _merged(codes: tuple[str, ...]) -> rules.Form:
    return rules.merged([forms()[code] for code in codes])


def declared(codes: Sequence[str]) -> list[dict[str, Any]]:
    """The declarations of these forms as they stand in the packs, to be frozen with a draft."""
    found = {d.file.stem: d.data for d in packs.declarations("forms")}
    return [{**found[code], "code": code} for code in codes]
