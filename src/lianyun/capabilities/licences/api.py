"""Licences' door: issue, change, what a person holds, what a code or a file proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Party

from . import actions
from .actions import change_licence, draw_up, issue_from_register, make_files, original
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
    """Give a licence; pressed twice or called again after a crash, the same `once` gives it once.

    `type_code`: a type's name (`kinds()`). `elements`: by element name, dates as date or text; codes
    as in their code lists; unknown names are left out. Where the type declares `numbering`, number
    and date of issue are filled in; where it declares `years`, the end. `holder` None: found (or
    entered) by the number among the elements; given, it must be that very person or firm. `by`
    needs `licences.issue` or `licences.review` of the issuing department. The file is made when it
    is first wanted (`original`). Raises UserError with everything that is wrong, and Denied.
    """
    return actions.issue_licence(type_code, holder, elements, case=case, once=once, by=by)


def held(holder: Party, viewer: Actor) -> list[Licence]:
    """What a party holds, ended ones last version included, replaced ones not; raises Denied.

    For the party itself and who may act for it (identity's agencies, scope `licences`). Grants come
    along; elements are still under lock (`elements`).
    """
    return _licences.held(viewer, holder)


def elements(licence: Licence, viewer: Actor) -> dict[str, str]:
    """A licence's elements in clear by name, for its holder and who acts for it; raises Denied.

    An officer's reading goes another way: `licences.reveal`, or the holder's consent at the counter.
    """
    _licences.check_own(viewer, licence)
    return _licences.elements(licence)


def standing(licence: Licence) -> tuple[str, str]:
    """How a licence stands today: (code, Chinese word); `valid` is the one to rely on."""
    code, words, _ = _licences.standing(licence)
    return code, words


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
    "elements",
    "held",
    "issue",
    "issue_from_register",
    "kinds",
    "make_files",
    "original",
    "standing",
    "verify",
]
