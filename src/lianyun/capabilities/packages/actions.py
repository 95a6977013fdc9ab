"""Actions: a package begun, its sources consented to once, one form filled, filed once, carried to its end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.clock import calendar
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Party

from .models import HELPER, Filing, FilingStep
from .queries import filings, offered
from .rules import plan as planning

PATH, MESSAGE = "package", "package_parts"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def _code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


def _planned(code: str, answers: Mapping[str, Any], by: Actor, applicant: Party) -> planning.Plan:
    """The whole plan of a package for an applicant; UserError where it cannot be begun so."""
    told = offered.plan(by, code, answers)
    if told is None:
        raise UserError("没有这个套餐，或者其中有事项已停止办理")
    kind = "person" if applicant.kind == Party.PERSON else "entity"
    if told.package.audience != kind:
        raise UserError(
            "这个套餐只面向企业和其他组织，请切换到所代理的单位后办理"
            if kind == "person"
            else "这个套餐只面向个人，请切换回个人身份后办理"
        )
    if told.open:
        raise UserError(f"请先回答：{told.open[0].question}")
    if not told.chosen:
        raise UserError("按您的回答，没有需要办的事项")
    return told


@action(None)
def begin(code: str, *, applicant: Party, answers: Mapping[str, Any], by: Actor) -> Filing:
    """Begin a package for oneself or for whom one acts: an application of each item that follows.

    Raises UserError (no such package, a question unanswered, not for this kind of applicant) and
    Denied (no agency, not surely enough known).
    """
    if by.party is None:
        raise Denied("请先登录")
    told = _planned(code, answers, by, applicant)
    if applicant not in hall.principals(by):
        raise Denied("您没有代其申请的权限")
    identity.require_level(by, max(p.item.proof for p in told.chosen))
    made = Filing.objects.create(
        code=_code(),
        package=code,
        name=told.package.name,
        applicant=applicant,
        by=by.party,
        relation="self" if applicant == by.party else "agent",
        department=filings.department(by, told.package.lead),
        answers=told.answered,
        promised_days=told.package.promised_days,
    )
    _put_steps(made, told, by)
    record("package.begun", made, by=by, data={"package": code, "items": len(told.chosen)})
    return made


@action(None)
def help_begin(
    code: str, *, number: str, name: str, answers: Mapping[str, Any], seen: bool, by: Actor
) -> Filing:
    """A clerk begins a package for somebody who stands before him with the identity card (帮办代办).

    The rule is the hall's: nothing is looked up or filled in before the person agrees, by digits on
    the phone or on a signed paper, once for all the items that the person was told. Raises Denied
    without `hall.help`, and UserError.
    """
    applicant = hall.visitor(number=number, name=name, seen=seen, by=by)
    assert by.party is not None
    told = _planned(code, answers, by, applicant)
    made = Filing.objects.create(
        code=_code(),
        package=code,
        name=told.package.name,
        applicant=applicant,
        by=by.party,
        relation=HELPER,
        department=filings.department(by, told.package.lead),
        answers=told.answered,
        promised_days=told.package.promised_days,
    )
    _put_steps(made, told, by)
    record(
        "package.begun", made, by=by,
        data={"package": code, "items": len(told.chosen), "relation": HELPER},
    )  # fmt: skip
    return made


def _part(filing: Filing, item: str, answers: Mapping[str, str], by: Actor) -> hall.Application:
    """The application of one item: a clerk's waits for the person's word as a single one does."""
    if filing.relation == HELPER:
        return hall.help_part(
            item, applicant=filing.applicant, answers=answers, bundle=filing.ref, by=by
        )
    return hall.begin(item, applicant=filing.applicant, answers=answers, bundle=filing.ref, by=by)


def confirm(filing: Filing, *, code: str = "", paper: Any = None, by: Actor) -> bool:
    """The person agrees to all items that wait for it: the digits read to the clerk, or a signed paper.

    Returns whether that was right; the hall's own rule counts wrong digits.
    """
    _own(filing, by)
    waits = filings.unconfirmed(by, filing)
    if not waits:
        raise UserError("这个套餐不需要再确认")
    if paper is not None:
        hall.confirm_on_paper(waits[0], uploaded=paper, by=by)
        return True
    return hall.confirm(waits[0], code=code, by=by)


def _put_steps(filing: Filing, told: planning.Plan, by: Actor) -> None:
    """Make the filing's steps and applications those that follow; what no longer does is dropped."""
    there = {s.item: s for s in filing.steps.all()}
    known = filings.applications(by, filing)
    chosen = {p.member.item for p in told.chosen}
    for item, gone in there.items():
        if item not in chosen:
            hall.withdraw(known[item], reason="按新的回答不需要办", by=by)
            gone.delete()
    for place, part in enumerate(told.chosen):
        step = there.get(part.member.item)
        if step is None:
            made = _part(filing, part.member.item, part.answers, by)
            step = FilingStep(filing=filing, item=part.member.item, application=made.code)
        else:
            hall.answer(known[step.item], answers=part.answers, by=by)
        step.item_name, step.place = part.item.name[:200], place
        step.why, step.after, step.alone = part.why[:300], list(part.after), part.member.alone
        step.brings = dict(part.brings)
        step.save()


def _locked(filing: Filing) -> Filing:
    return (
        Filing.objects.select_for_update(of=("self",))
        .select_related("applicant", "by", "department", "case")
        .get(pk=filing.pk)
    )


def _own(filing: Filing, by: Actor) -> None:
    if not filings.reaches(by, filing, filings.APPLY):
        raise Denied("没有这个套餐办理")


def _unfiled(filing: Filing, by: Actor) -> Filing:
    _own(filing, by)
    row = _locked(filing)
    if row.filed:
        raise UserError("套餐已经提交，不能再修改；可在“我的套餐”中查看进展")
    return row


@action(None)
def answer(filing: Filing, *, answers: Mapping[str, Any], by: Actor) -> None:
    """Answer the package's questions anew: items, sources and materials follow; the form stays."""
    row = _unfiled(filing, by)
    told = _planned(row.package, answers, by, row.applicant)
    _put_steps(row, told, by)
    row.name, row.answers, row.consented_at = told.package.name, told.answered, None
    row.promised_days = told.package.promised_days
    row.save(update_fields=["name", "answers", "consented_at", "promised_days"])
    record("package.answered", row, by=by, data={"items": len(told.chosen)})


def consent(filing: Filing, *, keys: Sequence[str], by: Actor) -> list[str]:
    """Consent to these sources once, for every item that needs them; each is asked, the form filled.

    Returns what to tell where a source did not answer. The sources are read before the merged form
    is written; each department looks under its own Grant, as for a single item.
    """
    _own(filing, by)
    if filing.filed:
        raise UserError("套餐已经提交，不能再修改")
    found = list(filings.applications(by, filing).values())
    known = {s.key for s in filings.offered(by, found)}
    if strange := set(keys) - known:
        raise UserError(f"没有这些来源：{'、'.join(sorted(strange))}")
    books: list[tuple[hall.Application, hall.Book]] = []
    for application in found:
        its = [k for k in keys if k in {f"{a['kind']}:{a['name']}" for a in application.asked}]
        row = hall.consent(application, keys=its, by=by)
        books.append((row, hall.look_up(row, by=by)))
    _fill_form(filing, books, by=by)
    return list(dict.fromkeys(words for _, book in books for words in book.down.values()))


@action(None)
def _fill_form(
    filing: Filing, books: Sequence[tuple[hall.Application, hall.Book]], *, by: Actor
) -> None:
    row = _unfiled(filing, by)
    codes = filings.form_codes(by, [a for a, _ in books])
    before = row.draft
    draft = forms.open_draft(
        codes,
        row.applicant,
        subject=row.ref,
        once=f"{row.code}:{'+'.join(codes)}"[:120],
        back_to=f"/my/packages/{row.code}/consent/",
        next_to=f"/my/packages/{row.code}/materials/",
        by=by,
    )
    asked = [(name, name, told) for name, told in forms.sources(draft).items()]
    values: dict[str, forms.Filled] = {}
    for application, book in books:
        for name, known in hall.filled(application, asked, book).items():
            values.setdefault(name, known)
    if before and before != draft.code:
        old = forms.answers(forms.draft_of(before, by), by)
        told_before = {n: v for n, v in old.items() if isinstance(v, str | int | float)}
        for name, value in told_before.items():
            values.setdefault(name, forms.Filled(value, "本次已填写的内容"))
    values.setdefault("reason", forms.Filled(f"一并办理“{row.name}”的各个事项", "所选套餐"))
    forms.fill(draft, values, by=by)
    row.draft, row.carried, row.consented_at = draft.code, 0, timezone.now()
    row.save(update_fields=["draft", "carried", "consented_at"])
    record("package.consented", row, by=by, data={"sources": sum(len(b.looks) for _, b in books)})


def carry(filing: Filing, *, by: Actor) -> None:
    """What was filled in once goes into each item's own form; what did not change is left alone."""
    _own(filing, by)
    draft = forms.draft_of(filing.draft, by)
    if draft.version + 1 != filing.carried:
        _carry(filing, draft, by=by)


@action(None)
def _carry(filing: Filing, draft: forms.Draft, *, by: Actor) -> None:
    row = _unfiled(filing, by)
    for application in filings.applications(by, row).values():
        forms.carry_over(draft, forms.draft_of(application.draft, by), by=by)
    row.carried = filing.carried = draft.version + 1
    row.save(update_fields=["carried"])
    record("package.carried", row, by=by)


def verify(filing: Filing, *, by: Actor, again: bool = False) -> None:
    """Compare the form with departments' registers, for each item; with `again` sources are asked anew."""
    _own(filing, by)
    for application in filings.applications(by, filing).values():
        if again:
            hall.look_up(application, by=by)
            application.refresh_from_db()
        hall.verify(application, by=by, again=again)


def _wanted(filing: Filing, key: str, by: Actor) -> filings.Wanted:
    row = _unfiled(filing, by)
    for one in filings.materials(by, row):
        if one.id == key and one.held:
            return one
    raise UserError("这个套餐不需要这份材料")


@action(None)
def hand_in(filing: Filing, key: str, name: str, data: bytes, *, by: Actor) -> None:
    """Hand a file in once for every item that still needs this material (`key` of a Wanted)."""
    one = _wanted(filing, key, by)
    if one.free:
        raise UserError(f"“{one.name}”已免提交，不用上传")
    for application, shown in one.held:
        if not shown.free:
            hall.hand_in(application, one.material, (name, data), by=by)
    record("package.handed_in", filing, by=by, data={"material": one.material})


@action(None)
def take_back(filing: Filing, key: str, digest: str, *, by: Actor) -> None:
    """Take a file back from every item that it was handed in for."""
    one = _wanted(filing, key, by)
    for application, shown in one.held:
        for file in shown.files:
            if file.sha256 == digest:
                hall.take_back(application, one.material, file.code, by=by)
    record("package.taken_back", filing, by=by, data={"material": one.material})


@action(None)
def promise(filing: Filing, key: str, *, accepted: bool, by: Actor) -> None:
    """Accept (or take back) the promise in place of a material, for every item that offers it."""
    one = _wanted(filing, key, by)
    if accepted and not one.promise:
        raise UserError(f"“{one.name}”不能用承诺代替，或者已经满足")
    for application, shown in one.held:
        if accepted and not shown.met:
            hall.promise(application, one.material, accepted=True, by=by)
        elif not accepted and shown.ground == "promise":
            hall.promise(application, one.material, accepted=False, by=by)
    told = {"material": one.material, "accepted": accepted}
    record("package.promised", filing, by=by, data=told)


# ---- filing --------------------------------------------------------------------------------


@action(None)
def file(filing: Filing, *, by: Actor) -> Case:
    """File a package: all that may begin is opened through the hall's own filing, the rest handed over.

    All of it or none: one transaction holds every opening. A second press gets the first case. Raises
    UserError naming the item and what it still lacks, and Denied.
    """
    _own(filing, by)
    row = _locked(filing)
    if row.case is not None:
        record("package.filed_again", row, by=by, case=row.case)
        return row.case
    if row.consented_at is None or not row.draft:
        raise UserError("请先完成授权和表单")
    carry(row, by=by)
    draft = forms.draft_of(row.draft, by)
    row.saved = _saved(row, by)
    row.filed_at = timezone.now()
    row.due_on, _ = calendar().deadline(timezone.localdate(), row.promised_days)
    person = row.applicant.kind == Party.PERSON
    shown = str(mask_value("name", row.applicant.name)) if person else row.applicant.name
    row.case = cases.open_case(
        PATH,
        title=f"{row.name}（{shown}）",
        subject=row.ref,
        applicant=row.applicant,
        department=row.department,
        data={
            "package": row.package,
            "package_name": row.name,
            "items": [s.item for s in filings.steps(by, row)],
            "promised_days": row.promised_days,
            "saved": row.saved,
        },
        once=row.code,
        by=by,
    )
    row.save()
    found = filings.applications(by, row)
    steps = filings.steps(by, row)
    for step in steps:
        try:
            if step.after:
                hall.make_ready(found[step.item], expects=list(step.brings), by=by)
            else:
                hall.file(found[step.item], bundle=_bundle(row, step, steps), by=by)
        except UserError as error:
            raise UserError(f"“{step.item_name}”{error}") from error
    forms.close_draft(draft, by=by)
    record(
        "package.filed",
        row,
        by=by,
        case=row.case,
        data={"package": row.package, "items": len(steps), **row.saved},
    )
    _advance(row, by)
    return row.case


def _bundle(filing: Filing, step: FilingStep, steps: Sequence[FilingStep]) -> dict[str, str]:
    return {
        "ref": filing.ref,
        "name": filing.name,
        "case": filing.case.code if filing.case is not None else "",
        "place": f"{step.place + 1}/{len(steps)}",
    }


def _saved(filing: Filing, by: Actor) -> dict[str, int]:
    """What asking once spared in this very filing."""
    found = list(filings.applications(by, filing).values())
    wanted = filings.materials(by, filing)
    told = offered.plan(by, filing.package, filing.answers)
    counts = offered.spared(by, told.chosen) if told is not None else None
    return {
        "items": len(found),
        "departments": len({a.department_id for a in found}),
        "forms": len(found),
        "fields_apart": counts.fields_apart if counts else 0,
        "fields": counts.fields if counts else 0,
        "materials_apart": sum(w.count for w in wanted),
        "materials": len(wanted),
        "freed": sum(w.free for w in wanted),
        "uploaded": sum(w.uploaded is not None for w in wanted),
    }


def go_on(filing: Filing, *, by: Actor, again: bool = True) -> None:
    """Open what may begin now, end what no longer can, close the package when all have ended.

    May be called at any time, any number of times: where nothing is to be done, nothing is written.
    Without `again`, what could not be opened before is left to the applicant.
    """
    steps = filings.steps(by, filing)
    held = set() if again else {s.item for s in steps if s.held_why}
    stood = filings.step_rows(by, steps, filings.applications(by, filing))
    due = [m for m in planning.moves(stood) if m.item not in held]
    if due or planning.outcome(stood) is not None:
        _go_on(filing, by=by)


@action(None)
def _go_on(filing: Filing, *, by: Actor) -> None:
    row = _locked(filing)
    _advance(row, by)
    record("package.looked_after", row, by=by)


@action(None)
def retry(filing: Filing, *, by: Actor) -> None:
    """The applicant has what could not be opened tried again."""
    _own(filing, by)
    row = _locked(filing)
    _advance(row, by)
    record("package.retried", row, by=by, case=row.case)


def _advance(row: Filing, by: Actor, *, back: bool = False) -> None:
    if row.case is None or row.case.state == Case.CLOSED:
        return
    while True:
        steps = {s.item: s for s in filings.steps(by, row)}
        found = filings.applications(by, row)
        stood = filings.step_rows(by, list(steps.values()), found)
        moved = False
        for move in planning.moves(stood):
            step = steps[move.item]
            if move.begin:
                moved |= _open(row, step, found[move.item], list(steps.values()), by)
            else:
                _end(row, step, found.get(move.item), move.why, by)
                moved = True
        if not moved:
            break
    ended = planning.outcome(stood)
    if ended is not None:
        ended = planning.BACK if back and ended == planning.NONE else ended
        cases.receive(row.case, MESSAGE, outcome=ended, once=f"{row.code}:end", by=by)


def _open(
    row: Filing,
    step: FilingStep,
    application: hall.Application,
    steps: Sequence[FilingStep],
    by: Actor,
) -> bool:
    """Open one step's case; where it cannot be opened now, why is kept for the applicant."""
    try:
        case = hall.open_ready(
            application,
            bundle=_bundle(row, step, steps),
            brought=filings.brought(by, row, step),
            by=by,
        )
    except UserError as error:
        if step.held_why != str(error):
            step.held_why = str(error)[:300]
            step.save(update_fields=["held_why"])
            record("package.held", row, by=by, case=row.case, data={"item": step.item})
        return False
    if step.held_why:
        step.held_why = ""
        step.save(update_fields=["held_why"])
    record(
        "package.opened",
        row,
        by=by,
        case=row.case,
        data={"item": step.item, "title": step.item_name, "case": case.code},
    )
    return True


def _end(
    row: Filing, step: FilingStep, application: hall.Application | None, why: str, by: Actor
) -> None:
    """A step that will not be opened: the applicant reads why; what was looked up for it is forgotten."""
    step.ended_on, step.ended_why = timezone.localdate(), why[:300]
    step.save(update_fields=["ended_on", "ended_why"])
    if application is not None and not application.filed:
        hall.withdraw(application, reason=why, by=actor_of(row.applicant))
    record(
        "package.part_ended",
        row,
        by=by,
        case=row.case,
        data={"item": step.item, "title": step.item_name, "note": why},
    )


@action(None)
def withdraw(filing: Filing, *, reason: str, by: Actor) -> list[str]:
    """Take a package back: a draft is forgotten; of a filed one, all that has not been decided.

    Returns the items that go on because a decision has been made. Raises UserError.
    """
    _own(filing, by)
    row = _locked(filing)
    if not reason.strip():
        raise UserError("请写明撤回的原因")
    found = filings.applications(by, row)
    if row.case is None:
        for application in found.values():
            hall.withdraw(application, reason=reason, by=by)
        record("package.dropped", row, by=by, data={"package": row.package})
        row.delete()
        return []
    if row.case.state == Case.CLOSED:
        raise UserError("套餐已办结，不能撤回")
    kept = []
    for step in reversed(filings.steps(by, row)):
        one = found.get(step.item)
        if one is None or step.ended_on is not None:
            continue
        if one.case is None:
            _end(row, step, one, f"申请人撤回：{reason}", by)
        elif one.case.state != Case.CLOSED:
            try:
                hall.withdraw(one, reason=reason, by=by)
            except UserError:
                kept.append(step.item_name)
    record("package.withdrawn", row, by=by, case=row.case, data={"reason": reason})
    _advance(row, by, back=True)
    return kept


# ---- by itself -----------------------------------------------------------------------------


def on_case_closed(event: Event) -> None:
    """An item's case has come to an end: what waited for it begins, or ends."""
    if event.case_id_ref is None:
        return
    filing = filings.by_case(SYSTEM, event.case_id_ref)
    if filing is not None:
        go_on(filing, by=SYSTEM)


@action(None)
def forget_drafts(*, by: Actor) -> int:
    """Forget packages that were begun and never filed, with their applications."""
    days, count = int(hall.terms()["draft_days"]), 0
    for row in filings.drafts_due(by, days)[:500]:
        for application in filings.applications(by, row).values():
            hall.withdraw(application, reason="过期未提交", by=actor_of(row.applicant))
        row.delete()
        count += 1
    record("package.forgotten", "system:packages", by=by, data={"count": count})
    return count


@action(None)
def note_faults(faults: Mapping[str, Sequence[str]], *, by: Actor) -> None:
    """What was wrong in the packs' packages at an install, on record."""
    record("packages.checked", "system:packages", by=by, data={"faults": dict(faults)})


__all__ = [
    "answer",
    "begin",
    "carry",
    "confirm",
    "consent",
    "file",
    "forget_drafts",
    "go_on",
    "hand_in",
    "help_begin",
    "on_case_closed",
    "promise",
    "retry",
    "take_back",
    "verify",
    "withdraw",
]
