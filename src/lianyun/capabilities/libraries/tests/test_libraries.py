"""Libraries: one golden record each, provenance, contradictions sent back, readings on record."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.identity.models import User
from lianyun.capabilities.libraries import actions, api, queries
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, Resource

from .conftest import OTHER, PERSON

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def test_each_field_from_who_is_authoritative(sources: None, officer: Officer) -> None:
    run = api.build_library(name="population", by=SYSTEM)
    assert (run.entities, run.standing) == (2, "succeeded")
    assert Event.objects.filter(kind="library.built").exists()
    operator = officer("sjj", "bureau_operator")
    values = {v.title: v for v in queries.record(operator, "population", PERSON) or []}
    assert values["姓名"].value == "张**"
    assert values["姓名"].provider == "市公安局"
    # The phone is whoever spoke last, the name is the police's.
    assert values["联系电话"].value == "139****2222"
    assert values["联系电话"].date == "2026-06-01"
    assert values["联系电话"].batch == "b2"
    assert dict(values["姓名"].quarrel) == {"市公安局": "张**", "市人力资源社会保障局": "张**"}
    assert queries.record(operator, "population", "nobody") is None
    lines = {ln.field.name: ln for ln in queries.source_lines(operator, "population")}
    assert lines["name"].filled == 2
    assert lines["name"].conflicts == 1
    assert lines["name"].authority[1] == "市公安局"


def test_building_again_changes_nothing(sources: None) -> None:
    api.build_library(name="population", by=SYSTEM)
    again = api.build_library(name="population", by=SYSTEM, whole=True)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 2)
    quick = api.build_library(name="population", by=SYSTEM)
    assert not quick.whole


def test_a_library_without_data_says_so(city: None, fresh_lake: object) -> None:
    with pytest.raises(UserError, match="还没有数据"):
        api.build_library(name="population", by=SYSTEM)
    assert Event.objects.filter(kind="library.failed").exists()


def test_a_reading_is_on_record(sources: None, officer: Officer) -> None:
    api.build_library(name="population", by=SYSTEM)
    operator, other = officer("sjj", "bureau_operator"), officer("mz", "data_officer")
    with pytest.raises(Denied):
        actions.look_up(name="population", key=PERSON, purpose="核对", by=other)
    with pytest.raises(UserError, match="用途"):
        actions.look_up(name="population", key=PERSON, purpose="", by=operator)
    with pytest.raises(UserError, match="校验码"):
        actions.look_up(name="population", key="320703199003070011", purpose="核对", by=operator)
    assert actions.look_up(name="population", key=PERSON.lower(), purpose="信访核实", by=operator)
    call = CallRecord.objects.get()
    assert call.key_hash == audit.keyed_hash(PERSON)
    assert (call.purpose, call.channel, call.resource) == ("信访核实", "workbench", "population")
    found = actions.look_up(
        name="population", key=PERSON, purpose="信访核实", by=operator, reveal=True
    )
    assert found is not None
    assert next(v.value for v in found if v.title == "姓名") == "张三丰"
    assert PERSON not in "".join(str(e.data) for e in Event.objects.filter(kind="record.read"))


def test_contradictions_go_back_to_who_lost(sources: None, officer: Officer) -> None:
    api.build_library(name="population", by=SYSTEM)
    operator = officer("sjj", "bureau_operator")
    rows, more = queries.quarrels(operator, "population")
    assert not more
    tokens = [q.token for q in rows]
    made = api.send_back(name="population", tokens=tokens, by=operator)
    names = {c.department.slug for c in made if c.department}
    # The name was the police's, the phone the social insurance's: each loses one.
    assert names == {"ga", "rs"}
    api.send_back(name="population", tokens=tokens, by=operator)
    assert Case.objects.filter(path__key="correction").count() == len(made)
    with pytest.raises(UserError, match="刷新"):
        api.send_back(name="population", tokens=["0-00"], by=operator)
    with pytest.raises(Denied):
        api.send_back(name="population", tokens=tokens, by=officer("mz", "data_officer"))


def test_a_library_is_served_like_a_dataset(sources: None) -> None:
    api.build_library(name="population", by=SYSTEM)
    source = Resource.objects.get(name="population")
    service = services.open_service(source=source, by=SYSTEM)
    assert service.rows == 2
    assert service.lookups == [["citizen_number"]]
    masks = services.masks(SYSTEM, source, ())
    assert masks["name"] == "name"


def test_pages(sources: None, officer: Officer) -> None:
    api.build_library(name="population", by=SYSTEM)
    operator = officer("sjj", "bureau_operator")
    user = User.objects.create(username="operator", party=operator.party)
    browser = Client()
    browser.force_login(user)
    session = browser.session
    session["seen"] = time.time()
    session.save()
    assert "人口库" in browser.get(reverse("libraries:list")).content.decode()
    home = browser.get(reverse("libraries:home", args=["population"])).content.decode()
    assert "权威来源" in home
    assert browser.get(reverse("libraries:home", args=["nothing"])).status_code == 404
    url = reverse("libraries:record", args=["population"])
    page = browser.post(url, {"key": OTHER, "purpose": "信访核实"}).content.decode()
    assert "李*" in page
    assert OTHER not in page.replace(f'value="{OTHER}"', "")
    quarrels = reverse("libraries:conflicts", args=["population"])
    assert "张**" in browser.get(quarrels).content.decode()
    assert browser.post(reverse("libraries:build", args=["population"])).status_code == 302
    assert browser.post(reverse("libraries:build", args=["population"])).status_code == 302
