"""Hall's door: an application behind a case, its answers, its evidence; the result delivered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.forms import api as forms
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Case, Party

from . import actions
from .actions import (
    answer,
    begin,
    confirm,
    confirm_on_paper,
    consent,
    file,
    filled,
    hand_in,
    help_begin,
    help_part,
    look_up,
    make_ready,
    open_ready,
    promise,
    supplement,
    take_back,
    verify,
    visitor,
    withdraw,
)
from .adapters import sources
from .models import Application
from .queries import applications as _applications
from .queries import looking as _looking
from .queries import rehearsing as _rehearsing
from .queries import shown as _shown
from .queries.applications import Line
from .queries.looking import Book, Judged, Offered
from .queries.rehearsing import REHEARSED
from .queries.shown import Shown, ShownMaterial
from .rules.asked import purpose_of
from .rules.stages import CODE_TRIES, STEPS


def application_of(case: Case, viewer: Actor) -> Shown:
    """The application behind a case as an officer sees it: applicant masked, form, each material.

    The viewer holds `hall.read` (and `forms.read`) for its department or for one whose desk the case
    has come to. Raises Denied. The reading is on record.
    """
    found = _applications.of_case(viewer, case)
    if found is None:
        raise Denied("这个办件没有申请")
    _noted(found, viewer, "查看申请（脱敏）")
    return _shown.shown(viewer, found, own=False)


def answers(case: Case, viewer: Actor) -> dict[str, Any]:
    """The form's values in clear by field, for the licence's elements; the reading is on record.

    The viewer holds `hall.read` and `forms.reveal` for the department. Raises Denied.
    """
    found = _applications.of_case(viewer, case)
    if found is None:
        raise Denied("这个办件没有申请")
    told = forms.answers(forms.draft_of(found.draft, viewer), viewer, department=found.department)
    _noted(found, viewer, "办理结果所需的申请内容（明文）")
    return {
        **told,
        "applicant_name": found.applicant.name,
        "applicant_number": _looking.number_of(found.applicant),
    }


def filer(case: Case, viewer: Actor) -> Party | None:
    """Who filed the application behind a case: the applicant, his agent, or the clerk who helped."""
    found = _applications.of_case(viewer, case)
    return found.by if found is not None else None


def shared_values(case: Case, material: str, viewer: Actor) -> dict[str, str]:
    """The shared values that stand in place of a material, in clear; the reading is on record."""
    found = _applications.of_case(viewer, case)
    state = found.materials.filter(material=material).first() if found else None
    if found is None or state is None:
        raise Denied("没有这份材料")
    viewer.require("forms.reveal", found.department)
    _noted(found, viewer, f"查看“{state.name}”的共享内容（明文）")
    return _shown.shared_values(viewer, state)


def _noted(application: Application, viewer: Actor, what: str) -> None:
    number = _looking.number_of(application.applicant)
    audit.record_reading(
        by=viewer,
        resource=f"item.{application.item}",
        people=[number] if number else [],
        purpose=f"办理“{application.item_name}”：{what}",
    )


def rehearse(
    item: Any,
    answers: Mapping[str, str],
    values: Mapping[str, Any],
    world: Mapping[str, str],
    promised: frozenset[str] = frozenset(),
) -> list[Judged]:
    """How an item's materials would be met in an invented world: nothing is looked up or recorded.

    `world` says of each source (`licence:<type>`, `library:<name>`, `dataset:<name>`, `earlier:`) how
    it answers (REHEARSED); `promised` are the materials whose promise is accepted.
    """
    return _rehearsing.rehearse(item, answers, values, world, promised)


def rehearsed_sources(item: Any, answers: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(key, kind, title) of the sources that an item's materials would be looked up in."""
    return _rehearsing.sources_of(item, answers)


def applications(
    viewer: Actor,
    *,
    item: str = "",
    since: dt.date | None = None,
    applicant: Party | None = None,
) -> list[Application]:
    """Filed applications of the viewer's departments (`hall.read`), newest first, at most 500."""
    rows = _applications.filed(viewer, item=item, since=since, applicant=applicant)
    return list(rows[:500])


def of_bundle(bundle: str, viewer: Actor) -> list[Application]:
    """The applications of a bundle, the first begun first; the caller has judged the viewer's right."""
    return list(_applications.of_bundle(viewer, bundle))


def lines(rows: Sequence[Application], viewer: Actor) -> list[Line]:
    """Applications with their standing in words, due day and to-do; two queries for all of them."""
    return _applications.lines(viewer, rows)


def offered(application: Application, viewer: Actor) -> list[Offered]:
    """The sources that an application would ask, what for, and what was said of them so far."""
    return _looking.offered(viewer, application)


def materials(application: Application, viewer: Actor) -> tuple[ShownMaterial, ...]:
    """An application's materials with evidence and files, for whom it belongs to or who acts for him."""
    draft = forms.draft_of(application.draft, viewer) if application.draft else None
    return _shown.materials(viewer, application, draft)


def terms() -> dict[str, Any]:
    """What the hall is told by packs/core/hall.yaml: the words of consent and of the statement."""
    return sources.terms()


def principals(viewer: Actor) -> list[Party]:
    """The viewer and those for whom the viewer may apply today."""
    return _applications.principals(viewer, _applications.APPLY)


def deliver(case: Case, licence: Any | None, note: str = "", *, by: Actor) -> None:
    """What came of a case reaches the applicant; a second call changes nothing."""
    actions.deliver(case, licence, note, by=by)


__all__ = [
    "CODE_TRIES",
    "REHEARSED",
    "STEPS",
    "Application",
    "Book",
    "Judged",
    "Line",
    "Offered",
    "Shown",
    "ShownMaterial",
    "answer",
    "answers",
    "application_of",
    "applications",
    "begin",
    "confirm",
    "confirm_on_paper",
    "consent",
    "deliver",
    "file",
    "filer",
    "filled",
    "hand_in",
    "help_begin",
    "help_part",
    "lines",
    "look_up",
    "make_ready",
    "materials",
    "of_bundle",
    "offered",
    "open_ready",
    "principals",
    "promise",
    "purpose_of",
    "rehearse",
    "rehearsed_sources",
    "shared_values",
    "supplement",
    "take_back",
    "terms",
    "verify",
    "visitor",
    "withdraw",
]
