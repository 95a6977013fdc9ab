"""Shown: an application as somebody may see it: the applicant masked, the form, each material's evidence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.kernel.access import Actor
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Case, Event, Party, Pause

from ..adapters import sources
from ..models import Application, MaterialState
from ..rules import grounds, stages
from . import applications, looking

AUTHORISATION = "authorisation"
"""The slot of a helped person's signed paper among a draft's attachments."""
LAMPS = {
    "met": ("免提交", "green"),
    "uploaded": ("已上传", "blue"),
    "asked": ("请上传", "amber"),
    "optional": ("可不交", "grey"),
}


@dataclass(frozen=True)
class ShownMaterial:
    """One material: how it was met, what proves it and as of when; `files` were handed in for it."""

    id: str
    name: str
    required: bool
    met: bool
    ground: str
    ground_title: str
    words: str
    look: bool
    evidence: dict[str, Any]
    digest: str
    met_at: dt.datetime | None
    tried: tuple[dict[str, str], ...]
    files: tuple[forms.Attachment, ...]
    promise: str = ""
    note: str = ""

    @property
    def free(self) -> bool:
        """Not handed in, and not needed."""
        return self.met and self.ground != grounds.UPLOAD

    @property
    def lamp(self) -> tuple[str, str]:
        """Words and tone of its badge."""
        if self.free:
            return LAMPS["met"]
        if self.met:
            return LAMPS["uploaded"]
        return LAMPS["asked" if self.required else "optional"]

    @property
    def down(self) -> bool:
        """Whether a source that could free it did not answer."""
        return not self.met and any(t["how"] == grounds.DOWN for t in self.tried)


@dataclass(frozen=True)
class Shown:
    """An application for an officer (masked) or its owner (in clear)."""

    application: Application
    item_code: str
    item_name: str
    applicant: str
    number: str
    by: str
    relation: str
    answers: tuple[tuple[str, str], ...]
    sections: Sequence[forms.Section]
    materials: tuple[ShownMaterial, ...]
    confirmed: str = ""
    """How and when the person whom a clerk helped agreed."""
    authorisation: tuple[forms.Attachment, ...] = ()
    """The signed paper by which he agreed."""

    @property
    def freed(self) -> int:
        """How many materials were not handed in."""
        return sum(m.free for m in self.materials)


def shown(viewer: Actor, application: Application, *, own: bool) -> Shown:
    """An application with everything beside it; the viewer was checked (`one`, `of_case`)."""
    item = applications.item_of(viewer, application)
    number = looking.number_of(application.applicant)
    person = application.applicant.kind == Party.PERSON
    name = application.applicant.name
    masked = str(mask_value("citizen_number", number)) if person and number else number
    draft = forms.draft_of(application.draft, viewer) if application.draft else None
    department = application.department
    return Shown(
        application,
        application.item,
        application.item_name,
        name if own or not person else str(mask_value("name", name)),
        masked,
        application.by.name
        if own or application.relation == stages.HELPER
        else str(mask_value("name", application.by.name)),
        application.get_relation_display(),
        tuple(
            (item.situation(ident).question, item.situation(ident).title_of(answer))
            for ident, answer in application.answers.items()
            if item and any(s.id == ident for s in item.situations)
        ),
        forms.summary(draft, viewer, department=department) if draft else (),
        materials(viewer, application, draft),
        confirmation(viewer, application),
        tuple(
            forms.attachments(draft, viewer, department=department, slot=AUTHORISATION)
            if draft and application.relation == stages.HELPER
            else ()
        ),
    )


def confirmation(viewer: Actor, application: Application) -> str:
    """How and when a helped person agreed, in words; empty where nobody helped."""
    del viewer  # who may see the application may see who agreed to it
    if application.relation != stages.HELPER or application.confirmed_at is None:
        return ""
    on = f"{timezone.localtime(application.confirmed_at):%Y-%m-%d %H:%M}"
    return f"{stages.WAYS.get(application.confirm_way, '本人确认')}，{on}"


def materials(
    viewer: Actor, application: Application, draft: forms.Draft | None
) -> tuple[ShownMaterial, ...]:
    """The materials with their evidence and files; files of an earlier case where that is the ground."""
    files: dict[str, list[forms.Attachment]] = {}
    if draft is not None:
        for one in forms.attachments(draft, viewer, department=application.department):
            files.setdefault(one.slot, []).append(one)
    declared = {m.id: m for m in looking.materials_of(viewer, application)}
    out = []
    for state in applications.states(viewer, application):
        known = declared.get(state.material)
        promise = next(
            (g.text for g in (known.grounds if known else ()) if g.by == grounds.PROMISE), ""
        )
        out.append(
            ShownMaterial(
                state.material,
                state.name,
                state.required,
                state.met,
                state.ground,
                grounds.WORDS.get(state.ground, ""),
                state.words,
                state.look,
                state.evidence,
                state.digest,
                timezone.localtime(state.met_at) if state.met_at else None,
                tuple(state.tried),
                tuple(files.get(state.slot, ())),
                promise,
                known.note if known else "",
            )
        )
    return tuple(out)


def shared_values(viewer: Actor, state: MaterialState) -> dict[str, str]:
    """The shared values that stand in place of a material, in clear; whoever asks records it."""
    return sources.unseal(state.sealed) if state.sealed else {}


def file_place(
    viewer: Actor, application: Application, material: str
) -> tuple[forms.Draft, Party] | None:
    """The draft that holds a material's files and its department: its own, or an earlier case's.

    An earlier case's only where this application rests on it, and only of the same applicant.
    """
    state = application.materials.filter(material=material).first()
    if material == AUTHORISATION and application.draft:
        return forms.draft_of(application.draft, viewer), application.department
    if state is None or not application.draft:
        return None
    if state.ground != grounds.EARLIER:
        return forms.draft_of(application.draft, viewer), application.department
    before = (
        MaterialState.objects.select_related("application__department")
        .filter(
            pk=int(str(state.evidence.get("ref", "")).partition(":")[2] or 0),
            application__applicant=application.applicant,
        )
        .first()
    )
    if before is None:
        return None
    return forms.draft_of(before.application.draft, viewer), before.application.department


def wanted(case: Case | None) -> list[dict[str, str]]:
    """What the desk wrote as missing (case.data.supplement.items)."""
    told = (case.data.get("supplement") or {}).get("items") if case is not None else None
    return [
        {
            "material": str(t.get("material") or ""),
            "name": str(t.get("name") or t.get("material") or "申请内容"),
            "what": str(t.get("what") or ""),
        }
        for t in told or []
        if isinstance(t, dict)
    ]


def decision(case: Case | None) -> dict[str, Any]:
    """The desk's decision as it stands in the case; empty before there is one."""
    told = case.data.get("resolution") if case is not None else None
    return dict(told) if isinstance(told, dict) else {}


def paused(viewer: Actor, case: Case | None) -> Pause | None:
    """The pause that holds a case's clock now; the applicant is told its article and reason."""
    del viewer  # who may see the application may see why it waits
    return case.pauses.filter(until=None).order_by("-id").first() if case is not None else None


def extended(viewer: Actor, case: Case | None) -> Event | None:
    """The extension of a case's limit, which its applicant has to be told of with the reason."""
    del viewer
    if case is None:
        return None
    return Event.objects.filter(case_id_ref=case.pk, kind="case.extended").order_by("-id").first()


@dataclass(frozen=True)
class Kept:
    """One thing that was handed in or proven in a filed application, as its owner finds it again."""

    application: Application
    material: ShownMaterial


def kept(viewer: Actor, most: int = 100) -> list[Kept]:
    """What stands in the viewer's (or the firm's) filed applications, newest first."""
    out: list[Kept] = []
    for one in applications.mine(viewer).exclude(case=None)[:most]:
        if applications.only_helps(viewer, one):
            continue
        draft = forms.draft_of(one.draft, viewer) if one.draft else None
        out += [Kept(one, m) for m in materials(viewer, one, draft) if m.met]
        if len(out) >= most:
            break
    return out[:most]


__all__ = [
    "AUTHORISATION",
    "Kept",
    "Shown",
    "ShownMaterial",
    "confirmation",
    "decision",
    "extended",
    "file_place",
    "kept",
    "materials",
    "paused",
    "shared_values",
    "shown",
    "wanted",
]
