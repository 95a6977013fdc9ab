"""Licences' door: issue, change, what a person holds, what a code or a file proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Party

from . import actions
from .actions import (
    change_licence,
    draw_up,
    end_licence,
    issue_from_register,
    make_files,
    original,
    publish_type,
    tell_due,
)
from .adapters import press, shelf
from .models import Licence
from .queries import kinds as _kinds
from .queries import licences as _licences
from .queries import verdicts as _verdicts
from .rules import drawing, types
from .rules.types import BadType, LicenceType


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


def current(kind: str, holder: Party, viewer: Actor) -> Licence | None:
    """The newest version of a type that a party holds and that was not ended; expired ones included.

    What `change_licence` and `end_licence` are for. For who issues licences of the type; raises Denied.
    """
    return _licences.current(viewer, kind, holder)


def numbered(kind: str, number: str, viewer: Actor) -> Licence | None:
    """The newest version of a type with this number that was not ended; as `current`, raises Denied."""
    return _licences.numbered(viewer, kind, number)


def belongs_to(licence: Licence, number: str) -> bool:
    """Whether a licence is that of this citizen number or credit code, by its keyed hash."""
    return licence.holder_hash == audit.keyed_hash(number.strip().upper())


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
    """All types by name, of packs and published in the browser; one statement (`find_kind`: none)."""
    return _kinds.kinds()


def find_kind(name: str) -> LicenceType | None:
    """The type of this name, or None."""
    return _kinds.find_kind(name)


def read_type(data: Mapping[str, Any]) -> LicenceType:
    """A type from its declaration; raises BadType."""
    return _kinds.read(data)


def faults_of(data: Mapping[str, Any]) -> list[str]:
    """Everything wrong with a type's declaration, by the checks of packs' types; Chinese lines."""
    return _kinds.faults_of(data)


def specimen(data: Mapping[str, Any], values: Mapping[str, Any], *, format: str = "png") -> bytes:
    """How a licence of a declared type would look, as png or pdf, printed 样本: no licence, no file kept.

    Elements without a value are printed as their own titles. Raises BadType.
    """
    kind = _kinds.read(data)
    told = _kinds.spoken(kind, types.cleaned(kind, values))
    told = {i.name: told.get(i.name) or f"（{i.title}）" for i in kind.items}
    issued = told[kind.issued]
    until = told.get(kind.ends, "") if kind.ends else ("" if kind.years else "长期")
    return press.draw(
        drawing.Sheet(
            kind=kind,
            number=told[kind.number],
            identifier="样本（签发时生成电子证照标识）",
            issuer=str(_kinds.issuer_of(kind).name),
            issued=issued,
            validity=f"有效期限 {issued}至{until or '期满'}",
            link=f"{shelf.site()}/verify/",
            values=told,
            sample=True,
            city=str(packs.mapping("core", "city.yaml").get("name", "")),
        ),
        format,
    )


def verify(code: str, viewer: Actor) -> _verdicts.Verdict:
    """What the code of a licence's QR proves today."""
    return _verdicts.by_code(viewer, code)


__all__ = [
    "BadType",
    "Licence",
    "LicenceType",
    "belongs_to",
    "change_licence",
    "current",
    "draw_up",
    "elements",
    "end_licence",
    "faults_of",
    "find_kind",
    "held",
    "issue",
    "issue_from_register",
    "kinds",
    "make_files",
    "numbered",
    "original",
    "publish_type",
    "read_type",
    "specimen",
    "standing",
    "tell_due",
    "verify",
]
