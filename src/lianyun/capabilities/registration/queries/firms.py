"""Queries: a name's verdict, firms that were registered, what of an application the register wants."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import F, QuerySet

from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case

from .. import adapters, rules
from ..models import Firm

ITEM = "company_opening"
AUTHORITY = "连云港市市场监督管理局"


def words() -> rules.Words:
    """What the city declares of names."""
    return rules.Words.of(packs.mapping("legal_entity", "names.yaml"))


def check_name(viewer: Actor, name: str, own: str = "") -> rules.Verdict:
    """What may be said of a name today; raises UserError where the registers do not answer.

    `own` is the credit code of the firm that wants it: the name it bears stands in nobody's way.
    """
    told = words()
    known = adapters.names_with(rules.core(name, told))
    return rules.judge(name, [n for n, codes in known.items() if codes != {own}], told)


def firms(viewer: Actor) -> QuerySet[Firm]:
    """Firms registered here, newest first, and before them those that wait."""
    viewer.require("registration.read")
    return Firm.objects.select_related("case").order_by(F("made_at").desc(nulls_first=True), "-id")


def firm(viewer: Actor, number: int) -> Firm | None:
    """One of them."""
    return firms(viewer).filter(pk=number).first()


def of_case(case: Case) -> Firm | None:
    """What became of a case."""
    return Firm.objects.filter(case=case).first()


def next_number(region: str) -> int:
    """The number of the next firm of a region, from 1; the caller holds the lock."""
    return Firm.objects.filter(region=region).exclude(credit_code=None).count() + 1


def representative(answers: dict[str, Any]) -> tuple[str, str]:
    """Name and number of the legal representative: the applicant where the form says so."""
    if answers.get("representative_self") == "yes":
        return str(answers["applicant_name"]), str(answers.get("applicant_number") or "")
    return str(answers.get("legal_representative") or ""), str(
        answers.get("legal_rep_number") or ""
    )


def elements(answers: dict[str, Any], name: str, code: str, today: dt.date) -> dict[str, Any]:
    """The business licence's elements."""
    return {
        "credit_code": code,
        "entity_name": name,
        "entity_type": answers["entity_type"],
        "legal_representative": representative(answers)[0],
        "registered_capital": answers.get("registered_capital"),
        "founded_on": today.isoformat(),
        "business_address": answers["business_address"],
        "business_scope": answers["business_scope"],
        "registration_authority": AUTHORITY,
        "approved_on": today.isoformat(),
    }


def row(answers: dict[str, Any], given: dict[str, Any], now: dt.datetime) -> dict[str, str]:
    """The register's row, as its department would deliver it."""
    told = {
        **{k: given[k] for k in ("credit_code", "entity_name", "entity_type", "legal_representative",
                                 "registered_capital", "founded_on", "approved_on", "business_scope",
                                 "business_address", "registration_authority")},
        "legal_rep_number": representative(answers)[1],
        "industry_section": answers.get("industry_section"),
        "region_code": str(answers["town_code"])[:6],
        "town_code": answers["town_code"],
        "entity_status": "1",
        "phone": answers.get("phone"),
        "update_time": now.strftime("%Y-%m-%d %H:%M:%S"),
    }  # fmt: skip
    return {k: str(v) for k, v in told.items() if v not in (None, "")}
