"""Beginning: an application is made; a person whom a clerk helps agrees before anything is looked up."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party
from lianyun.kernel.party import department
from lianyun.kernel.rows import together

from ..adapters import sources
from ..models import Application, MaterialState
from ..queries import applications, looking
from ..rules import stages

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE, PAPER = "code", "paper"


def new_code() -> str:
    """An application's code of 16 random characters: from one nobody finds another."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


def _item(code: str, applicant: Party) -> Any:
    item = items.find(code)
    if item is None:
        raise UserError("没有这个事项，或者它已停止办理")
    if not item.online or not item.form:
        raise UserError("这个事项暂不能在线办理，请到窗口办理")
    if ("person" if applicant.kind == Party.PERSON else "entity") not in item.objects:
        raise UserError(
            "这个事项只面向企业和其他组织，请切换到所代理的单位后办理"
            if applicant.kind == Party.PERSON
            else "这个事项只面向个人，请切换回个人身份后办理"
        )
    return item


def _make(
    item: Any,
    applicant: Party,
    relation: str,
    answers: Mapping[str, str],
    by: Actor,
    bundle: str = "",
) -> Application:
    assert by.party is not None
    found = items.open_questions(item, answers)
    if found:
        raise UserError(f"请先回答：{found[0].question}")
    wanted = looking.asked(by, item, answers, applicant.kind == Party.PERSON)
    return Application.objects.create(
        code=new_code(),
        item=item.code,
        item_name=item.name,
        item_version=item.version,
        applicant=applicant,
        by=by.party,
        relation=relation,
        bundle=bundle,
        department=department(item.department),
        answers=items.answers_of(item, answers),
        asked=[
            {
                "kind": a.kind,
                "name": a.name,
                "columns": a.columns,
                "fills": a.fills,
                "frees": a.frees,
            }
            for a in wanted
        ],
    )


@action(None)
def begin(
    item: str, *, applicant: Party, answers: Mapping[str, str], by: Actor, bundle: str = ""
) -> Application:
    """Begin an application for oneself or for whom one acts (scope `apply`).

    `bundle` is the ref of what it is a part of (a package), which walks it until it is filed. Raises UserError (no such item, a question unanswered, not for this kind of applicant) and
    Denied (no agency, not surely enough known: with the way to become so).
    """
    if by.party is None:
        raise Denied("请先登录")
    found = _item(item, applicant)
    if not bundle and item in sources.terms()["led"]:
        raise UserError("这个事项从它自己的页面开始办理，请从事项页面进入")
    if applicant not in applications.principals(by, applications.APPLY):
        raise Denied("您没有代其申请的权限")
    identity.require_level(by, found.proof)
    relation = stages.SELF if applicant == by.party else stages.AGENT
    made = _make(found, applicant, relation, answers, by, bundle)
    record("application.begun", made, by=by, data={"item": item, "relation": relation})
    return made


@action("hall.help")
def help_begin(
    item: str, *, number: str, name: str, answers: Mapping[str, str], seen: bool, by: Actor
) -> Application:
    """A village clerk begins for somebody who stands before him (帮办代办).

    The person is found or entered by the citizen number; nothing is looked up before the person
    confirms. `seen`: the clerk held the identity card beside the person.
    """
    applicant = visitor(number=number, name=name, seen=seen, by=by)
    made = _make(_item(item, applicant), applicant, stages.HELPER, answers, by)
    record("application.begun", made, by=by, data={"item": item, "relation": stages.HELPER})
    return made


def visitor(*, number: str, name: str, seen: bool, by: Actor) -> Party:
    """Who stands before a clerk, found or entered by the identity card that the clerk holds.

    Raises Denied without `hall.help`, and UserError.
    """
    by.require(applications.HELP)
    if not seen:
        raise UserError("请当面核对本人的居民身份证原件")
    applicant = identity.party_of_number(number, name=name, by=by)
    if applicant.name.strip() != name.strip():
        raise UserError("姓名与身份号码不一致，请核对身份证")
    if by.party is not None and applicant.pk == by.party.pk:
        raise UserError("自己的事项请直接办理，不需要帮办")
    return applicant


@action("hall.help")
def help_part(
    item: str, *, applicant: Party, answers: Mapping[str, str], bundle: str, by: Actor
) -> Application:
    """Begin one application of a bundle for whom a clerk helps (`visitor`).

    It waits for the person's word as any helped application; one word serves for all of the bundle's
    that wait for it, and for none that come later.
    """
    if not bundle:
        raise UserError("单独的事项请从帮办代办开始")
    made = _make(_item(item, applicant), applicant, stages.HELPER, answers, by, bundle)
    record("application.begun", made, by=by, data={"item": item, "relation": stages.HELPER})
    return made


def waiting_with(application: Application) -> list[Application]:
    """The application, and with it those of its bundle that wait for the same word; all rows held."""
    rows = Application.objects.select_for_update(of=("self",)).select_related("applicant", "by")
    if not application.bundle:
        return list(rows.filter(pk=application.pk))
    return list(
        rows.filter(
            bundle=application.bundle,
            applicant=application.applicant_id,
            relation=stages.HELPER,
            confirmed_at=None,
        ).order_by("pk")
    )


def locked(application: Application) -> Application:
    """The application's row, held until the transaction ends; its parties are those read with it."""
    found = together(
        ((Application, "a"),),
        "FROM hall_application a WHERE a.id = %s FOR UPDATE",
        [application.pk],
    )
    if not found:
        raise Application.DoesNotExist(application.pk)
    row: Application = found[0][0]
    for name in ("applicant", "by", "department"):
        known = application._state.fields_cache.get(name)
        if known is not None and known.pk == getattr(row, f"{name}_id"):
            setattr(row, name, known)
    return row


def with_materials(application: Application) -> tuple[Application, list[MaterialState]]:
    """The row as `locked` gives it, and its materials in the item's order.

    These are read once the row is held, not with it: a statement that waited for the row would show
    them as they were before the wait.
    """
    row = locked(application)
    found = together(
        ((MaterialState, "m"),),
        "FROM hall_materialstate m WHERE m.application_id = %s ORDER BY m.place, m.id",
        [row.pk],
    )
    states: list[MaterialState] = [state for (state,) in found]
    for state in states:
        state.application = row
    return row, states


def unfiled(application: Application) -> Application:
    """The locked row of an application that can still be changed."""
    row = locked(application)
    if row.given:
        raise UserError("申请已经提交，不能再修改；可在“我的办件”中查看")
    return row


def allowed(application: Application, by: Actor) -> None:
    """Raises Denied unless `by` may go on with an application."""
    if not applications.reaches(by, application, applications.APPLY):
        raise Denied("没有这份申请")


def confirmed(application: Application) -> None:
    """Raises UserError where a clerk goes on before the person agreed."""
    if application.relation == stages.HELPER and application.confirmed_at is None:
        raise UserError("请先由本人确认同意帮办")


@action(None)
def answer(application: Application, *, answers: Mapping[str, str], by: Actor) -> None:
    """Answer the questions of the situation anew; sources and materials follow."""
    allowed(application, by)
    row = unfiled(application)
    item = _item(row.item, row.applicant)
    if missing := items.open_questions(item, answers):
        raise UserError(f"请先回答：{missing[0].question}")
    wanted = looking.asked(by, item, answers, row.applicant.kind == Party.PERSON)
    row.item_version, row.item_name = item.version, item.name
    row.answers = items.answers_of(item, answers)
    row.asked = [
        {"kind": a.kind, "name": a.name, "columns": a.columns, "fills": a.fills, "frees": a.frees}
        for a in wanted
    ]
    row.consented_at = None
    row.save(update_fields=["item_version", "item_name", "answers", "asked", "consented_at"])
    row.materials.exclude(material__in=[m.id for m in items.materials(item, answers)]).delete()
    record("application.answered", row, by=by)


@action(None)
def confirm(application: Application, *, code: str = "", by: Actor) -> bool:
    """The helped person agrees: himself in his account, or by the digits that he reads to the clerk.

    Of a bundle all that wait are agreed to with one word. Returns whether the digits were right; after
    five wrong ones only paper is left.
    """
    allowed(application, by)
    parts = waiting_with(application)
    row = unfiled(application)
    if row.relation != stages.HELPER or row.confirmed_at is not None:
        raise UserError("这份申请不需要再确认")
    own = by.party is not None and by.party.pk == row.applicant_id
    if not own:
        if row.wrong_codes >= stages.CODE_TRIES:
            raise UserError("确认码输错次数过多，请改用本人签字的书面授权")
        wanted = applications.code_for(by, row)
        if not secrets.compare_digest(code.strip().encode(), wanted.encode()):
            tries = row.wrong_codes + 1
            for part in parts:
                part.wrong_codes = tries
                part.save(update_fields=["wrong_codes"])
            record("application.confirm_failed", row, by=by, data={"tries": tries})
            return False
    for part in parts:
        part.confirm_way, part.confirmed_at = CODE, timezone.now()
        part.save(update_fields=["confirm_way", "confirmed_at"])
        record("application.confirmed", part, by=by, data={"way": CODE})
    return True


@action(None)
def forget_drafts(*, by: Actor) -> int:
    """Forget applications that were never filed, with what was looked up for them."""
    rows = applications.drafts_due(by, int(sources.terms()["draft_days"]))
    count = 0
    for row in rows[:500]:
        row.materials.all().delete()
        row.delete()
        count += 1
    record("application.forgotten", "system:hall", by=by, data={"count": count})
    return count


__all__ = [
    "PAPER",
    "allowed",
    "answer",
    "begin",
    "confirm",
    "confirmed",
    "forget_drafts",
    "help_begin",
    "help_part",
    "locked",
    "new_code",
    "unfiled",
    "visitor",
    "waiting_with",
    "with_materials",
]
