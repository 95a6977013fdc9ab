"""Licences' door: issue, change, what a person holds, what a code or a file proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Party

from . import actions
from .actions import change_licence, draw_up, issue_from_register, original
from .models import Licence
from .queries import kinds as _kinds
from .queries import licences as _licences
from .queries import verdicts as _verdicts
from .rules.types import LicenceType


def issue(
    type_code: str,
    holder: Party | None,
    elements: Mapping[str, Any],
    *,
    case: Case | None = None,
    once: str,
    by: Actor,
) -> Licence:
    """Give a licence (see `actions.issue_licence`); the same `once` gives it once."""
    return actions.issue_licence(type_code, holder, elements, case=case, once=once, by=by)


def held(holder: Party, viewer: Actor) -> list[Licence]:
    """What a party holds, for the party itself and who may act for it; raises Denied."""
    return _licences.held(viewer, holder)


def kinds() -> dict[str, LicenceType]:
    """All declared types by name."""
    return _kinds.kinds()


def verify(code: str, viewer: Actor) -> _verdicts.Verdict:
    """What the code of a licence's QR proves today."""
    return _verdicts.by_code(viewer, code)


__all__ = [
    "Licence",
    "change_licence",
    "draw_up",
    "held",
    "issue",
    "issue_from_register",
    "kinds",
    "original",
    "verify",
]
