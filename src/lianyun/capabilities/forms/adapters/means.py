"""Means: what judging answers needs of the kernel: elements, code lists, check digits, conditions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.utils import timezone

from lianyun.capabilities.editions import api as editions
from lianyun.decision.closed import check_expression, evaluate
from lianyun.kernel import packs
from lianyun.kernel.element import (
    ElementSpec,
    citizen_number_ok,
    credit_code_ok,
    domain_choices,
)

from .. import rules

KIND = "forms"
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


def form(codes: Sequence[str]) -> rules.Form:
    """One form, or several merged, as they are declared today.

    A form that no pack declares is looked for among those that were published in the browser.
    Raises KeyError for a form that is in neither place.
    """
    if all(code in forms() for code in codes):
        return _merged(tuple(codes))
    return rules.merged([forms()[code] if code in forms() else _published(code) for code in codes])


def form_of(declared: Sequence[Mapping[str, Any]]) -> rules.Form:
    """One form, or several merged, from their declarations; raises BadForm."""
    return rules.merged([rules.read(str(d["code"]), d, world()) for d in declared])


@cache
def _merged(codes: tuple[str, ...]) -> rules.Form:
    return rules.merged([forms()[code] for code in codes])


def _published(code: str) -> rules.Form:
    """The newest edition of a form, read once in this process; raises KeyError."""
    found = editions.find(KIND, code)
    if found is None:
        raise KeyError(code)
    key = (code, found.digest)
    if key not in _READ:
        if len(_READ) > 500:
            _READ.clear()
        _READ[key] = rules.read(code, found.content, world())
    return _READ[key]


_READ: dict[tuple[str, str], rules.Form] = {}


def codes() -> list[str]:
    """The codes of all forms, of packs and published in the browser."""
    return sorted({*forms(), *editions.codes(KIND)})


def declared(codes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The declarations of these forms as they stand today, by their digests, to be kept with a draft."""
    out = {}
    for code in codes:
        if (known := _of_packs().get(code)) is None:
            edition = editions.find(KIND, code)
            if edition is None:
                raise KeyError(code)
            known = _digested(code, edition.content)
        out[known[0]] = known[1]
    return out


@cache
def _of_packs() -> dict[str, tuple[str, dict[str, Any]]]:
    found = packs.declarations("forms")
    return {d.file.stem: _digested(d.file.stem, d.data) for d in found}


def _digested(code: str, told: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    whole = _whole(code, told)
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest(), json.loads(text)


def _whole(code: str, told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "code": code, "parts": [_frozen(p) for p in told["parts"]]}


def _frozen(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part with its options as pairs: where drafts are kept, keys lose their order."""
    fields = [
        {**f, "options": [[str(k), str(v)] for k, v in f["options"].items()]}
        if isinstance(f.get("options"), Mapping)
        else f
        for f in part["fields"]
    ]
    return {**part, "fields": fields}


def frozen_at_opening(codes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The declarations to be kept when a draft is opened: where one may change at any moment.

    Packs change with an installation, editions with a click: who has begun on one goes on with it.
    """
    return {} if all(code in forms() for code in codes) else declared(codes)
