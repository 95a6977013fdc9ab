"""A firm in the register with its licence and its representative, and whoever is to follow him."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.models import Agency
from lianyun.capabilities.items import api as items
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.licences import api as licences
from lianyun.capabilities.registration import adapters
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.models import Case, Party
from lianyun.kernel.party import department

FIRM, NAME = "91110000600037341L", "连云港云台山茶业有限公司"
HEAD, NEXT, CREDITOR = "320703199003070016", "320703198811110034", "320703194001010017"
ROW = {
    "credit_code": FIRM, "entity_name": NAME, "entity_type": "1130", "legal_representative": "张三丰",
    "legal_rep_number": HEAD, "registered_capital": "100", "founded_on": "2020-05-01",
    "approved_on": "2020-05-01", "industry_section": "F", "business_scope": "茶叶销售",
    "business_address": "连云区墟沟街道某路 1 号", "region_code": "320703", "town_code": "320703001",
    "registration_authority": "连云港市市场监督管理局", "entity_status": "1",
    "update_time": "2026-01-01 08:00:00",
}  # fmt: skip


def person(number: str, name: str) -> Actor:
    """A citizen who was proven at a counter."""
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    return actor_of(Party.objects.get(pk=party.pk))


def found_firm() -> Actor:
    """The firm in the register, with Zhang as its representative."""
    if items.find("company_change") is None:
        items.sync_declared(by=SYSTEM)
    adapters.put(ROW, SYSTEM)
    head = person(HEAD, "张三丰")
    Agency.objects.create(
        kind="representative", principal=identity.party_of_credit_code(FIRM, name=NAME),
        agent=head.party, since=timezone.localdate(), accepted_at=timezone.now(),
        scope=list(identity.SCOPES),
    )  # fmt: skip
    return head


def known_everywhere() -> None:
    """The firm in the library and in its wallet too."""
    libraries.sync_libraries(by=SYSTEM)
    libraries.build_library(name="legal_entity", by=SYSTEM)
    licences.issue_from_register("business_licence", by=SYSTEM)


def represent(who: Actor) -> Agency:
    """Binds by the register's number, as online."""
    made = identity.claim_firm(FIRM, by=who)
    assert made is not None
    return made


def firm() -> Party:
    """The firm."""
    return Party.objects.get(code=FIRM)


def put_answers(row: Any, values: dict[str, Any], parts: tuple[str, ...], by: Actor) -> None:
    """As much of an application's form as the register wants."""
    draft = forms.draft_of(row.draft, by)
    for part in forms.form(row.item).parts:
        if part.id in parts:
            posted = {f.id: values[f.id] for f in part.fields if f.id in values}
            lists = {k: v if isinstance(v, list) else [v] for k, v in posted.items()}
            saved = forms.save_part(draft, part.id, lists, 0, by=by)
            assert saved.good, saved.errors


def walk(case: Case, *steps: tuple[str, str]) -> Case:
    """Do these steps as desks would."""
    for step, outcome in steps:
        item = case.items.get(step=step, done_at=None)
        data = {"resolution": {"result": "granted"}} if step == "decide" else {}
        cases.step(item, outcome, note="同意", data=data, by=SYSTEM)
        case.refresh_from_db()
    return case


GRANTED = (("receive", "accept"), ("review", "grant"), ("decide", "grant"))


@pytest.fixture
def head(city: None, fresh_lake: Any) -> Actor:
    """Zhang, who represents the firm."""
    return found_firm()


@pytest.fixture
def asks(head: Actor) -> Callable[..., Case]:
    """A case of the firm about its registration, filed by its representative."""

    def make(item: str, answers: dict[str, str], **form: Any) -> Case:
        party = firm()
        row = hall.begin(item, applicant=party, answers=answers, by=head)
        row = hall.consent(row, keys=[], by=head)
        hall.look_up(row, by=head)
        row = type(row).objects.get(pk=row.pk)
        put_answers(row, {"resolved_on": "2026-01-05", **form}, ("change",), head)
        row.case = cases.open_case(
            item, title=row.item_name, subject=f"item:{item}", applicant=party,
            department=department("scjg"),
            data={"item": item, "promised_days": 1, "situations": answers, **answers}, by=SYSTEM,
        )  # fmt: skip
        row.save(update_fields=["case"])
        return row.case

    return make
