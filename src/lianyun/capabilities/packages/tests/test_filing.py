"""One package from its questions to its results: asked once, filed once, nothing lost, nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.models import Agency
from lianyun.capabilities.packages import actions, api
from lianyun.capabilities.packages.models import Filing
from lianyun.capabilities.packages.queries import filings, offered, report
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, WorkItem

from .conftest import ANSWERS, STRANGER, case_of, fill_in, hand_in, person

FIRM = "91110000600037341L"
CLOSING = {"way": "normal", "staff": "no"}
BORN, INSURED, CARD = "newborn_registration", "newborn_medical_insurance", "child_social_card"


def decide(case: Case, outcome: str) -> None:
    """What the desk of an instant item does, to the end; then what listens to the end of the case."""
    (item,) = WorkItem.objects.filter(case=case, done_at=None)
    cases.step(item, outcome, note="理由", by=SYSTEM)
    for item in WorkItem.objects.filter(case=case, done_at=None, step="deliver"):
        cases.step(item, "deliver", by=SYSTEM)
    event = Event.objects.filter(kind="case.closed", case_id_ref=case.pk).latest("id")
    actions.on_case_closed(event)


def stands(filing: Filing, by: Actor) -> dict[str, str]:
    return {s.step.item: s.stands for s in api.progress(filing, by).standings}


def fresh(filing: Filing) -> Filing:
    return Filing.objects.select_related("case").get(pk=filing.pk)


def test_what_packs_declare_can_be_offered(city: None) -> None:
    from lianyun.capabilities.items import api as items

    if items.find(BORN) is None:
        items.sync_declared(by=SYSTEM)
    assert api.sync_declared(by=SYSTEM) == {}
    assert len(api.tiles()) >= 13
    assert api.search("生娃")[0].package.code == "newborn"
    assert api.search("公司不干了")[0].package.code == "enterprise_closing"
    assert api.search("退休")[0].package.code == "retirement"
    assert api.search("qqqq") == []


def test_asked_once_filed_once_and_carried_to_the_end(ready: Filing, father: Actor) -> None:
    wanted = {w.id: w for w in api.materials(ready, father)}
    born = wanted["birth_certificate"]
    assert len(born.items) == 4
    assert born.uploaded is not None
    assert wanted["household_page"].words.startswith("由本套餐“新生儿出生登记")
    assert {m.ground for m in wanted["household_register"].shown} == {"library"}
    assert list(hall.of_bundle(ready.ref, father))
    assert not filings.mine(father).get().filed
    assert hall.applications(SYSTEM) == []  # nothing is opened before it is filed

    case = api.file(ready, by=father)
    assert api.file(ready, by=father).pk == case.pk  # pressed twice
    filed = fresh(ready)
    assert stands(filed, father) == {
        BORN: "open",
        INSURED: "waits",
        CARD: "waits",
        "vaccination_certificate": "open",
        "maternity_medical_claim": "open",
    }
    assert filed.saved["materials"] < filed.saved["materials_apart"]
    assert filed.saved["fields"] < filed.saved["fields_apart"]
    registration = case_of(filed, BORN)
    assert registration.data["bundle"]["name"] == "新生儿出生一件事"
    assert "〔新生儿出生一件事〕" in registration.title
    # Each department reads its own form only.
    shown = hall.application_of(case_of(filed, "vaccination_certificate"), SYSTEM)
    names = {line.name for section in shown.sections for line in section.lines}
    assert "newborn_name" in names
    assert "mother_number" not in names
    with pytest.raises(UserError, match="已经提交"):
        api.hand_in(ready, "birth_certificate", "x.png", b"", by=father)

    decide(registration, "grant")
    actions.go_on(filed, by=SYSTEM)  # told twice
    assert stands(filed, father)[INSURED] == "open"
    insured = case_of(filed, INSURED)
    page = hall.application_of(insured, SYSTEM).materials
    assert {m.id: m.ground for m in page}["household_page"] == "forerun"
    assert registration.code in str([m.evidence for m in page if m.id == "household_page"])
    assert Case.objects.filter(data__bundle__ref=filed.ref).count() == 5

    for item in (INSURED, "vaccination_certificate"):
        decide(case_of(filed, item), "grant")
    for item in (CARD, "maternity_medical_claim"):
        hall.withdraw(
            next(a for a in hall.of_bundle(filed.ref, father) if a.item == item),
            reason="暂时不办",
            by=father,
        )
    actions.go_on(filed, by=SYSTEM)
    ended = fresh(filed).case
    assert (ended.state, ended.outcome) == (Case.CLOSED, "partly")
    told = api.progress(fresh(filed), father)
    assert (told.done, told.over, len(told.results)) == (3, 5, 3)
    (row,) = report.figures(SYSTEM)
    assert (row.number, row.partly, row.items) == (1, 1, 5)
    assert row.materials_saved > 0
    assert row.forms_saved == 4


def test_a_refusal_ends_what_waits_and_nothing_else(ready: Filing, father: Actor) -> None:
    api.file(ready, by=father)
    filed = fresh(ready)
    decide(case_of(filed, BORN), "refuse")
    now = stands(filed, father)
    assert (now[BORN], now[INSURED], now[CARD]) == ("failed", "ended", "ended")
    assert now["vaccination_certificate"] == "open"
    told = {s.step.item: s.note for s in api.progress(filed, father).standings}
    assert "没有办成" in told[INSURED]
    assert api.withdraw(filed, reason="不办了", by=father) == []
    assert fresh(filed).case.outcome == "withdrawn"
    with pytest.raises(UserError, match="已办结"):
        api.withdraw(fresh(filed), reason="再撤", by=father)


@pytest.mark.slow
def test_all_are_opened_or_none(
    ready: Filing, father: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    opens = hall.file

    def dies(application: Any, **told: Any) -> Any:
        if done:
            raise KeyboardInterrupt  # the process is killed between two openings
        done.append(application.item)
        return opens(application, **told)

    monkeypatch.setattr(hall, "file", dies)
    with pytest.raises(KeyboardInterrupt):
        api.file(ready, by=father)
    assert not Case.objects.filter(data__bundle__ref=ready.ref).exists()
    assert fresh(ready).case is None
    monkeypatch.setattr(hall, "file", opens)
    # A worker that was killed before it heard of an end: the job finds it.
    filed = fresh(ready)
    api.file(filed, by=father)
    registration = case_of(filed, BORN)
    (item,) = WorkItem.objects.filter(case=registration, done_at=None)
    cases.step(item, "grant", by=SYSTEM)
    cases.step(WorkItem.objects.get(case=registration, step="deliver"), "deliver", by=SYSTEM)
    from lianyun.capabilities.packages import jobs

    jobs.go_on()
    jobs.go_on()
    assert stands(filed, father)[CARD] == "open"
    assert Event.objects.filter(kind="package.opened", subject=filed.ref).count() == 2


@pytest.mark.slow
def test_answers_change_what_follows_and_strangers_see_nothing(
    ready: Filing, father: Actor
) -> None:
    before = forms.answers(forms.draft_of(ready.draft, father), father)
    actions.answer(ready, answers={**ANSWERS, "insure": "no", "settled": "hospital"}, by=father)
    row = fresh(ready)
    assert {s.item for s in row.steps.all()} == {BORN, CARD, "vaccination_certificate"}
    api.consent(row, keys=[], by=father)
    row = fresh(row)
    after = forms.answers(forms.draft_of(row.draft, father), father)
    assert after["newborn_name"] == before["newborn_name"]  # nothing is asked twice
    assert filings.one(person(STRANGER, "李四"), row.code) is None
    with pytest.raises(UserError, match=r"缺少材料|没有填完|请先"):
        api.file(row, by=father)
    hand_in(row, father)
    assert api.withdraw(row, reason="不办了", by=father) == []
    assert not Filing.objects.exists()
    assert hall.of_bundle(row.ref, SYSTEM) == []


@pytest.mark.slow
def test_an_agent_files_for_a_firm_and_what_waits_needs_him_no_more(father: Actor) -> None:
    firm = identity.party_of_credit_code(FIRM, name="甲物流有限公司")
    with pytest.raises(Denied):
        api.begin("enterprise_closing", applicant=firm, answers=CLOSING, by=father)
    Agency.objects.create(
        kind="agent", principal=firm, agent=father.party, scope=["apply", "follow"],
        since=timezone.localdate(), accepted_at=timezone.now(),
    )  # fmt: skip
    made = api.begin("enterprise_closing", applicant=firm, answers=CLOSING, by=father)
    api.consent(made, keys=[], by=father)
    made = fresh(made)
    fill_in(made, father)
    api.carry(made, by=father)
    hand_in(made, father)
    api.file(made, by=father)
    Agency.objects.all().delete()  # the mandate ends while an item waits
    assert stands(made, SYSTEM) == {"tax_clearance": "open", "company_cancellation": "waits"}
    decide(case_of(made, "tax_clearance"), "grant")
    closing = case_of(made, "company_cancellation")
    page = hall.application_of(closing, SYSTEM)
    assert {m.id: m.ground for m in page.materials}["tax_clear"] == "forerun"
    assert page.applicant == "甲物流有限公司"


def test_a_plan_tells_what_may_still_follow(city: None) -> None:
    from lianyun.capabilities.items import api as items

    if items.find(BORN) is None:
        items.sync_declared(by=SYSTEM)
    told = offered.plan(SYSTEM, "newborn", {})
    assert told is not None
    assert [q.id for q in told.open] == ["follow", "married", "insure", "settled"]  # each once
    told = offered.plan(SYSTEM, "school_entry", {"home": "migrant"})
    assert told is not None
    follows = {p.member.item: p.follows for p in told.parts}
    assert follows["residence_permit_first"] == "maybe"
    assert follows["student_aid"] == "maybe"
    told = offered.plan(SYSTEM, "school_entry", {"home": "migrant", "permit": "no", "aid": "no"})
    assert told is not None
    by_item = {p.member.item: p for p in told.parts}
    assert by_item["student_aid"].follows == "not"
    assert by_item["school_enrolment"].after == ("residence_permit_first",)
    # The residence permit's own situation is not answered by the package: it is asked, once.
    assert [q.id for q in told.open] == ["residence_permit_first__ground"]
