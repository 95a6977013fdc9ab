"""One application from its first question to a case, and everybody who must not see it."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.forms.actions import save_part
from lianyun.capabilities.hall import actions, api
from lianyun.capabilities.hall.models import Application, MaterialState
from lianyun.capabilities.hall.queries import applications, looking, report
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.models import Agency
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Grant

from .conftest import ANSWERS, ITEM, OLD_MAN, PERSON, PLATE, STRANGER, person


def _png() -> bytes:
    """A whole picture of one dot."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\x00\xff\xff\xff")),
        (b"IEND", b""),
    ):
        mark = struct.pack(">I", zlib.crc32(kind + data))
        out += struct.pack(">I", len(data)) + kind + data + mark
    return out


PNG = _png()


def complete(application: Application, by: Actor, **changes: str) -> None:
    """Fill the form's parts as its pages would."""
    draft = forms.draft_of(application.draft, by)
    told = {
        "applicant_kind": "person",
        "phone": "13812345678",
        "residence_address": "海州区某路 1 号",
        "plate_number": PLATE,
        "plate_type": "01",
        "vehicle_type": "H11",
        "load": "2.5",
        "goods": "food",
        "route": "郁洲路",
        "period": "night",
        "begins_on": "2099-01-01",
        "ends_on": "2099-02-01",
        "truth": "1",
        "signed": "张三丰",
        **changes,
    }
    for part in forms.form("freight_permit").parts:
        posted = {f.id: [told[f.id]] for f in part.fields if f.id in told}
        if part.id == "entity":
            continue
        saved = save_part(draft, part.id, posted, 0, by=by)
        assert saved.good, (part.id, saved.errors)


def keys(application: Application) -> list[str]:
    return [f"{a['kind']}:{a['name']}" for a in application.asked]


def state(application: Application, material: str) -> MaterialState:
    return application.materials.get(material=material)


def fresh(application: Application) -> Application:
    return Application.objects.get(pk=application.pk)


def test_what_the_city_knows_is_not_asked_for(begun: Application, citizen: Actor) -> None:
    assert "licence:driving_licence" in keys(begun)
    with pytest.raises(UserError, match="授权"):
        actions.file(begun, by=citizen)
    row = actions.consent(begun, keys=keys(begun), by=citizen)
    actions.look_up(row, by=citizen)
    row = fresh(begun)
    driver = state(row, "driving_licence")
    assert (driver.met, driver.ground) == (True, "licence")
    assert "320700012345" not in str(driver.evidence)
    filled = forms.answers(forms.draft_of(row.draft, citizen), citizen)
    assert (filled["name"], filled["citizen_number"]) == ("张三丰", PERSON)
    assert filled["phone"] == "13812345678"

    complete(row, citizen)
    actions.verify(row, by=citizen)
    car = state(row, "vehicle_licence")
    assert (car.met, car.ground) == (True, "service")
    assert actions.verify(fresh(begun), by=citizen) == 0  # the same values are not asked twice
    calls = CallRecord.objects.filter(case_code=row.code)
    grants = {g.code for g in Grant.objects.filter(kind="hall")}
    assert {c.grant_code for c in calls} <= grants
    assert {c.resource for c in calls} >= {"population", "ga_vehicles", "licence.driving_licence"}
    assert all(c.by_name.startswith("政务服务大厅") and c.key_hash for c in calls)

    with CaptureQueriesContext(connection) as asked:
        case = actions.file(row, by=citizen)
    assert len(asked) <= 24, "a filing is what the whole city does at once (ADR 0038)"
    assert actions.file(row, by=citizen).pk == case.pk  # pressed twice
    assert Case.objects.filter(once=row.code).count() == 1
    assert case.data["facts"]["m_driving_licence"] == "licence"
    assert case.data["facts"]["applicant_age"] >= 36
    assert PERSON not in str(case.data)
    assert "张三丰" not in str(case.data)
    assert fresh(begun).due_on is not None
    found = api.application_of(case, SYSTEM)
    assert found.applicant == "张**"
    assert PERSON not in str(found.sections) + str(found.materials)
    (item,) = report.by_item(SYSTEM)
    assert (item.freed, item.uploaded) == (item.needed, 0)
    with pytest.raises(UserError, match="已经提交"):
        actions.hand_in(fresh(begun), "driving_licence", ("a.png", PNG), by=citizen)


def test_what_is_refused_or_wrong_is_asked_for(begun: Application, citizen: Actor) -> None:
    row = actions.consent(begun, keys=["dataset:ga_vehicles"], by=citizen)
    actions.look_up(row, by=citizen)
    row = fresh(begun)
    driver = state(row, "driving_licence")
    assert (driver.met, driver.ground) == (False, "")
    assert "没有同意" in driver.words
    assert not CallRecord.objects.filter(case_code=row.code, resource="population").exists()
    complete(row, citizen, plate_number="苏G99999")  # another person's car
    actions.verify(row, by=citizen)
    car = state(row, "vehicle_licence")
    assert not car.met
    assert "不一致" in car.words
    assert "李四" not in str(car.evidence) + car.words + str(car.tried)
    with pytest.raises(UserError, match="机动车驾驶证"):
        actions.file(row, by=citizen)
    for material in ("driving_licence", "vehicle_licence"):
        actions.hand_in(row, material, ("a.png", PNG), by=citizen)
    assert state(row, "driving_licence").ground == "upload"
    # A consent given later and withdrawn again leaves the upload alone.
    actions.consent(row, keys=["dataset:ga_vehicles", "licence:driving_licence"], by=citizen)
    actions.look_up(fresh(begun), by=citizen)
    assert state(row, "driving_licence").ground == "licence"
    actions.withdraw_consent(fresh(begun), key="licence:driving_licence", by=citizen)
    assert not state(row, "driving_licence").met
    actions.hand_in(row, "driving_licence", ("b.png", PNG), by=citizen)
    case = actions.file(fresh(begun), by=citizen)

    assert actions.urge(fresh(begun), by=citizen) == 1
    with pytest.raises(UserError, match="今天已经催办过"):
        actions.urge(fresh(begun), by=citizen)
    with pytest.raises(Denied):
        actions.urge(fresh(begun), by=person(STRANGER, "李四"))
    again = actions.begin(ITEM, applicant=row.applicant, answers=ANSWERS, by=citizen)
    assert looking.earlier(citizen, again, "driving_licence") is not None
    actions.deliver(case, None, "已办结", by=SYSTEM)
    actions.deliver(case, None, "已办结", by=SYSTEM)
    assert fresh(begun).delivered_at is not None


def test_a_source_that_is_down_is_told(begun: Application, citizen: Actor, settings: Any) -> None:
    settings.LAKE_CATALOGUE_URL = "postgresql://nobody@127.0.0.1:1/none"
    row = actions.consent(begun, keys=keys(begun), by=citizen)
    book = actions.look_up(row, by=citizen)
    assert "library:population" in book.down
    assert state(row, "driving_licence").met  # what does not come from there is found all the same
    assert CallRecord.objects.filter(case_code=row.code, outcome="failed").exists()
    row = fresh(begun)
    complete(row, citizen)
    actions.verify(row, by=citizen)
    car = state(row, "vehicle_licence")
    assert "可稍后重试或直接上传" in car.words
    actions.hand_in(row, "vehicle_licence", ("a.png", PNG), by=citizen)
    case = actions.file(row, by=citizen)
    actions.withdraw(fresh(begun), reason="不办了", by=citizen)
    case.refresh_from_db()
    assert (case.state, case.outcome) == ("closed", "withdrawn")


def test_an_agent_files_for_the_firm_while_the_mandate_lasts(citizen: Actor) -> None:
    firm = identity.party_of_credit_code("91110000600037341L", name="甲公司")
    told = {"vehicle": "firm", "route": "ring", "goods": "common"}
    with pytest.raises(Denied):
        actions.begin(ITEM, applicant=firm, answers=told, by=citizen)
    mandate = Agency.objects.create(
        kind="agent", principal=firm, agent=citizen.party, scope=["apply", "follow"],
        since=timezone.localdate(), accepted_at=timezone.now(),
    )  # fmt: skip
    row = actions.begin(ITEM, applicant=firm, answers=told, by=citizen)
    assert row.relation == "agent"
    assert "licence:business_licence" in keys(row)
    assert "library:population" not in keys(row)  # the firm is not the person
    row = actions.consent(row, keys=keys(row), by=citizen)
    actions.look_up(row, by=citizen)
    filled = forms.answers(forms.draft_of(fresh(row).draft, citizen), citizen)
    assert (filled["applicant_kind"], filled["entity_name"]) == ("entity", "甲公司")
    assert not applications.mine(citizen).exists()  # it stands in the firm's space
    acting = Actor(party=citizen.party, behalf=firm)
    assert [a.code for a in applications.mine(acting)] == [row.code]
    mandate.ended_at = timezone.now()
    mandate.save(update_fields=["ended_at"])
    assert applications.one(citizen, row.code) is None
    assert not applications.mine(acting).exists()


def test_nobody_else_finds_it(begun: Application, citizen: Actor) -> None:
    stranger = person(STRANGER, "李四")
    assert applications.one(stranger, begun.code) is None
    for act in (
        lambda: actions.consent(begun, keys=[], by=stranger),
        lambda: actions.file(begun, by=stranger),
        lambda: actions.withdraw(begun, reason="x", by=stranger),
    ):
        with pytest.raises(Denied):
            act()
    assert not applications.mine(stranger).exists()
    with pytest.raises(Denied):
        actions.begin(ITEM, applicant=begun.applicant, answers=ANSWERS, by=stranger)
    weak = person("320703197705050010", "王五", level=identity.SELF)
    assert weak.party is not None
    with pytest.raises(identity.LevelNeeded):
        actions.begin(ITEM, applicant=weak.party, answers=ANSWERS, by=weak)
    with pytest.raises(UserError, match="请先回答"):
        actions.begin(ITEM, applicant=begun.applicant, answers={}, by=citizen)
    visitor = Client()
    for place in ("", "consent/", "materials/", "check/", "receipt/", "supplement/"):
        answer = visitor.get(f"/my/cases/{begun.code}/{place}")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login/")


def test_a_clerk_helps_an_old_man_who_agrees(hall: None, officer: Any) -> None:
    clerk = officer("zwb", "village_clerk")
    with pytest.raises(UserError, match="身份证"):
        actions.help_begin(
            ITEM, number=OLD_MAN, name="赵大爷", answers=ANSWERS, seen=False, by=clerk
        )
    row = actions.help_begin(
        ITEM, number=OLD_MAN, name="赵大爷", answers=ANSWERS, seen=True, by=clerk
    )
    with pytest.raises(UserError, match="本人确认"):
        actions.consent(row, keys=keys(row), by=clerk)
    old_man = Actor(party=row.applicant)
    digits = applications.confirm_code(old_man, row)
    assert digits
    assert applications.confirm_code(clerk, row) == ""
    assert [(a.code, what) for a, what in applications.to_confirm(old_man)] == [
        (row.code, row.item_name)
    ]
    for _ in range(5):
        assert not actions.confirm(row, code="x", by=clerk)
    with pytest.raises(UserError, match="书面授权"):
        actions.confirm(row, code=digits, by=clerk)
    actions.confirm_on_paper(row, uploaded=("a.png", PNG), by=clerk)
    actions.consent(fresh(row), keys=keys(row), by=clerk)
    actions.look_up(fresh(row), by=clerk)
    assert fresh(row).confirm_way == "paper"
    other = officer("zwb", "village_clerk", name="另一位")
    assert applications.one(other, row.code) is None
