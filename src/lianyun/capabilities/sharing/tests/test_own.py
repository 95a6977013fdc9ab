"""My data: a person sees only the own rows, reports what is wrong once, and follows the outcome."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.quality import api as quality
from lianyun.capabilities.sharing import queries
from lianyun.capabilities.sharing.tests.conftest import PERSON
from lianyun.capabilities.sharing.tests.test_pages import enter
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Party, Resource

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]
KEY = {"citizen_number": PERSON}


@pytest.fixture
def person(residents: Resource) -> Actor:
    party = Party.objects.create(kind="person", name="张三丰")
    audit.link_person(party=party, citizen_number=PERSON, by=SYSTEM)
    party.refresh_from_db()
    return Actor(party)


def told(by: Actor, number: str = PERSON, **more: object) -> Case:
    words = {"item": "phone", "told": "号码已停用", "expected": "13900000000", **more}
    return quality.report_own_error(
        dataset="ga_residents",
        citizen_number=number,
        key=KEY,
        by=by,
        **words,  # type: ignore[arg-type]
    )


def test_only_ones_own_rows(person: Actor, residents: Resource, officer: Officer) -> None:
    assert [(r.name, n) for r, n in queries.own_counts(person, PERSON)] == [("ga_residents", 1)]
    (row,) = queries.own_rows(person, residents, PERSON)
    assert {n: v for n, _, v in row.cells}["name"] == "张三丰"
    stranger = Actor(Party.objects.create(kind="person", name="李四"))
    audit.link_person(party=stranger.party, citizen_number="320703199001011235", by=SYSTEM)  # type: ignore[arg-type]
    assert queries.own_rows(stranger, residents, PERSON) == []
    assert queries.own_counts(stranger, PERSON) == []
    with pytest.raises(Denied):
        told(stranger)
    with pytest.raises(Denied):
        told(stranger, number="320703199001011235")
    with pytest.raises(Denied):
        told(officer("ga", "data_officer"))


def test_a_cell_is_reported_once_and_followed_by_all(person: Actor, officer: Officer) -> None:
    with pytest.raises(UserError, match="应当是什么"):
        told(person, expected="")
    case = told(person)
    assert case.items.get().days_left == 10
    assert told(person) == case
    receiver = officer("mz", "data_officer")
    again = quality.report_error(
        dataset="ga_residents", key=KEY, item="phone", told="打不通", by=receiver
    )
    assert again == case
    (report,) = quality.reports_of(person)
    assert report.expected == "13900000000"
    assert report.reporter is None
    assert list(report.others.all()) == [receiver.department]
    other = quality.report_error(
        dataset="ga_residents", key=KEY, item="name", told="同音字", by=receiver
    )
    assert other != case


def test_the_pages_of_my_data(person: Actor, officer: Officer) -> None:
    browser, home = enter(person), reverse("sharing:own")
    assert "核对身份" in browser.get(home).content.decode()
    wrong = browser.post(home, {"number": "320703199001011235"})
    assert "不符" in wrong.content.decode()
    assert browser.get(reverse("sharing:own_rows"), {"dataset": "ga_residents"}).status_code == 302
    assert browser.post(home, {"number": PERSON}).status_code == 302
    assert PERSON not in str(dict(browser.session.items()))
    assert "户籍人口信息" in browser.get(home).content.decode()
    shown = browser.get(reverse("sharing:own_rows"), {"dataset": "ga_residents"})
    assert "张三丰" in shown.content.decode()
    assert browser.get(reverse("sharing:own_rows"), {"dataset": "nothing"}).status_code == 404
    place = f"{reverse('sharing:own_report')}?dataset=ga_residents&row=0&item=phone"
    assert "13812345678" in browser.get(place).content.decode()
    beyond = place.replace("row=0", "row=9")
    assert browser.get(beyond).status_code == 404
    sent = browser.post(place, {"expected": "13900000000", "told": "号码已停用", "once": "t"})
    assert sent.status_code == 302, sent.content.decode()
    assert browser.post(place, {"expected": "1", "told": "再", "once": "t"}).status_code == 302
    case = Case.objects.get(path__key="correction")
    assert case.code in browser.get(home).content.decode()
    provider = enter(officer("ga", "data_officer"))
    page = provider.get(reverse("quality:case", args=[case.code])).content.decode()
    assert "由数据涉及的本人提出" in page
    assert "13900000000" in page
    from lianyun.capabilities.quality import actions

    actions.answer_correction(
        item=case.items.get(),
        outcome="corrected",
        note="已改为 13900000000",
        by=officer("ga", "data_officer"),
    )
    after = browser.get(home).content.decode()
    assert "已更正" in after
    assert "已改为 13900000000" in after
    nobody = enter(Actor(Party.objects.create(kind="person", name="王五")))
    assert "尚未关联" in nobody.get(home).content.decode()
