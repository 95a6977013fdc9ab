"""Kinds of services: ranges and pages, verification, statistics, versions, pace, and the test environment."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.services import actions, fast, queries, rules
from lianyun.capabilities.services.fast import leases
from lianyun.capabilities.services.fast.answers import cursors
from lianyun.capabilities.services.models import Miss, Service
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Grant, Party, Resource

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = [
    rules.Field("citizen_number", "公民身份号码", mask="citizen_number", check="citizen_number"),
    rules.Field("name", "姓名", mask="name"),
    rules.Field("born", "出生日期", type="D", format="YYYYMMDD"),
    rules.Field("town", "乡镇", domain="town"),
    rules.Field("sex", "性别", domain="sex"),
    rules.Field("income", "收入", type="N", format="n..12,2"),
]
PEOPLE = 250
Call = Callable[..., Awaitable[httpx.Response]]


def number(n: int) -> str:
    """An invented number."""
    return f"3299{n:014d}"


def rows() -> list[tuple[Any, ...]]:
    """250 people in three towns, of whom two stand alone in the third."""
    out = []
    for n in range(PEOPLE):
        born = dt.date(1960, 1, 1) + dt.timedelta(days=(n // 3) * 30)
        town = "C" if n < 2 else "AB"[n % 2]
        out.append((number(n), f"张三{n}", born, town, str(n % 3 % 2 + 1), 1000 + n))
    return out


@pytest.fixture
def source() -> Iterator[Resource]:
    owner = Party.objects.get(slug="ga")
    found = Resource.objects.create(
        code="101001/1", name="people", kind="dataset", title="户籍人口信息", owner=owner
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS served")
        cursor.execute("DROP TABLE IF EXISTS served.people")
        cursor.execute(
            "CREATE TABLE served.people (citizen_number text PRIMARY KEY, name text, born date,"
            " town text, sex text, income numeric(12,2))"
        )
        cursor.executemany("INSERT INTO served.people VALUES (%s,%s,%s,%s,%s,%s)", rows())
    yield found
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE served.people")


def service(source: Resource, kind: str, version: int = 1, **more: Any) -> Service:
    """A service over the served table."""
    made = Resource.objects.create(
        code=f"SV/{kind}/{version}",
        name=f"people_{kind}_{version}",
        kind="service",
        title="服务",
        owner=source.owner,
    )
    design = {
        "query": {"ranges": ["born", "income"]},
        "verify": {"values": ["name", "born", "income"], "least": 1, "tell": False, "tries": 3},
        "statistics": {"by": ["town", "sex"], "measures": ["income"], "group": 5},
    }[kind]
    return Service.objects.create(
        resource=made,
        source=source,
        kind=kind,
        version=version,
        table="served.people",
        lookups=[["citizen_number"], ["town"]],
        columns=[vars(c) for c in COLUMNS],
        design={**design, **more.pop("design", {})},
        **more,
    )


def granted(source: Resource, **terms: Any) -> tuple[Grant, str]:
    """A grant of every operation and its credential."""
    grantee = Party.objects.get(slug="mz")
    grant = grants.issue(
        kind="data",
        to=grantee,
        resource=source,
        terms={
            "fields": [c.name for c in COLUMNS],
            "masks": rules.masks_of(COLUMNS, ()),
            "purpose": "低保核对",
            "calls_per_day": 10_000,
            "operations": ["query", "range", "verify", "statistics"],
            **terms,
        },
        valid_to=timezone.now() + dt.timedelta(days=30),
        by=SYSTEM,
    )
    client = actions.issue_client(grant=grant, by=SYSTEM)
    return grant, actions.collect_secret(client=client, by=SYSTEM)


def run(work: Callable[[Call], Awaitable[Any]], token: str) -> Any:
    """Run one coroutine against the application, as one worker lives and ends."""

    async def main() -> Any:
        transport = httpx.ASGITransport(app=fast.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:

            async def call(url: str, body: Any = None, **headers: str) -> httpx.Response:
                headers.setdefault("Authorization", f"Bearer {token}")
                if body is not None:
                    return await client.post(f"/api/data/{url}", json=body, headers=headers)
                return await client.get(f"/api/data/{url}", headers=headers)

            try:
                return await work(call)
            finally:
                await fast.shutdown()

    return asyncio.run(main())


# ---- query, range, pages ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_give_every_row_once(source: Resource, size: int) -> None:
    service(source, "query")
    _, token = granted(source, fields=["name", "born"], masks={})
    expected = sorted(r[1] for r in rows() if r[3] == "A" and r[2] >= dt.date(1962, 1, 1))

    async def work(call: Call) -> list[str]:
        seen: list[str] = []
        url = f"people?town=A&born.from=1962-01-01&limit={size}"
        cursor = ""
        for _ in range(len(expected) // size + 1):
            answer = await call(url + (f"&cursor={cursor}" if cursor else ""))
            assert answer.status_code == 200, answer.text
            body = answer.json()
            seen += [r["name"] for r in body["rows"]]
            assert len(body["rows"]) <= size
            cursor = body.get("next", "")
            if not cursor:
                break
        return seen

    assert sorted(run(work, token)) == expected


def test_a_range_is_both_ends_inclusive_and_in_order(source: Resource) -> None:
    service(source, "query")
    _, token = granted(source, masks={})

    async def work(call: Call) -> list[httpx.Response]:
        return [
            await call("people?born.from=1960-01-01&born.to=1960-01-31"),
            await call("people?income.from=1240&income.to=1243&limit=3"),
            await call("people?income.from=1e3x"),
            await call("people?name.from=a"),
            await call("people?limit=5"),
            await call("people?born.from=2030-01-01"),
            await call("people?limit=0&town=A"),
        ]

    found = run(work, token)
    assert [a.status_code for a in found] == [200, 200, 400, 400, 400, 200, 400]
    assert found[0].json()["count"] == 6
    assert [r["income"] for r in found[1].json()["rows"]] == ["1240.00", "1241.00", "1242.00"]
    assert found[1].json()["more"] is True
    assert found[5].json()["rows"] == []
    calls = CallRecord.objects.filter(outcome="ok")
    assert {(c.operation, c.version) for c in calls} == {("range", 1)}
    # Everybody whose row was given can find it among the readings of their data.
    assert all(len(c.others) == c.rows for c in calls)


def test_a_cursor_belongs_to_its_question(
    source: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    service(source, "query")
    _, token = granted(source)
    _, other = granted(source)

    async def first(call: Call) -> str:
        return str((await call("people?town=A&limit=5")).json()["next"])

    cursor = run(first, token)
    assert "3299" not in cursor

    async def work(call: Call) -> list[int]:
        changed = ("A" if cursor[30] != "A" else "B").join((cursor[:30], cursor[31:]))
        codes = []
        for url in (
            f"people?town=A&limit=9&cursor={cursor}",
            f"people?town=B&limit=5&cursor={cursor}",
            f"people?town=A&limit=5&cursor={changed}",
            "people?town=A&limit=5&cursor=%2F%2F",
            "people?town=A&limit=5&cursor=a",
        ):
            codes.append((await call(url)).status_code)
        return codes

    assert run(work, token) == [200, 409, 409, 409, 409]
    assert run(work, other) == [409] * 5
    monkeypatch.setattr(cursors, "GOOD_SECONDS", -1)
    assert run(work, token)[0] == 409


def test_withdrawal_stops_the_next_page(source: Resource) -> None:
    service(source, "query")
    grant, token = granted(source)

    async def work(call: Call) -> list[int]:
        answer = await call("people?town=A&limit=5")
        await asyncio.to_thread(_revoked, grant)
        url = f"people?town=A&limit=5&cursor={answer.json()['next']}"
        return [answer.status_code, (await call(url)).status_code]

    assert run(work, token) == [200, 403]


def _revoked(grant: Grant) -> None:
    try:
        with transaction.atomic():
            grants.revoke(grant, reason="试验", by=SYSTEM)
    finally:
        connection.close()


# ---- what a grant allows ---------------------------------------------------------------------


def test_each_operation_needs_its_own_right(source: Resource) -> None:
    for kind in ("query", "verify", "statistics"):
        service(source, kind)
    body = {"key": {"citizen_number": number(0)}, "values": {"name": "张三0"}}

    async def work(call: Call) -> list[int]:
        return [
            (await call(f"people/{number(0)}")).status_code,
            (await call("people?born.from=1960-01-01")).status_code,
            (await call("people:verify", body)).status_code,
            (await call("people:statistics?by=town")).status_code,
        ]

    for allowed in ("query", "range", "verify", "statistics"):
        _, token = granted(source, operations=[allowed])
        expected = [
            200 if o == allowed else 403 for o in ("query", "range", "verify", "statistics")
        ]
        assert run(work, token) == expected, allowed
    _, token = granted(source, operations=None, method="服务接口")
    assert run(work, token) == [200, 403, 403, 403]
    _, token = granted(source, operations=None, method="批量交换")
    assert run(work, token) == [403] * 4
    assert audit.verify().ok


# ---- verification ----------------------------------------------------------------------------


def verify(key: dict[str, str], **values: str) -> dict[str, Any]:
    """A request's body."""
    return {"key": key, "values": values}


def test_verification_says_three_words_only(source: Resource) -> None:
    service(source, "verify")
    _, token = granted(source)
    one = {"citizen_number": number(7)}

    async def work(call: Call) -> list[httpx.Response]:
        return [
            await call("people:verify", verify(one, name="张三７", born="1960-03-01")),
            await call("people:verify", verify(one, name="张 三7", income="1,007.0")),
            await call("people:verify", verify(one, name="李四", born="1960-03-01")),
            await call("people:verify", verify({"citizen_number": "nobody"}, name="张三")),
        ]

    found = run(work, token)
    assert [a.json() for a in found] == [
        {"resource": "people", "result": r} for r in ("一致", "一致", "不一致", "查无此人")
    ]
    calls = list(CallRecord.objects.order_by("at"))
    assert {c.operation for c in calls} == {"verify"}
    assert calls[0].key_hash == audit.keyed_hash(number(7))
    assert [c.rows for c in calls] == [1, 1, 1, 0]


def test_which_value_differs_is_told_only_where_declared(source: Resource) -> None:
    service(source, "verify", design={"tell": True})
    _, token = granted(source)

    async def work(call: Call) -> Any:
        body = verify({"citizen_number": number(7)}, name="李四", born="1960-03-01")
        return (await call("people:verify", body)).json()

    assert run(work, token)["differs"] == ["name"]


def test_guessing_ends(source: Resource) -> None:
    service(source, "verify")
    _, token = granted(source)

    async def work(call: Call) -> tuple[list[int], int, int]:
        one = {"citizen_number": number(7)}
        years = [verify(one, born=f"{year}-03-01") for year in range(1950, 1959)]
        codes = await asyncio.gather(*(call("people:verify", y) for y in years))
        right = await call("people:verify", verify(one, born="1960-03-01"))
        other = await call("people:verify", verify({"citizen_number": number(8)}, name="张三8"))
        return sorted(c.status_code for c in codes), right.status_code, other.status_code

    codes, right, other = run(work, token)
    assert codes == [200] * 3 + [429] * 6
    assert (right, other) == (429, 200), "of this person no more is said today, not even the truth"


def test_verification_refuses_what_is_malformed(source: Resource) -> None:
    service(source, "verify", design={"least": 2})
    _, token = granted(source, fields=["citizen_number", "name", "born"])
    one = {"citizen_number": number(7)}
    bad: list[Any] = [
        {},
        [],
        "x",
        {"key": one},
        {"key": one, "values": {}},
        {"key": one, "values": {"name": 1}},
        {"key": one, "values": {"name": "张三7"}},
        {"key": one, "values": {"name": "张三7", "income": "1007"}},
        {"key": {"sex": "1"}, "values": {"name": "a", "born": "b"}},
        {"key": one, "values": {"name": "a\x00", "born": "b"}},
        {"key": one, "values": {"name": "a", "born": "b"}, "more": 1},
        {"key": one, "values": {"name": "a" * 300, "born": "b"}},
    ]

    async def work(call: Call) -> list[int]:
        codes = [(await call("people:verify", b)).status_code for b in bad]
        codes.append((await call("people:verify")).status_code)
        codes.append((await call("people", {})).status_code)
        big = {"key": one, "values": {"name": "张" * 40_000}}
        codes.append((await call("people:verify", big)).status_code)
        return codes

    assert run(work, token) == [400] * len(bad) + [405, 404, 413]


# ---- statistics ------------------------------------------------------------------------------


def test_small_groups_are_not_told_nor_to_be_subtracted(source: Resource) -> None:
    service(source, "statistics")
    _, token = granted(source)

    async def work(call: Call) -> list[Any]:
        return [
            (await call(f"people:statistics?{q}")).json()
            for q in (
                "by=town&measures=count,avg_income",
                "by=sex&measures=sum_income",
                "by=sex&town=C",
                "",
            )
        ]

    towns, sexes, third, whole = run(work, token)
    assert towns["suppressed"] is True
    told = {g["town"]: g["count"] for g in towns["groups"]}
    assert len(told) == 1, "two in C, and A or B with them: else C is the rest"
    assert sum(g["count"] for g in sexes["groups"]) == PEOPLE
    assert sum(g["sum_income"] for g in sexes["groups"]) == sum(1000 + n for n in range(PEOPLE))
    assert third["groups"] == []
    assert whole["groups"] == [{"count": PEOPLE}]
    assert {c.operation for c in CallRecord.objects.all()} == {"statistics"}


def test_statistics_follow_the_grant(source: Resource) -> None:
    service(source, "statistics")
    _, token = granted(source, fields=["town"], scope={"town": ["A"]})

    async def work(call: Call) -> list[Any]:
        return [
            (await call("people:statistics?by=town")).json(),
            (await call("people:statistics?by=sex")).status_code,
            (await call("people:statistics?by=town&measures=sum_income")).status_code,
            (await call("people:statistics?by=name")).status_code,
            (await call("people:statistics?by=town,town")).status_code,
        ]

    found = run(work, token)
    assert [g["town"] for g in found[0]["groups"]] == ["A"]
    assert found[1:] == [400, 400, 400, 400]


def test_a_kept_table_is_not_given_after_withdrawal_or_refresh(source: Resource) -> None:
    made = service(source, "statistics", published_at=timezone.now())
    grant, token = granted(source)

    async def work(call: Call) -> list[Any]:
        first = (await call("people:statistics")).json()["groups"][0]["count"]
        await asyncio.to_thread(_fewer, made)
        second = (await call("people:statistics")).json()["groups"][0]["count"]
        await asyncio.to_thread(_revoked, grant)
        return [first, second, (await call("people:statistics")).status_code]

    assert run(work, token) == [PEOPLE, PEOPLE - 50, 403]


def _fewer(made: Service) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM served.people WHERE income >= %s", [1000 + PEOPLE - 50])
        Service.objects.filter(pk=made.pk).update(published_at=timezone.now())
    finally:
        connection.close()


# ---- versions --------------------------------------------------------------------------------


def test_versions_stand_side_by_side_until_sunset(source: Resource) -> None:
    today = timezone.localdate()
    old = service(source, "query", sunset_on=today + dt.timedelta(days=30))
    newer = [vars(c) for c in COLUMNS if c.name != "name"]
    v2 = service(source, "query", 2)
    Service.objects.filter(pk=v2.pk).update(columns=newer)
    _, token = granted(source, masks={})
    key = number(0)

    async def work(call: Call) -> list[httpx.Response]:
        return [
            await call(f"people/{key}"),
            await call(f"v1/people/{key}"),
            await call(f"v2/people/{key}"),
            await call(f"people/{key}", **{"API-Version": "2"}),
            await call(f"v1/people/{key}", **{"API-Version": "2"}),
            await call(f"v3/people/{key}"),
            await call(f"people/{key}", **{"API-Version": "two"}),
        ]

    found = run(work, token)
    assert [a.status_code for a in found] == [200, 200, 200, 200, 400, 404, 400]
    shows = ["name" in a.json()["rows"][0] for a in found[:4]]
    assert shows == [True, True, False, False]
    assert found[0].headers["api-version"] == "1"
    assert found[0].headers["sunset"].endswith("GMT")
    assert "/api/data/v2/people" in found[0].headers["link"]
    assert "sunset" not in found[2].headers
    assert {(c.version, c.outcome) for c in CallRecord.objects.all()} >= {(1, "ok"), (2, "ok")}
    Service.objects.filter(pk=old.pk).update(sunset_on=today)
    after = run(work, token)
    assert [a.status_code for a in after[:3]] == [200, 410, 200]
    assert after[0].headers["api-version"] == "2"


# ---- pace ------------------------------------------------------------------------------------


def test_a_second_is_shared_by_all_workers(
    source: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    service(source, "query")
    _, token = granted(source, calls_per_second=10)
    # Time stands still for the bucket: what is counted depends on no machine.
    monkeypatch.setattr(
        leases,
        "PACE",
        leases.PACE.replace("GREATEST(0, extract(epoch FROM clock_timestamp() - at))", "0"),
    )

    async def work(call: Call) -> list[int]:
        found = await asyncio.gather(*(call(f"people/{number(n)}") for n in range(8)))
        assert all(a.headers["retry-after"] == "1" for a in found if a.status_code == 429)
        return [a.status_code for a in found]

    codes = run(work, token) + run(work, token)
    assert codes.count(200) == 10
    assert codes.count(429) == 6


def test_the_service_may_be_tighter_than_the_grant(source: Resource) -> None:
    service(source, "query", calls_per_day=3)
    _, token = granted(source)

    async def work(call: Call) -> list[int]:
        return [(await call(f"people/{number(n)}")).status_code for n in range(5)]

    assert run(work, token) == [200] * 3 + [429] * 2


def test_bad_json_is_no_error_of_ours(source: Resource) -> None:
    service(source, "verify")
    _, token = granted(source)

    async def main() -> list[int]:
        transport = httpx.ASGITransport(app=fast.app)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            codes = []
            for kind, content in (
                ("application/json", b"{"),
                ("application/json", b"\xff"),
                ("application/json; charset=utf-8", json.dumps({"key": "a", "values": 1}).encode()),
                ("text/plain", b"{}"),
            ):
                answer = await client.post(
                    "/api/data/people:verify",
                    content=content,
                    headers={**headers, "Content-Type": kind},
                )
                codes.append(answer.status_code)
        await fast.shutdown()
        return codes

    assert asyncio.run(main()) == [400, 400, 400, 415]


# ---- ways around a grant ---------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["0000019999", "000100000", "0101", "１０", "1e9"])
def test_a_page_is_never_longer_than_allowed(source: Resource, limit: str) -> None:
    service(source, "query")
    _, token = granted(source)

    async def work(call: Call) -> httpx.Response:
        return await call(f"people?town=A&limit={limit}")

    assert run(work, token).status_code == 400


def test_a_range_does_not_tell_what_is_masked_or_not_given(source: Resource) -> None:
    service(source, "query")
    _, token = granted(source, fields=["citizen_number", "born"], masks={"born": "all"})

    async def work(call: Call) -> list[int]:
        urls = ("born.from=1962-01-01", "income.from=1200", "town=A&born.to=1970-01-01", "town=A")
        return [(await call(f"people?{url}")).status_code for url in urls]

    assert run(work, token) == [400, 400, 400, 200]


def test_another_spelling_of_a_key_gives_no_further_tries(source: Resource) -> None:
    made = service(source, "verify")
    made.lookups = [["town", "born"]]
    made.save()
    _, token = granted(source)

    async def work(call: Call) -> list[int]:
        spelled = ("1960-03-01", "19600301", "1960-3-1", "Mar 1 1960", "1960-060", "1960-03-01 ")
        keys = ({"town": "B", "born": s} for s in spelled)
        return [
            (await call("people:verify", verify(k, name="不是"))).status_code
            for k in keys
            for _ in range(2)
        ]

    codes = run(work, token)
    assert codes.count(200) == 3, "so many tries as the service says, however the key is spelled"


def test_tries_are_counted_for_the_subject_however_it_is_asked_for(source: Resource) -> None:
    """Over look-ups and grants of a department: two look-ups, two grants, three tries in all."""
    made = service(source, "verify")
    made.lookups = [["citizen_number"], ["name"], ["citizen_number", "name"]]
    made.save()
    (_, first), (_, second) = granted(source), granted(source)
    by_number, by_name = {"citizen_number": number(7)}, {"name": "张三7"}
    wrong, right = {"born": "1999-01-01"}, {"born": "1960-03-01"}

    async def one(call: Call) -> list[httpx.Response]:
        return [
            await call("people:verify", verify(by_number, **wrong)),
            await call("people:verify", verify(by_name, **wrong)),
        ]

    async def two(call: Call) -> list[httpx.Response]:
        return [
            await call("people:verify", verify({**by_number, "name": "李四"}, **right)),
            await call("people:verify", verify({**by_number, "name": "张三7"}, **right)),
            await call("people:verify", verify(by_name, **right)),
            await call("people:verify", verify({"name": "张三8"}, **right)),
        ]

    said = [*run(one, first), *run(two, second)]
    assert [a.json().get("result") for a in said[:3]] == ["不一致", "不一致", "查无此人"]
    assert [a.status_code for a in said[3:]] == [429, 429, 200]
    assert "本部门各授权" in said[3].json()["detail"]
    assert 0 < int(said[3].headers["retry-after"]) <= 86_400
    assert {a.json()["result"] for a in run(one, _other(source))} == {"不一致"}
    assert actions.forget_tries() == 0
    Miss.objects.update(day=dt.date(2020, 1, 1))
    assert actions.forget_tries() == 2


def _other(source: Resource) -> str:
    """The credential of another department."""
    to = Party.objects.get(slug="rs")
    terms = granted(source)[0].terms
    grant = grants.issue(kind="data", to=to, resource=source, terms=terms, by=SYSTEM)
    client = actions.issue_client(grant=grant, by=SYSTEM)
    return actions.collect_secret(client=client, by=SYSTEM)


def test_what_is_masked_is_not_summed(source: Resource) -> None:
    service(source, "statistics")
    _, masked = granted(source, masks={"income": "all"})
    _, clear = granted(source)

    async def work(call: Call) -> list[httpx.Response]:
        return [
            await call("people:statistics?by=town&measures=count,avg_income"),
            await call("people:statistics?by=town&measures=count"),
        ]

    refused, counted = run(work, masked)
    assert (refused.status_code, counted.status_code) == (403, 200)
    assert "income 是脱敏的，不能汇总" in refused.json()["title"]
    assert set(counted.json()["groups"][0]) == {"town", "count"}
    summed, _ = run(work, clear)
    assert summed.json()["groups"][0]["avg_income"] > 1000
    document = queries.openapi(SYSTEM, "people", Grant.objects.order_by("pk")[0], "statistics")
    assert "sum_income" not in str(document)
    assert "sum_income" in str(queries.openapi(SYSTEM, "people", None, "statistics"))
