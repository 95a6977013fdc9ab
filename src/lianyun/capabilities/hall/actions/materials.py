"""Materials: what is handed in, taken back or promised, where no ground has freed a material."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..models import Application, MaterialState
from ..queries import looking
from ..rules import grounds, stages
from .beginning import PAPER, allowed, confirmed, unfiled, waiting_with

AUTHORISATION = "authorisation"
"""The slot of a signed authorisation among a draft's attachments."""
FILES = 5
"""So many files make one material at most."""


def draft_for(application: Application, *, by: Actor) -> forms.Draft:
    """The form's draft of an application, opened where there is none; the row is held by the caller."""
    if application.draft:
        return forms.draft_of(application.draft, by)
    made = forms.open_draft(
        [looking.item_form(application)],
        application.applicant,
        subject=application.ref,
        once=application.code,
        back_to=f"/my/cases/{application.code}/consent/",
        next_to=f"/my/cases/{application.code}/materials/",
        by=by,
    )
    application.draft = made.code
    application.save(update_fields=["draft"])
    return made


def state_of(application: Application, material: str) -> MaterialState:
    """The row of one material; raises UserError where it is not asked for."""
    found = application.materials.filter(material=material).first()
    if found is None:
        raise UserError("这份申请不需要这份材料")
    return found


def put_upload(state: MaterialState, files: list[forms.Attachment]) -> None:
    """What the files in a material's slot make of it."""
    if files:
        state.met, state.ground, state.look = True, grounds.UPLOAD, False
        state.words = f"已上传 {len(files)} 个文件"
        state.evidence = {
            "what": state.name,
            "source": "申请人上传",
            "as_of": timezone.localdate().isoformat(),
            "shown": [["文件", "、".join(f.name for f in files)[:200]]],
        }
        state.digest = grounds.digest({f.code: f.sha256 for f in files})
        state.sealed, state.met_at = "", timezone.now()
    else:
        state.met, state.ground, state.evidence, state.digest = False, "", {}, ""
        state.met_at, state.words = None, "请上传这份材料"
    state.save()


@action(None)
def hand_in(application: Application, material: str, uploaded: Any, *, by: Actor) -> None:
    """Hand a file in for a material that no ground has freed; the same bytes twice are one file."""
    allowed(application, by)
    row = unfiled(application)
    confirmed(row)
    state = state_of(row, material)
    if state.met and state.ground != grounds.UPLOAD:
        raise UserError(f"“{state.name}”已免提交，不用上传")
    draft = draft_for(row, by=by)
    forms.keep_attachment(draft, state.slot, uploaded, most=FILES, by=by)
    put_upload(state, forms.attachments(draft, by, slot=state.slot))
    record("material.handed_in", row, by=by, data={"material": material})


@action(None)
def take_back(application: Application, material: str, file: str, *, by: Actor) -> None:
    """Take a file back that was handed in; nothing happens where it is gone already."""
    allowed(application, by)
    row = unfiled(application)
    state = state_of(row, material)
    draft = draft_for(row, by=by)
    if any(a.code == file for a in forms.attachments(draft, by, slot=state.slot)):
        forms.drop_attachment(draft, file, by=by)
        put_upload(state, forms.attachments(draft, by, slot=state.slot))
    record("material.taken_back", row, by=by, data={"material": material})


@action(None)
def promise(application: Application, material: str, *, accepted: bool, by: Actor) -> None:
    """Accept (or take back) the promise that an item offers in place of a proof (告知承诺)."""
    allowed(application, by)
    row = unfiled(application)
    confirmed(row)
    state = state_of(row, material)
    ground = next(
        (
            g
            for m in looking.materials_of(by, row)
            if m.id == material
            for g in m.grounds
            if g.by == grounds.PROMISE
        ),
        None,
    )
    if ground is None:
        raise UserError("这份材料不能用承诺代替")
    if accepted and state.met:
        raise UserError(f"“{state.name}”已满足，不用承诺")
    if accepted:
        state.promised_at = timezone.now()
        finding = grounds.by_promise(ground.text, timezone.localtime(state.promised_at))
        assert finding.evidence is not None
        state.met, state.ground, state.look = True, grounds.PROMISE, True
        state.words, state.digest = finding.words, finding.evidence.digest
        state.evidence = {
            "what": finding.evidence.what,
            "source": finding.evidence.source,
            "as_of": finding.evidence.as_of,
            "shown": [list(pair) for pair in finding.evidence.shown],
        }
        state.met_at = state.promised_at
        state.save()
    elif state.ground == grounds.PROMISE:
        state.promised_at = None
        put_upload(state, [])
    record("material.promised", row, by=by, data={"material": material, "accepted": accepted})


@action("hall.help")
def confirm_on_paper(application: Application, *, uploaded: Any, by: Actor) -> None:
    """The helped person agreed on a signed paper, of which the clerk hands in a photograph.

    Of a bundle all that wait are agreed to with one paper; each keeps it, for its own department.
    """
    allowed(application, by)
    parts = waiting_with(application)
    row = unfiled(application)
    if row.relation != stages.HELPER or row.confirmed_at is not None:
        raise UserError("这份申请不需要再确认")
    paper = uploaded if isinstance(uploaded, tuple) else (str(uploaded.name), uploaded.read())
    for part in parts:
        forms.keep_attachment(draft_for(part, by=by), AUTHORISATION, paper, most=FILES, by=by)
        part.confirm_way, part.confirmed_at = PAPER, timezone.now()
        part.save(update_fields=["confirm_way", "confirmed_at"])
        record("application.confirmed", part, by=by, data={"way": PAPER})


__all__ = [
    "FILES",
    "confirm_on_paper",
    "draft_for",
    "hand_in",
    "promise",
    "put_upload",
    "state_of",
    "take_back",
]
