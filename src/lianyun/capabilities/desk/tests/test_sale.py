"""A home is sold: three departments agree, the buyer gets the certificate, the seller's ends."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lianyun.capabilities.desk import actions, queries
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.hall.tests.conftest import PERSON, STRANGER, person
from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.party import department

from .conftest import Officer

OLD, NEW = "苏（2020）连云港市不动产权第0001234号", "苏（2026）连云港市不动产权第0099999号"
HOME = {
    "property_certificate": OLD, "property_location": "海州区某路 8 号 2 幢 301 室",
    "property_area": "88.5", "property_use": "10", "right_type": "05",
}  # fmt: skip


def owned(owner: Actor, number: str) -> licences.Licence:
    """The certificate of the home."""
    return licences.issue(
        "property_certificate",
        owner.party,
        {**HOME, "owner_name": "张三丰", "citizen_number": number,
         "registered_on": dt.date(2020, 3, 1)},
        once="home-of-zhang",
        by=SYSTEM,
    )  # fmt: skip


def sold(by: Actor, **sale: str) -> Any:
    """A filed sale, with as much of its form as the result wants."""
    assert by.party is not None
    row = hall.begin("property_sale", applicant=by.party, answers={"loan": "none"}, by=by)
    row = hall.consent(row, keys=[], by=by)
    hall.look_up(row, by=by)
    row = type(row).objects.get(pk=row.pk)
    told = {
        **HOME,
        "contract_number": "HT1",
        "contract_price": "900000",
        "first_home": "yes",
        **sale,
    }
    draft = forms.draft_of(row.draft, by)
    for part in forms.form("property_sale").parts:
        if part.id in ("property", "sale"):
            posted = {f.id: [told[f.id]] for f in part.fields if f.id in told}
            saved = forms.save_part(draft, part.id, posted, 0, by=by)
            assert saved.good, saved.errors
    row.case = cases.open_case(
        "property_sale", title="二手房买卖（张**）", subject="item:property_sale",
        applicant=by.party, department=department("zr"),
        data={"item": "property_sale", "promised_days": 1, "application": row.code}, by=SYSTEM,
    )  # fmt: skip
    row.save(update_fields=["case"])
    return row.case


def done(case: Any, officer: Officer) -> Any:
    """All three departments agree; registered; what the licence waits for."""
    actions.work(case.items.get(step="receive"), "accept", by=officer("zr", "approver"))
    for step, slug in (("contract", "zj"), ("tax", "sws")):
        actions.work(case.items.get(step=step), "agree", by=officer(slug, "approver"))
    actions.work(case.items.get(step="decide"), "grant", by=officer("zr", "approval_head"))
    case.refresh_from_db()
    return queries.wanted(SYSTEM, case)


@pytest.mark.parametrize("side", ["seller", "buyer"])
def test_the_buyer_gets_the_certificate_and_the_sellers_ends(
    city: None, fresh_lake: Any, officer: Officer, side: str
) -> None:
    if items.find("property_sale") is None:
        items.sync_declared(by=SYSTEM)
    seller, buyer = person(PERSON, "张三丰"), person(STRANGER, "李四")
    old = owned(seller, PERSON)
    if side == "seller":
        case = sold(seller, side="seller", buyer_name="李四", buyer_number=STRANGER)
    else:
        case = sold(buyer, side="buyer", seller_name="张三丰", seller_number=PERSON)
    wanted = done(case, officer)
    assert wanted.ends == old
    assert "证书号" in [title for _, title in wanted.lacking]
    row = case.items.get(step="deliver", done_at=None)
    actions.work(
        row, "deliver", elements={"property_certificate": NEW},
        by=officer("zr", "approver", "approval_head"),
    )  # fmt: skip
    old.refresh_from_db()
    assert old.ending == "annulled"
    new = licences.current("property_certificate", buyer.party, SYSTEM)
    assert new is not None
    assert (new.number, licences.belongs_to(new, STRANGER)) == (NEW, True)
    assert licences.current("property_certificate", seller.party, SYSTEM) is None


def test_a_strangers_certificate_does_not_end(
    city: None, fresh_lake: Any, officer: Officer
) -> None:
    if items.find("property_sale") is None:
        items.sync_declared(by=SYSTEM)
    owned(person(PERSON, "张三丰"), PERSON)
    thief = person("320703194001010017", "赵大爷")
    case = sold(thief, side="seller", buyer_name="李四", buyer_number=STRANGER)
    wanted = done(case, officer)
    assert (wanted.ends, "不属于" in wanted.wrong) == (None, True)
