"""Federated services: drawn up without code, answered by two departments' servers and a library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pyarrow as pa
import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.federation import actions, queries, rules
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.services import api as services
from lianyun.capabilities.services.fast import app, shutdown
from lianyun.capabilities.services.fast.answers import federated
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Event, Grant, Party, Resource

pytestmark = pytest.mark.django_db(transaction=True)
A, B = "320703199003070016", "320703198811110034"
Officer = Callable[..., Actor]


@pytest.fixture
def city(transactional_db: None, fresh_lake: Any) -> None:
    """All packs installed, datasets and libraries catalogued, the population library filled."""
    libraries.sync_libraries(by=SYSTEM)
    rows = [
        {"citizen_number": A, "name": "张三丰", "sex": "1", "town_code": "320703001"},
        {"citizen_number": B, "name": "李四", "sex": "1", "town_code": "320703002"},
    ]
    with collection.lake().connect() as con:
        con.register("rows_of_test", pa.Table.from_pylist(rows))
        con.execute("CREATE OR REPLACE TABLE lake.library.population AS SELECT * FROM rows_of_test")
        con.unregister("rows_of_test")


@pytest.fixture(scope="module")
def mariadb(mariadb_server: Any) -> Any:
    """The social insurance's MariaDB with one insured person."""
    con = mariadb_server.connect()
    with con.cursor() as cursor:
        cursor.execute("CREATE DATABASE rs CHARACTER SET utf8mb4")
        cursor.execute(
            "CREATE TABLE rs.insured (公民身份号码 varchar(18) PRIMARY KEY, 姓名 varchar(50),"
            " 单位名称 varchar(100), 手机号码 varchar(20))"
        )
        cursor.execute(
            "INSERT INTO rs.insured VALUES (%s, '张三丰', '港口集团', '13812345678')", [A]
        )
    con.commit()
    con.close()
    return mariadb_server


@pytest.fixture
def sources(city: None, empty_database: Callable[[], str], mariadb: Any) -> str:
    """The police's PostgreSQL and the social insurance's MariaDB, registered as sources."""
    url = empty_database()
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(
            "CREATE TABLE hj (citizen_number text PRIMARY KEY, name text, birth_date date,"
            " household_number text)"
        )
        con.execute(
            "INSERT INTO hj VALUES (%s, '张三丰', '1990-03-07', 'H1'),"
            " (%s, '李四', '1988-11-11', 'H2')",
            [A, B],
        )
    told: dict[str, Any] = {"mode": "full", "by": SYSTEM}
    collection.register_source(
        dataset="ga_residents", name="ga_db", kind="postgresql", location=url,
        options={"table": "hj"}, **told,
    )  # fmt: skip
    collection.register_source(
        dataset="rs_insured", name="rs_db", kind="mysql",
        location=f"mysql://root@localhost/rs?unix_socket={mariadb.path}",
        options={"table": "insured"}, **told,
    )  # fmt: skip
    yield url
    federated.federation().close()
    federated.federation.cache_clear()


def drawing(**more: Any) -> rules.Drawing:
    told: dict[str, Any] = {
        "name": "person_overview",
        "title": "人员综合查询",
        "summary": "按公民身份号码查询户籍、参保和人口库信息",
        "tables": (
            rules.Chosen("served:population", ("citizen_number", "name", "town_code")),
            rules.Chosen("source:ga_db", ("birth_date",), "citizen_number", "citizen_number"),
            rules.Chosen("source:rs_db", ("name", "unit_name"), "citizen_number", "citizen_number"),
        ),
        "lookups": ("citizen_number",),
    }
    return rules.Drawing(**{**told, **more})


def token_for(resource: Resource, **terms: Any) -> tuple[Grant, str]:
    grant = grants.issue(
        kind="data",
        to=Party.objects.get(kind="department", slug="mz"),
        resource=resource,
        terms={
            "fields": [f.name for f in services.fields(SYSTEM, resource)],
            "masks": services.masks(SYSTEM, resource, ()),
            "operations": ["federated"],
            "purpose": "低保核对",
            "calls_per_day": 100,
            **terms,
        },
        by=SYSTEM,
    )
    client = services.issue_client(grant=grant, by=SYSTEM)
    return grant, services.collect_secret(client=client, by=SYSTEM)


def consent(name: str, *items: str, **terms: Any) -> Grant:
    """A provider's consent that the bureau gives these items of its table by federated query."""
    resource = Resource.objects.select_related("owner").get(name=name)
    return grants.issue(
        kind="data",
        to=Party.objects.get(slug="sjj"),
        grantor=resource.owner,
        resource=resource,
        terms={
            "fields": ["citizen_number", *items],
            "masks": services.masks(SYSTEM, resource, ["citizen_number"]),
            "operations": ["federated"],
            "purpose": "汇合提供",
            **terms,
        },
        by=SYSTEM,
    )


@pytest.fixture
def consents(sources: str) -> tuple[Grant, Grant]:
    """The police's and the social insurance's."""
    return consent("ga_residents", "birth_date"), consent("rs_insured", "name", "unit_name")


def ask(token: str, *questions: str) -> list[httpx.Response]:
    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
            try:
                return [await http.get(q, headers=headers) for q in questions]
            finally:
                await shutdown()

    return asyncio.run(main())


def test_three_places_answer_one_call(
    sources: str, consents: tuple[Grant, Grant], officer: Officer
) -> None:
    service = actions.draw_up(drawing=drawing(), by=officer("sjj", "bureau_operator"))
    resource = service.source
    assert str(resource.owner) == str(Party.objects.get(slug="sjj"))
    assert resource.level >= 3
    grant, token = token_for(resource)
    path = "/api/data/person_overview:federated"
    whole, part, nobody, wrong = ask(
        token,
        f"{path}?citizen_number={A}",
        f"{path}?citizen_number={B}",
        f"{path}?citizen_number=320703197001010018",
        f"{path}?name=x",
    )
    assert whole.status_code == 200, whole.text
    assert whole.json()["rows"] == [
        {
            "citizen_number": "320***********0016",
            "name": "张**",
            "town_code": "320703001",
            "birth_date": "1990-03-07",
            "name_3": "张**",
            "unit_name": "港口集团",
        }
    ]
    assert part.json()["rows"][0]["unit_name"] is None
    assert nobody.json() == {"resource": "person_overview", "count": 0, "rows": []}
    assert wrong.status_code == 400
    records = list(CallRecord.objects.order_by("id"))
    assert [r.outcome for r in records] == ["ok", "ok", "empty", "bad_request"]
    assert {r.operation for r in records} == {"federated"}
    assert {r.grant_code for r in records} == {grant.code}
    # A right without this operation, with fewer fields, narrowed to a town, or withdrawn.
    _, plain = token_for(resource, operations=["query"])
    assert ask(plain, f"{path}?citizen_number={A}")[0].status_code == 403
    _, few = token_for(resource, fields=["name", "unit_name"], scope={"town_code": ["320703002"]})
    answers = ask(few, f"{path}?citizen_number={A}", f"{path}?citizen_number={B}")
    assert answers[0].json()["rows"] == []
    assert answers[1].json()["rows"] == [{"name": "李*", "unit_name": None}]
    _, astray = token_for(resource, scope={"no_such": ["1"]})
    assert ask(astray, f"{path}?citizen_number={A}")[0].json()["rows"] == []
    with transaction.atomic():
        grants.revoke(grant, reason="用途结束", by=SYSTEM)
    assert ask(token, f"{path}?citizen_number={A}")[0].status_code == 403


def test_a_source_that_is_down_is_named(
    sources: str, consents: tuple[Grant, Grant], officer: Officer, city: None
) -> None:
    boss = officer("sjj", "bureau_operator")
    actions.draw_up(drawing=drawing(), by=boss)
    other = drawing(
        name="residents_now",
        title="户籍实时查询",
        tables=(rules.Chosen("source:ga_db", ("name", "birth_date")),),
        ranges=("birth_date",),
    )
    police = officer("ga", "data_officer")
    made = actions.draw_up(drawing=other, by=police)
    assert made.source.owner == police.department
    _, joined = token_for(Resource.objects.get(name="person_overview"))
    _, single = token_for(made.source)
    collection.register_source(
        dataset="rs_insured", name="rs_db", kind="mysql", location="mysql://root@127.0.0.1:1/rs",
        options={"table": "insured"}, replace=True, by=SYSTEM,
    )  # fmt: skip
    path = f"/api/data/person_overview:federated?citizen_number={A}"
    answers = ask(joined, *[path] * 4)
    assert {a.status_code for a in answers} == {503}
    assert "参保" in answers[0].json()["title"]
    assert "连不上" in answers[0].json()["title"]
    assert "暂停访问" in answers[3].json()["title"]
    assert answers[0].headers["retry-after"]
    assert "127.0.0.1" not in answers[0].text
    assert Event.objects.filter(kind="source.unreachable", subject="source:rs_db").count() == 1
    state = {p[0]: p[2] for p in queries.one(boss, "person_overview").parts}
    assert [s.well for s in state.values()] == [True, True, False]
    # The others keep working: also the sound sources of the same join.
    spans = "/api/data/residents_now:federated?birth_date.from=1990-01-01&birth_date.to=1990-12-31"
    (found,) = ask(single, spans)
    assert found.status_code == 200, found.text
    assert found.json()["rows"][0]["birth_date"] == "1990-03-07"
    assert found.json()["count"] == 1


def test_who_may_draw_up_what(sources: str, officer: Officer) -> None:
    police, other = officer("ga", "data_officer"), officer("rs", "data_officer")
    assert [t.ref for t in queries.tables(police)] == ["source:ga_db"]
    assert [t.ref for t in queries.tables(other)] == ["source:rs_db"]
    with pytest.raises(UserError, match="不能使用"):
        actions.draw_up(drawing=drawing(), by=police)
    with pytest.raises(Denied):
        actions.draw_up(drawing=drawing(), by=officer("ga", "share_head"))
    taken = drawing(name="ga_residents", tables=(rules.Chosen("source:ga_db", ("name",)),))
    with pytest.raises(UserError, match="已被"):
        actions.draw_up(drawing=taken, by=police)
    strange = drawing(tables=(rules.Chosen("source:ga_db", ("phone",)),))
    with pytest.raises(UserError, match="没有这些数据项"):
        actions.draw_up(drawing=strange, by=police)


def test_the_page_makes_a_service(sources: str, officer: Officer, client: Client) -> None:
    police = officer("ga", "data_officer")
    client.force_login(get_user_model().objects.create(username="ga", party=police.party))
    assert client.get(reverse("federation:new")).status_code == 200
    where = f"{reverse('federation:new')}?base=source:ga_db"
    assert "出生日期" in client.get(where).content.decode()
    told = {
        "title": "户籍实时查询", "name": "residents_now", "summary": "按号码实时查询户籍信息",
        "lookups": ["citizen_number"], "fields_0": ["name", "birth_date"],
        "seconds": "3", "calls_per_day": "0",
    }  # fmt: skip
    done = client.post(where, told, follow=True)
    assert "已开通" in done.content.decode()
    assert Resource.objects.get(name="residents_now").state == Resource.PUBLISHED
    assert "户籍实时查询" in client.get(reverse("federation:list")).content.decode()
    assert Path(reverse("federation:detail", args=["residents_now"])).name == "residents_now"


@transaction.atomic
def moved(move: Callable[..., None], grant: Grant) -> None:
    """A grant suspended, resumed or revoked."""
    move(grant, reason="试验", by=SYSTEM)


def test_no_service_before_every_provider_has_consented(
    sources: str, officer: Officer, client: Client
) -> None:
    boss = officer("sjj", "bureau_operator")
    with pytest.raises(UserError, match=r"公安局尚未同意.*出生日期.*；.*尚未同意.*单位名称"):
        actions.draw_up(drawing=drawing(), by=boss)
    assert not Resource.objects.filter(name="person_overview").exists()
    consent("ga_residents", "birth_date")
    consent("rs_insured", "name")  # not the unit's name
    consent("rs_insured", "name", "unit_name", operations=["query"])
    other = consent("rs_insured", "name", "unit_name")
    moved(grants.suspend, other)
    with pytest.raises(UserError) as told:
        actions.draw_up(drawing=drawing(), by=boss)
    assert "公安局" not in str(told.value)
    client.force_login(get_user_model().objects.create(username="b", party=boss.party))
    where = (
        f"{reverse('federation:new')}?base=served:population&more=source:ga_db&more=source:rs_db"
    )
    page = client.get(where).content.decode()
    assert page.count("已同意") == 2
    moved(grants.resume, other)
    assert actions.draw_up(drawing=drawing(), by=boss).source.state == Resource.PUBLISHED


def test_a_provider_s_consent_rules_every_call(
    sources: str, consents: tuple[Grant, Grant], officer: Officer, client: Client
) -> None:
    boss = officer("sjj", "bureau_operator")
    resource = actions.draw_up(drawing=drawing(), by=boss).source
    plain = {"fields": ["name_3", "unit_name", "birth_date"], "masks": {}}
    _, token = token_for(resource, **plain)
    path = f"/api/data/person_overview:federated?citizen_number={A}"

    def answer() -> Any:
        (found,) = ask(token, path)
        return found.json()["rows"][0] if found.status_code == 200 else found

    whole = {"name_3": "张**", "unit_name": "港口集团", "birth_date": "1990-03-07"}
    assert answer() == whole, "a provider's mask holds though the grant gives the field in clear"
    police, insurance = consents
    moved(grants.suspend, insurance)
    stopped = answer()
    assert (stopped.status_code, "提供部门未同意" in stopped.json()["title"]) == (403, True)
    client.force_login(get_user_model().objects.create(username="b", party=boss.party))
    shown = client.get(reverse("federation:detail", args=["person_overview"])).content.decode()
    assert "已停止或到期" in shown
    narrowed = consent(
        "rs_insured", "name", "unit_name", scope={"unit_name": ["别的单位"]}, masks={}
    )
    hidden = {"name_3": None, "unit_name": None, "birth_date": "1990-03-07"}
    assert answer() == hidden, "what the provider does not give is not there; the rest is"
    moved(grants.revoke, narrowed)
    astray = consent("rs_insured", "name", "unit_name", scope={"no_such": ["1"]})
    (nothing,) = ask(token, path)
    assert nothing.json()["rows"] == []
    moved(grants.revoke, astray)
    strict = consent("rs_insured", "name", "unit_name", signature="required")
    assert answer().status_code == 401
    moved(grants.revoke, strict)
    far = consent("rs_insured", "name", "unit_name", networks=["203.0.113.0/24"])
    assert answer().status_code == 403
    moved(grants.revoke, far)
    moved(grants.resume, insurance)
    assert answer() == whole
    moved(grants.revoke, police)
    assert answer().status_code == 403
