"""The fast path: right answers, refusals, quotas, records, withdrawal at the next call."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallLink, CallRecord
from lianyun.capabilities.services import actions, fast, rules
from lianyun.capabilities.services.fast import records
from lianyun.capabilities.services.fast.calls import Call
from lianyun.capabilities.services.fast.door import plane_here
from lianyun.capabilities.services.fast.rights import CHANNEL, Rights
from lianyun.capabilities.services.models import Client, Service, Usage
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Grant, Party, Resource

pytestmark = pytest.mark.django_db(transaction=True)

PERSON = "320703199003070016"
OTHER = "320703198811110034"
COLUMNS = [
    rules.Field("citizen_number", "公民身份号码", mask="citizen_number", check="citizen_number"),
    rules.Field("name", "姓名", mask="name"),
    rules.Field("born", "出生日期", type="D"),
    rules.Field("town", "乡镇"),
    rules.Field("spouse", "配偶身份号码", mask="citizen_number", check="citizen_number"),
]


@pytest.fixture
def source() -> Iterator[Resource]:
    owner = Party.objects.get(slug="ga")
    found = Resource.objects.create(
        code="101001/1", name="people", kind="dataset", title="户籍人口信息", owner=owner
    )
    made = Resource.objects.create(
        code="SV/101001/1", name="people_query", kind="service", title="查询", owner=owner
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS published")
        cursor.execute("DROP TABLE IF EXISTS published.people")
        cursor.execute(
            "CREATE TABLE published.people (citizen_number text PRIMARY KEY, name text, born date,"
            " town text, spouse text)"
        )
        cursor.execute(
            "INSERT INTO published.people VALUES (%s,'张三丰','1990-03-07','A',%s),"
            "(%s,'李四','1988-11-11','B',NULL)",
            [PERSON, OTHER, OTHER],
        )
    Service.objects.create(
        resource=made,
        source=found,
        table="published.people",
        lookups=[["citizen_number"], ["spouse"], ["born"]],
        columns=[vars(c) for c in COLUMNS],
    )
    yield found
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE published.people")


@pytest.fixture
def grant(source: Resource) -> Grant:
    grantee = Party.objects.get(slug="mz")
    return grants.issue(
        kind="data",
        to=grantee,
        resource=source,
        terms={
            "fields": ["citizen_number", "name", "born"],
            "masks": rules.masks_of(COLUMNS, ()),
            "purpose": "低保核对",
            "calls_per_day": 1000,
        },
        valid_to=timezone.now() + dt.timedelta(days=30),
        by=SYSTEM,
    )


@pytest.fixture
def token(grant: Grant) -> str:
    client = actions.issue_client(grant=grant, by=SYSTEM)
    return actions.collect_secret(client=client, by=SYSTEM)


Get = Callable[..., Awaitable[httpx.Response]]


def run(work: Callable[[Get], Awaitable[Any]], token: str) -> Any:
    """Run one coroutine against the application, as one worker lives and ends."""

    async def main() -> Any:
        transport = httpx.ASGITransport(app=fast.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:

            async def get(url: str, **headers: str) -> httpx.Response:
                headers.setdefault("Authorization", f"Bearer {token}")
                return await client.get(url, headers=headers)

            try:
                return await work(get)
            finally:
                await fast.shutdown()

    return asyncio.run(main())


def test_one_row_is_limited_masked_and_recorded(token: str, grant: Grant) -> None:
    async def work(get: Get) -> httpx.Response:
        return await get(
            f"/api/data/people?citizen_number={PERSON}", **{"X-Purpose": "%E5%8A%9E%E4%BB%B61"}
        )

    answer = run(work, token)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "resource": "people",
        "count": 1,
        "rows": [{"citizen_number": "320***********0016", "name": "张**", "born": "1990-03-07"}],
    }
    call = CallRecord.objects.get()
    assert (call.outcome, call.rows, call.purpose) == ("ok", 1, "办件1")
    assert call.by_name == "连云港市民政局"
    assert call.grant_code == grant.code
    assert call.key_hash == audit.keyed_hash(PERSON)
    # The spouse's number is no granted field, yet the row tells of the spouse.
    assert call.others == [audit.keyed_hash(OTHER)]
    assert PERSON not in str(vars(call))
    assert answer.headers["x-call"] == call.uid
    assert audit.verify().ok


def test_by_path_and_by_other_lookups(token: str) -> None:
    async def work(get: Get) -> list[httpx.Response]:
        return [
            await get(f"/api/data/people/{PERSON}"),
            await get("/api/data/people/320703199003070099"),
            await get(f"/api/data/people?spouse={OTHER}"),
            await get("/api/data/people?born=1990-03-07"),
            await get("/api/data/people?born=soon"),
            await get("/api/data/people?spouse=nobody"),
        ]

    answers = run(work, token)
    assert [a.status_code for a in answers] == [200, 404, 200, 200, 400, 200]
    assert answers[3].json()["count"] == 1
    assert answers[5].json()["rows"] == []
    assert answers[4].headers["content-type"].startswith("application/problem+json")


def test_withdrawal_stops_the_next_call(token: str, grant: Grant) -> None:
    async def work(get: Get) -> list[int]:
        url = f"/api/data/people/{PERSON}"
        codes = [(await get(url)).status_code]
        for move in (grants.suspend, grants.resume, grants.revoke):
            await asyncio.to_thread(_moved, move, grant)
            answer = await get(url)
            codes.append(answer.status_code)
        assert "撤回" in answer.json()["title"]
        return codes

    assert run(work, token) == [200, 403, 200, 403]


def _moved(move: Callable[..., None], grant: Grant) -> None:
    try:
        with transaction.atomic():
            move(grant, reason="试验", by=SYSTEM)
    finally:
        connection.close()


def test_withdrawal_stops_even_a_deaf_worker(
    token: str, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rights, "heard", lambda *_: None)

    async def work(get: Get) -> list[int]:
        url = f"/api/data/people/{PERSON}"
        first = (await get(url)).status_code
        await asyncio.to_thread(_moved, grants.revoke, grant)
        return [first, (await get(url)).status_code]

    assert run(work, token) == [200, 403]


def test_expired_grant(token: str, grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(valid_to=timezone.now() - dt.timedelta(seconds=1))

    async def work(get: Get) -> httpx.Response:
        return await get(f"/api/data/people/{PERSON}")

    answer = run(work, token)
    assert answer.status_code == 403
    assert answer.json()["title"] == "授权已到期"
    assert CallRecord.objects.get().outcome == "forbidden"


def test_quota_is_exact_over_two_workers(token: str, grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(terms={**grant.terms, "calls_per_day": 5})

    async def work(get: Get) -> list[int]:
        found = await asyncio.gather(*(get(f"/api/data/people/{PERSON}") for _ in range(4)))
        return [a.status_code for a in found]

    codes = run(work, token) + run(work, token)
    assert codes.count(200) == 5
    assert codes.count(429) == 3
    assert Usage.objects.get().used == 5


def test_unused_leases_are_given_back(token: str, grant: Grant) -> None:
    async def work(get: Get) -> int:
        return (await get(f"/api/data/people/{PERSON}")).status_code

    assert run(work, token) == 200
    assert Usage.objects.get().used == 1


def test_forgetting_a_right_loses_no_leased_call(token: str, grant: Grant) -> None:
    async def work(get: Get) -> list[int]:
        codes = []
        for _ in range(3):
            codes.append((await get(f"/api/data/people/{PERSON}")).status_code)
            plane = await plane_here()
            async with plane.pool.acquire() as connection:
                await connection.execute("SELECT pg_notify($1, '*')", CHANNEL)
            await asyncio.sleep(0.1)
        return codes

    assert run(work, token) == [200, 200, 200]
    assert Usage.objects.get().used == 3


def test_row_scope_narrows(token: str, grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(terms={**grant.terms, "scope": {"town": ["B"]}})

    async def work(get: Get) -> list[int]:
        return [(await get(f"/api/data/people/{n}")).status_code for n in (PERSON, OTHER)]

    assert run(work, token) == [404, 200]
    Grant.objects.filter(pk=grant.pk).update(terms={**grant.terms, "scope": {"gone": ["B"]}})
    assert run(work, token) == [404, 404]


def test_rotation_has_an_overlap(token: str, grant: Grant) -> None:
    client = Client.objects.get()
    newer = actions.rotate_secret(client=client, by=SYSTEM)

    async def work(get: Get) -> list[int]:
        url = f"/api/data/people/{PERSON}"
        return [
            (await get(url)).status_code,
            (await get(url, Authorization=f"Bearer {newer}")).status_code,
        ]

    assert run(work, token) == [200, 200]
    Client.objects.update(former_until=timezone.now() - dt.timedelta(seconds=1))
    assert run(work, token) == [401, 200]
    actions.close_client(client=client, reason="密钥外泄", by=SYSTEM)
    assert run(work, token) == [401, 401]


BAD = [
    ("/api/data/people", 400),
    ("/api/data/people?name=x", 400),
    (f"/api/data/people?citizen_number={PERSON}&citizen_number={OTHER}", 400),
    (f"/api/data/people?citizen_number={PERSON}&born=1990-03-07", 400),
    (f"/api/data/people/{PERSON}?born=1990-03-07", 400),
    ("/api/data/people/..%2F..%2Fhealthz", 400),
    ("/api/data/people/%2e%2e", 400),
    ("/api/data/people/a%252Fb", 400),
    ("/api/data/people/%00", 400),
    ("/api/data/people/%ff", 400),
    ("/api/data/people/%zz", 400),
    ("/api/data/people/a/b", 400),
    ("/api/data/People/a", 400),
    ("/api/data/%70eople/a", 400),
    ("/api/data/others/a", 403),
    ("/api/data/people?citizen_number=%25' OR 1=1", 200),
    (f"/api/data/people/{'9' * 300}", 400),
]


def test_bad_addresses(token: str) -> None:
    async def call(raw: str) -> int:
        """Straight into the application: a client library would tidy the address."""
        path, _, query = raw.partition("?")
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {token}".encode())],
        }
        await fast.app(scope, receive, send)
        return int(sent[0]["status"])

    async def main() -> list[int]:
        try:
            return [await call(raw) for raw, _ in BAD]
        finally:
            await fast.shutdown()

    assert list(zip([b[0] for b in BAD], asyncio.run(main()), strict=True)) == BAD


def test_bad_credentials(token: str) -> None:
    client_id, secret = token.split(".")

    async def work(get: Get) -> list[int]:
        url = f"/api/data/people/{PERSON}"
        tries = ["", "Bearer", "Basic abc", "Bearer x.y", f"Bearer {client_id}.{'A' * 43}"]
        tries.append(f"Bearer lyc_{'0' * 16}.{secret}")
        codes = [(await get(url, Authorization=t)).status_code for t in tries]
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=fast.app), base_url="http://t"
        ) as client:
            twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
            codes.append((await client.get(url, headers=twice)).status_code)
            one = {"Authorization": f"Bearer {token}"}
            codes.append((await client.post(url, headers=one)).status_code)
        return codes

    assert run(work, token) == [401] * 6 + [400, 405]
    assert set(CallRecord.objects.values_list("outcome", flat=True)) == {
        "unauthorized",
        "bad_request",
    }


def test_a_lost_connection_is_made_anew(token: str) -> None:
    async def work(get: Get) -> list[int]:
        url = f"/api/data/people/{PERSON}"
        codes = [(await get(url)).status_code]
        await asyncio.to_thread(_cut)
        codes += [(await get(url)).status_code for _ in range(3)]
        return codes

    codes = run(work, token)
    assert codes[0] == 200
    assert codes[-1] == 200
    assert set(codes) <= {200, 503}


def _cut() -> None:
    """Ends every session of the application with the database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'lianyun data'"
            )
    finally:
        connection.close()


def test_a_full_queue_refuses(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "QUEUE_LIMIT", 0)

    async def work(get: Get) -> int:
        return (await get(f"/api/data/people/{PERSON}")).status_code

    assert run(work, token) == 503


def test_calls_survive_a_dead_worker(token: str, settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path

    async def dies() -> None:
        plane = fast.Plane()
        await plane.start()
        for task in plane.tasks:
            task.cancel()
        right = await plane.rights.right(token.split(".")[0])
        assert right is not None
        call = Call("x1", "GET", b"", b"", [], b"", "", right=right, purpose="试验", rows=1)
        plane.records.note(call, b"")
        assert plane.records.journal is not None
        # What a kill leaves behind: the file, and no lock on it.
        plane.records.journal.close(done=False)
        await plane.pool.close()

    asyncio.run(dies())
    assert CallRecord.objects.count() == 0

    async def work(get: Get) -> int:
        return (await get(f"/api/data/people/{PERSON}")).status_code

    run(work, token)
    assert CallRecord.objects.count() == 2
    assert not list((tmp_path / "calls").glob("*"))
    assert audit.verify().ok


def test_a_failed_flush_loses_nothing(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = records.append_calls, []

    async def sometimes(conn: asyncpg.Connection, calls: Any, *, again: bool = False) -> int:
        tries.append(again)
        done = await real(conn, calls, again=again)
        if len(tries) == 1:
            # Committed, and the answer got lost.
            raise ConnectionError
        return done

    monkeypatch.setattr(records, "append_calls", sometimes)

    async def work(get: Get) -> None:
        await get(f"/api/data/people/{PERSON}")
        await asyncio.sleep(1.2)
        await get(f"/api/data/people/{PERSON}")

    run(work, token)
    assert CallRecord.objects.count() == 2
    assert tries[:2] == [False, True]
    assert audit.verify().ok


def test_every_tampering_is_found(token: str) -> None:
    async def work(get: Get) -> None:
        for _ in range(3):
            await get(f"/api/data/people/{PERSON}")
            await asyncio.sleep(0.25)

    run(work, token)
    assert CallLink.objects.count() == 3
    call = CallRecord.objects.order_by("link")[1]
    CallRecord.objects.filter(pk=call.pk).update(rows=0)
    assert "第 2 批的内容被改动" in audit.verify().calls_broken
    CallRecord.objects.filter(pk=call.pk).delete()
    assert "第 2 批应有 1 条" in audit.verify().calls_broken
    CallRecord.objects.filter(link__gt=1).delete()
    CallLink.objects.filter(number__gt=1).delete()
    assert audit.verify().ok
    from lianyun.capabilities.audit.actions import anchor

    anchor(by=SYSTEM)
    CallRecord.objects.all().delete()
    CallLink.objects.all().delete()
    assert "截断" in audit.verify().calls_broken


def test_home_is_where_journals_go() -> None:
    assert settings.HOME


def test_strangers_are_counted_not_listed(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "STRANGERS", 3)

    async def work(get: Get) -> list[int]:
        seen = []
        for number in range(30):
            unknown = f"lyc_{number:016x}.{'a' * 43}"
            answer = await get("/api/data/people?born=1", Authorization=f"Bearer {unknown}")
            seen.append(answer.status_code)
        seen.append((await get("/api/data/people", Authorization="nonsense")).status_code)
        plane = await plane_here()
        for number in range(5):
            plane.records.meet_stranger(f"10.0.0.{number}", "")
        return seen

    assert set(run(work, token)) == {401}
    met = CallRecord.objects.filter(by="system:stranger", outcome="unauthorized")
    assert met.count() == 4, "each source once, those beyond the bound share one record"
    first = met.get(by_name="未知来源 127.0.0.1")
    assert first.client == f"lyc_{0:016x}"
    assert "31 次" in first.purpose
    assert "3 次" in met.get(by_name="未知来源 其他").purpose
    assert audit.verify().ok
