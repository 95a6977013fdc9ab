"""Action: a granted opening becomes a firm: name checked again, code given, licence issued, row stored."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import credit_check_digit
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, WorkItem

from .. import adapters, queries, rules
from ..models import Firm
from ..queries.changes import REGISTER

LOCK, MESSAGE, LICENCE = 0x6C79_5202, "registered", "business_licence"
"""One at a time: a name and a number are given once, a firm's row is changed on top of what it is."""


def on_registered(event: Event) -> None:
    """A firm was registered: its row goes into the register at once."""
    firm = Firm.objects.filter(case_id=event.case_id_ref or 0).first()
    if firm is not None and not firm.batch and firm.made_at is not None:
        store(firm=firm, by=SYSTEM)


@action(None)
def register_firm(*, case: Case, name: str = "", by: Actor) -> Firm:
    """Register the firm of a granted application; what stands in the way waits for an officer.

    `name` is another name than the form's first, chosen by the officer among the applicant's own.
    Raises Denied.
    """
    if not by.everything:
        by.require("registration.settle", case.department)
    if (case.data.get("resolution") or {}).get("result") != "granted":
        raise Denied("这件申请没有准予登记")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    answers = hall.answers(case, by)
    wanted = name.strip() or str(answers["entity_name"])
    offered = [str(answers["entity_name"]), *_listed(str(answers.get("other_names") or ""))]
    if wanted not in offered:
        raise UserError("只能使用申请人填写的名称和备用名称")
    region = str(answers["town_code"])[:6]
    firm = Firm.objects.filter(case=case).first() or Firm(case=case, name=wanted, region=region)
    if firm.made_at is not None:
        record("firm.seen", firm, by=by, case=case)
        return firm
    firm.name = wanted
    try:
        with transaction.atomic():
            given = _made(firm, answers, by)
    except UserError as trouble:
        firm.trouble, firm.credit_code = str(trouble)[:400], None
        firm.save()
        record("firm.waits", firm, by=by, case=case, data={"message": firm.trouble})
        return firm
    _hand_over(firm, answers, by)
    told = {"title": "企业登记完成", "note": f"{wanted}，统一社会信用代码 {given['credit_code']}"}
    record("firm.registered", case, by=by, case=case, data=told)
    return firm


def _hand_over(firm: Firm, answers: dict[str, Any], by: Actor) -> None:
    """The licence to the applicant, the firm to its head, the case on to the other departments."""
    case, code = firm.case, str(firm.credit_code)
    heads = queries.representative(answers)[1] == str(answers.get("applicant_number") or "")
    licence = None
    # Only who may act for the firm can open its licence.
    if (
        case.applicant is not None
        and heads
        and identity.represent_new_firm(code, firm.name, case.applicant, by=SYSTEM)
    ):
        licence = licences.current(LICENCE, identity.party_of_credit_code(code), SYSTEM)
    hall.deliver(case, licence, f"{firm.name}已登记，统一社会信用代码 {code}", by=SYSTEM)
    if WorkItem.objects.filter(case=case, step=REGISTER, done_at=None).exists():
        cases.receive(case, MESSAGE, {"credit_code": code}, f"{case.code}:{MESSAGE}", by=by)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.replace("，", "、").split("、") if part.strip()]


def _made(firm: Firm, answers: dict[str, Any], by: Actor) -> dict[str, Any]:
    """Code, licence and row of a firm; raises UserError with what stands in the way."""
    verdict = queries.check_name(by, firm.name)
    # One that was registered a moment ago stands in the register only when its row is stored.
    fresh = Firm.objects.filter(name=firm.name, batch="").exclude(made_at=None)
    taken = fresh.exclude(pk=firm.pk).exists()
    if verdict.level == rules.BAD or taken:
        raise UserError("；".join(verdict.reasons) or f"“{firm.name}”已经登记")
    number = queries.next_number(firm.region)
    while True:
        body = rules.body_of(firm.region, number)
        code = body + credit_check_digit(body)
        if not Firm.objects.filter(credit_code=code).exists():
            break
        number += 1
    given = queries.elements(answers, firm.name, code, timezone.localdate())
    # The word by which a run over the register knows it too: it never gives a second one.
    licence = licences.issue(LICENCE, None, given, case=firm.case, once=f"{code}|{code}", by=by)
    firm.credit_code, firm.licence = code, str(licence.identifier)
    firm.trouble, firm.made_at = "", timezone.now()
    firm.save()
    return given


@action(None)
def store(*, firm: Firm, by: Actor) -> None:
    """The firm's row into the register's dataset, once; merged by its code, so a repetition is harmless."""
    if not by.everything:
        raise Denied("只有系统写入登记库")
    held = Firm.objects.select_for_update().select_related("case").get(pk=firm.pk)
    answers = hall.answers(held.case, by)
    moment = timezone.localtime(held.made_at)
    given = queries.elements(answers, held.name, str(held.credit_code), moment.date())
    held.batch = adapters.put(queries.row(answers, given, moment), by)
    held.save(update_fields=["batch"])
    record("firm.stored", held, by=by, case=held.case, data={"batch": held.batch})
