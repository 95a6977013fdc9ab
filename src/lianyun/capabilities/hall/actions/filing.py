"""Filing: an application becomes a case, once; it is supplemented, withdrawn, delivered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.clock import calendar
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import gathered, record
from lianyun.kernel.models import Case, Party, WorkItem

from ..models import Application, MaterialState
from ..queries import applications, looking, shown
from ..rules import grounds, stages
from .beginning import allowed, confirmed, locked, with_materials
from .materials import FILES, put_upload

SUPPLEMENT = "hall.supplement"
_FILED = "UPDATE hall_application SET case_id = %s, filed_at = %s, due_on = %s WHERE id = %s"


@action(None)
def file(application: Application, *, by: Actor, bundle: Mapping[str, str] | None = None) -> Case:
    """File an application: the form is closed, the case opened, once.

    A second press, a second tab, a retry after a crash get the first case. `bundle` (name, ref) tells
    the desks what it is a part of. Raises UserError naming everything that is still missing, and Denied.
    """
    allowed(application, by)
    row, states = with_materials(application)
    if row.case is not None:
        record("application.filed_again", row, by=by, case=row.case)
        return row.case
    if row.bundle and bundle is None:
        raise UserError("这份申请是一并办理的一部分，请从它所属的页面提交")
    item = _item_as_begun(row, by)
    account = _complete(row, item, by, states) if row.ready_at is None else None
    return _open(row, item, bundle or {}, by, states, account)


@action(None)
def make_ready(application: Application, *, expects: Collection[str] = (), by: Actor) -> None:
    """Hand an application of a bundle over whole, to be opened when its turn comes.

    Everything is asked as at a filing, but the materials that a forerunner will give (`expects`), and
    the form is closed. Raises UserError and Denied.
    """
    allowed(application, by)
    row, states = with_materials(application)
    if not row.bundle:
        raise UserError("单独的申请请直接提交")
    if not row.given:
        _complete(row, _item_as_begun(row, by), by, states, expects)
        forms.close_draft(forms.draft_of(row.draft, by), by=by)
        row.ready_at = timezone.now()
        row.save(update_fields=["ready_at"])
    record("application.made_ready", row, by=by, data={"item": row.item})


@action(None)
def open_ready(
    application: Application,
    *,
    bundle: Mapping[str, str],
    brought: Mapping[str, Mapping[str, str]] | None = None,
    by: Actor,
) -> Case:
    """Open the case of an application that was handed over to wait; a second call gets the first.

    `brought` are the materials that its forerunners gave: what, source, ref, as_of of each. Who opens
    it is the bundle's affair: what its owner wanted was judged when it was handed over.
    """
    row, states = with_materials(application)
    if row.case is not None:
        record("application.filed_again", row, by=by, case=row.case)
        return row.case
    if row.ready_at is None:
        raise UserError("这项申请还没有随套餐提交")
    for state in states:
        if state.material in (brought or {}):
            _put_brought(state, (brought or {})[state.material])
    return _open(row, _item_as_begun(row, by), bundle, by, states)


def _item_as_begun(row: Application, by: Actor) -> Any:
    """The item as it stood when the application was begun; UserError where it is no longer asked for."""
    item = items.find(row.item)
    if item is None:
        raise UserError("这个事项已停止办理，申请没有提交")
    if item.version != row.item_version:  # it was changed meanwhile: what was begun stands
        item = applications.item_of(by, row) or item
    return item


def _put_brought(state: MaterialState, told: Mapping[str, str]) -> None:
    state.met, state.ground, state.look, state.met_at = True, grounds.FORERUN, False, timezone.now()
    state.words = f"由{told['source']}的结果代替，无需提交"[:300]
    state.evidence = {**told, "shown": []}
    state.digest, state.sealed = grounds.digest(told), ""
    state.save()


def _complete(
    row: Application,
    item: Any,
    by: Actor,
    states: Sequence[MaterialState],
    expects: Collection[str] = (),
) -> identity.Account | None:
    """Raises UserError (or LevelNeeded) where something that a filing needs is not there.

    Returns the identity that was looked at.
    """
    confirmed(row)
    account = None
    if row.relation != stages.HELPER:
        account = identity.require_level(by, item.proof)
    if row.consented_at is None or not row.draft:
        raise UserError("请先完成授权和表单")
    met = {s.material for s in states if s.met} | set(expects)
    wanted = items.materials(item, row.answers)
    if lacking := [m.name for m in wanted if m.required and m.id not in met]:
        raise UserError(f"还缺少材料：{'、'.join(lacking)}")
    return account


def _open(
    row: Application,
    item: Any,
    bundle: Mapping[str, str],
    by: Actor,
    states: Sequence[MaterialState],
    account: identity.Account | None = None,
) -> Case:
    with gathered():
        return _opened(row, item, bundle, by, {s.material: s for s in states}, account)


def _opened(
    row: Application,
    item: Any,
    bundle: Mapping[str, str],
    by: Actor,
    states: Mapping[str, MaterialState],
    account: identity.Account | None,
) -> Case:
    wanted = items.materials(item, row.answers)
    if row.ready_at is None:
        codes, answers = forms.submit(row.draft, by=by)
    else:
        draft = forms.draft_of(row.draft, by)
        codes, answers = draft.forms, forms.answers(draft, by)
    known = [states[m.id] for m in wanted if m.id in states]
    data = case_data(row, item, known, codes, answers, account)
    if bundle:
        data["bundle"] = dict(bundle)
    part = f"〔{bundle['name']}〕" if bundle else ""
    today = timezone.localdate()
    row.due_on, _ = calendar().deadline(today, item.promised_days)
    row.filed_at = timezone.now()
    case = cases.open_case(
        item.path,
        title=f"{item.name}（{_shown_name(row.applicant)}）{part}",
        subject=item.ref,
        applicant=row.applicant,
        department=row.department,
        data=data,
        once=row.code,
        by=by,
    )
    row.case = case
    with connection.cursor() as cursor:
        cursor.execute(_FILED, [case.pk, row.filed_at, row.due_on, row.pk])
    freed = sum(s.met and s.ground != "upload" for s in states.values())
    record(
        "application.filed",
        row,
        by=by,
        case=case,
        data={
            "item": row.item,
            "title": row.item_name,
            "materials": len(wanted),
            "freed": freed,
            "relation": row.relation,
        },
    )
    return case


def _shown_name(party: Party) -> str:
    return str(mask_value("name", party.name)) if party.kind == Party.PERSON else party.name


def _age(party: Party, account: identity.Account | None) -> int | None:
    """Full years by the proven number; None for firms and where no number is proven."""
    if account is not None and account.party_id == party.pk:
        number = identity.number_of(account)
    else:
        number = looking.number_of(party) if party.kind == Party.PERSON else ""
    if len(number) != 18:
        return None
    today = timezone.localdate()
    born = (int(number[6:10]), int(number[10:12]), int(number[12:14]))
    return today.year - born[0] - ((today.month, today.day) < born[1:])


def case_data(
    application: Application,
    item: Any,
    states: Sequence[MaterialState],
    codes: Sequence[str],
    answers: Mapping[str, Any],
    account: identity.Account | None = None,
) -> dict[str, Any]:
    """What the path and its decision tables may know: nothing that is personal.

    `facts` are the form's answers that name nobody, the ground of each material as `m_<material>`,
    and how many materials were freed; `departments` the handling one and those that share the item.
    """
    facts = {
        f.id: answers[f.id]
        for _, f in forms.merged(codes).plain_fields()
        if f.id in answers
        and not f.personal
        and f.mask == "none"
        and f.kind in ("choice", "multi", "number", "money", "date", "moment", "text")
    }
    return {
        "item": item.code,
        "item_name": item.name,
        "item_version": item.version,
        "application": application.code,
        "situations": application.answers,
        **application.answers,
        "departments": [item.department, *(d for d in item.joint if d != item.department)],
        "decision": item.decision,
        "promised_days": item.promised_days,
        "legal_days": item.legal_days,
        "helped": application.relation == stages.HELPER,
        "facts": {
            **facts,
            **{f"{name}_in_days": days for name, days in in_days(facts).items()},
            **application.answers,
            **{f"m_{s.material}": s.ground for s in states},
            "materials_freed": sum(s.met and s.ground != "upload" for s in states),
            "materials_uploaded": sum(s.ground == "upload" for s in states),
            "applicant_age": _age(application.applicant, account),
            "applicant_kind": "person" if application.applicant.kind == Party.PERSON else "entity",
        },
        "materials": [
            {"id": s.material, "name": s.name, "ground": s.ground, "look": s.look} for s in states
        ],
    }


def in_days(facts: Mapping[str, Any]) -> dict[str, int]:
    """How many days away each date among the facts is, negative for the past: tables have no today."""
    today, out = timezone.localdate(), {}
    for name, value in facts.items():
        try:
            out[name] = (dt.date.fromisoformat(str(value)) - today).days
        except ValueError:
            continue
    return out


def acting_for(applicant: Party, by: Actor) -> Actor:
    """The actor with the applicant's one right in a case: to supplement it."""
    held = {**by.held, SUPPLEMENT: frozenset({applicant.pk})}
    # Not dataclasses.replace: a request's actor is lazy, and no dataclass to look at.
    return Actor(by.party, by.department, by.roles, held, by.everything, by.behalf)


def _open_item(application: Application) -> WorkItem:
    found = WorkItem.objects.filter(
        case=application.case, done_at=None, permission=SUPPLEMENT
    ).first()
    if found is None:
        raise UserError("这个办件目前不需要补正")
    return found


@action(None)
def supplement(
    application: Application,
    *,
    files: Mapping[str, Sequence[Any]],
    note: str = "",
    by: Actor,
) -> Case:
    """Hand in what was missing and send the case on; `files` by material.

    Raises UserError where nothing was handed in or the form is not whole.
    """
    allowed(application, by)
    row = locked(application)
    if row.case is None:
        raise UserError("申请还没有提交")
    item = _open_item(row)
    wanted = shown.wanted(row.case)
    for one in wanted:
        if one["material"] and one["material"] != "form" and not files.get(one["material"]):
            raise UserError(f"请上传“{one['name']}”")
    # A clerk who helped may not read the filed form; the files go in by the hall's own hand.
    hand = SYSTEM if row.relation == stages.HELPER else by
    draft = forms.draft_of(row.draft, hand)
    was_open = draft.closed_at is None
    if files and not was_open:
        forms.reopen_draft(draft, next_to=f"/my/cases/{row.code}/supplement/", by=hand)
        draft = forms.draft_of(row.draft, hand)
    for material, uploads in files.items():
        name = next((w["name"] for w in wanted if w["material"] == material), "")
        state = row.materials.filter(material=material).first()
        if state is None:
            if not name:
                raise UserError("没有要求补正这份材料")
            state = MaterialState(
                application=row, material=material[:80], name=name[:200], place=99, required=True
            )
        for upload in uploads:
            forms.keep_attachment(draft, state.slot, upload, most=FILES * 2, by=hand)
        put_upload(state, forms.attachments(draft, hand, slot=state.slot))
    if files or was_open:
        forms.close_draft(draft, by=hand)
    case = cases.step(
        item,
        "submit",
        note=note,
        data={"supplement": {**row.case.data.get("supplement", {}), "answered": note}},
        by=acting_for(row.applicant, by),
    )
    record(
        "application.supplemented",
        row,
        by=by,
        case=case,
        data={"materials": sorted(files), "note": note},
    )
    return case


@action(None)
def correct_form(application: Application, *, by: Actor) -> str:
    """Open the form of a case that was sent back, to correct it; returns the draft's code."""
    allowed(application, by)
    row = locked(application)
    if row.case is None:
        raise UserError("申请还没有提交")
    _open_item(row)
    draft = forms.draft_of(row.draft, by)
    if draft.closed_at is not None:
        forms.reopen_draft(draft, next_to=f"/my/cases/{row.code}/supplement/", by=by)
    record("application.corrected", row, by=by, case=row.case)
    return row.draft


@action(None)
def withdraw(application: Application, *, reason: str, by: Actor) -> None:
    """Take an application back: a draft is forgotten, a case ends as withdrawn."""
    allowed(application, by)
    row = locked(application)
    if not reason.strip():
        raise UserError("请写明撤回的原因")
    if row.case is None:
        record("application.dropped", row, by=by, data={"item": row.item})
        row.materials.all().delete()
        row.delete()
        return
    if row.case.state == Case.CLOSED:
        raise UserError("办件已办结，不能撤回")
    item = WorkItem.objects.filter(case=row.case, done_at=None, permission=SUPPLEMENT).first()
    if item is not None and any(o.name == "withdraw" for o in item.declared.outcomes):
        cases.step(item, "withdraw", note=reason, by=acting_for(row.applicant, by))
    else:
        cases.withdraw(row.case, reason, by=by)
    record("application.withdrawn", row, by=by, case=row.case, data={"reason": reason})


@action(None)
def deliver(case: Case, licence: Any | None, note: str = "", *, by: Actor) -> None:
    """What came of a case reaches the applicant: the licence given, the desk's words.

    The desk has judged its own step; here the department's `hall.read` is asked for. A second call
    changes nothing.
    """
    found = Application.objects.select_related("department").filter(case=case).first()
    if found is None:
        raise Denied("没有这份申请")
    by.require("hall.read", found.department)
    row = locked(found)
    identifier = str(getattr(licence, "identifier", "") or "")
    if row.delivered_at is not None and row.result == identifier:
        record("application.delivered_again", row, by=by, case=case)
        return
    row.result, row.note, row.delivered_at = identifier, note, timezone.now()
    row.save(update_fields=["result", "note", "delivered_at"])
    record(
        "application.delivered", row, by=by, case=case, data={"result": identifier, "note": note}
    )


@action(None)
def see(application: Application, *, by: Actor) -> None:
    """The applicant has seen what is new of a case."""
    if applications.one(by, application.code) is None:
        raise Denied("没有这份申请")
    row = locked(application)
    row.seen_at = timezone.now()
    row.save(update_fields=["seen_at"])
    record("application.seen", row, by=by, case=row.case)


__all__ = [
    "SUPPLEMENT",
    "case_data",
    "correct_form",
    "deliver",
    "file",
    "make_ready",
    "open_ready",
    "see",
    "supplement",
    "withdraw",
]
