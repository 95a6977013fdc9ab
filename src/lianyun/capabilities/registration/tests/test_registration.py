"""A granted opening becomes a firm: code, licence, and its row in the register at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.registration import actions, adapters, queries
from lianyun.capabilities.registration.models import Firm
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.element import credit_code_ok
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case
from lianyun.kernel.party import department

NUMBER = "320703199003070016"
FORM = {
    "entity_name": "连云港云台山茶业有限公司",
    "other_names": "连云港花果山茶业有限公司、连云港锦屏山茶业有限公司",
    "entity_type": "1130",
    "industry_section": "F",
    "business_scope": "茶叶销售",
    "registered_capital": "100",
    "capital_due_on": "2099-01-01",
    "town_code": "320703001",
    "business_address": "连云区墟沟街道某路 1 号",
    "premises_right": "own",
    "property_certificate": "苏（2020）连云港市不动产权第0001234号",
    "representative_self": "yes",
    "phone": "13812345678",
}


@pytest.fixture
def citizen(city: None, fresh_lake: Any) -> Actor:
    if items.find("company_opening") is None:
        items.sync_declared(by=SYSTEM)
    party = identity.party_of_number(NUMBER, name="张三丰")
    account = identity.account_of(party)
    assert account is not None
    account.level = 4
    account.save(update_fields=["level"])
    return actor_of(party)


@pytest.fixture
def opens(citizen: Actor) -> Callable[..., Case]:
    """An application whose opening was granted, with as much of its form as the register wants."""

    def make(**changes: str) -> Case:
        assert citizen.party is not None
        row = hall.begin(
            "company_opening", applicant=citizen.party,
            answers={"premises": "owned", "tax": "no"}, by=citizen,
        )  # fmt: skip
        row = hall.consent(row, keys=[], by=citizen)
        hall.look_up(row, by=citizen)
        row = type(row).objects.get(pk=row.pk)
        draft = forms.draft_of(row.draft, citizen)
        told = FORM | changes
        for part in forms.form("company_opening").parts:
            if part.id in ("company", "premises", "representative"):
                posted = {f.id: [told[f.id]] for f in part.fields if f.id in told}
                saved = forms.save_part(draft, part.id, posted, 0, by=citizen)
                assert saved.good, saved.errors
        case = cases.open_case(
            "company_opening",
            title="企业开办",
            subject="item:company_opening",
            applicant=citizen.party,
            department=department("scjg"),
            data={"item": "company_opening", "resolution": {"result": "granted"}},
            by=SYSTEM,
        )
        row.case = case
        row.save(update_fields=["case"])
        return case

    return make


def in_register(code: str) -> list[Any]:
    with collection.lake().connect(read_only=True) as con:
        return con.execute(
            "SELECT entity_name, legal_representative, entity_status, region_code"
            " FROM lake.trusted.scjg_enterprises WHERE credit_code = ?",
            [code],
        ).fetchall()


def test_a_firm_is_registered_once_and_stands_in_the_register(
    opens: Callable[..., Case], run_jobs: Callable[[], int], client: Client
) -> None:
    case = opens()
    firm = actions.register_firm(case=case, by=SYSTEM)
    assert firm.trouble == ""
    assert firm.credit_code is not None
    assert credit_code_ok(firm.credit_code)
    licence = Licence.objects.get(kind="business_licence")
    assert licence.number == firm.credit_code
    again = actions.register_firm(case=case, by=SYSTEM)
    assert again.credit_code == firm.credit_code
    assert Licence.objects.count() == 1
    run_jobs()
    firm.refresh_from_db()
    assert firm.batch
    assert in_register(firm.credit_code) == [("连云港云台山茶业有限公司", "张三丰", "1", "320703")]
    assert any("统一社会信用代码" in str(e.data.get("note", "")) for e in timeline(case))
    actions.store(firm=firm, by=SYSTEM)  # told twice, still one row
    assert len(in_register(firm.credit_code)) == 1
    # The name is taken from this minute on, and what is near is named.
    assert "已经登记" in queries.check_name(SYSTEM, firm.name).reasons[0]
    page = client.get("/names/", {"name": "连云港云台山茶叶有限公司"})
    assert "连云港云台山茶业有限公司" in page.content.decode()
    assert "不能使用" in client.get("/names/", {"name": firm.name}).content.decode()


def test_a_name_that_was_taken_meanwhile_waits_for_an_officer(
    opens: Callable[..., Case], run_jobs: Callable[[], int], officer: Any
) -> None:
    first, second = opens(), opens()
    one = actions.register_firm(case=first, by=SYSTEM)
    two = actions.register_firm(case=second, by=SYSTEM)
    assert "已经登记" in two.trouble
    assert (two.credit_code, two.made_at) == (None, None)
    with pytest.raises(Denied):
        actions.register_firm(case=second, by=officer("scjg", "approver"))
    head = officer("scjg", "approval_head")
    with pytest.raises(UserError, match="备用名称"):
        actions.register_firm(case=second, name="连云港别的茶业有限公司", by=head)
    done = actions.register_firm(case=second, name="连云港花果山茶业有限公司", by=head)
    assert done.credit_code not in (None, one.credit_code)
    assert Firm.objects.filter(made_at__isnull=False).count() == 2
    refused = opens(entity_name="连云港锦屏山茶业有限公司")
    refused.data = {**refused.data, "resolution": {"result": "refused"}}
    refused.save(update_fields=["data"])
    with pytest.raises(Denied):
        actions.register_firm(case=refused, by=SYSTEM)
    assert adapters.names_with("没有这样的") == {}
