"""Sample exchange: more departments use each other's data, one of them in a way that looks like misuse.

Everything goes through the doors that officers and systems use; a second call leaves it alone.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Tell = Callable[[float, str], None]
FEDERATED = "person_livelihood"
BASIS = "《政务数据共享条例》第二十条及本部门法定职责"

# Who asks for what, why, and by which way of use.
SHARES: tuple[tuple[str, str, tuple[str, ...], str, str], ...] = (
    ("rs", "ga_residents", ("citizen_number", "name", "birth_date"), "待遇资格认证", "query"),
    ("yb", "ga_residents", ("citizen_number", "name", "village_code"), "参保登记核验", "query"),
    ("gjj", "rs_insured", ("citizen_number", "name", "unit_name"), "缴存单位核对", "query"),
    (
        "mz",
        FEDERATED,
        ("citizen_number", "name", "unit_name", "account_status"),
        "低保申请家庭经济状况核对",
        "federated",
    ),
)
CONSENTS = (
    ("rs_insured", ("citizen_number", "unit_name", "insurance_status")),
    ("gjj_accounts", ("citizen_number", "account_status")),
)
"""What the bureau must be granted before it may join it in a service of its own."""
CALLS = {"rs": 60, "yb": 70, "gjj": 35, "mz": 20}
SWEEP = 90
"""So many numbers that nobody has does one department try: what looks like misuse."""


def use_each_other(home: Path, officer: Callable[[str], Any], tell: Tell) -> dict[str, Any]:
    """A federated service, four grants with their calls, the counts, and what they give away.

    `home` keeps the demo's password, `officer` gives the actor of an account. Returns how many
    calls were made and how many suspicions they raised.
    """
    from lianyun.capabilities.exchange import api as exchange
    from lianyun.kernel.models import Resource

    if Resource.objects.filter(name=FEDERATED).exists():
        return {"calls": 0, "suspicions": 0}
    tell(0.0, "联邦查询服务")
    _bureau_desk(home)
    for joined, given in CONSENTS:
        walk("sjj", joined, given, "汇合为个人参保与公积金实时查询服务", "federated", officer)
    _draw_up(officer("yunying"))
    calls = 0
    for number, (asker, name, fields, why, way) in enumerate(SHARES):
        tell(0.2 + 0.15 * number, why)
        token = _granted(asker, name, fields, why, way, officer)
        keys = _people(CALLS[asker])
        if asker == "yb":
            keys += [f"{k[:14]}{n:03d}0" for n, k in enumerate(_people(SWEEP))]
        calls += _call(f"/api/data/{name}{':federated' if way == 'federated' else ''}", token, keys)
    tell(0.9, "统计与核查")
    exchange.tally()
    return {"calls": calls, "suspicions": len(exchange.watch())}


def _bureau_desk(home: Path) -> None:
    """Two people of the bureau who answer for what it provides."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.case import bureau

    password = (home / "demo-password").read_text().strip()
    for username, name, role in (
        ("sjj.zhuanyuan", "大数据局数据专员", "data_officer"),
        ("sjj.fuzeren", "大数据局负责人", "share_head"),
    ):
        if not get_user_model().objects.filter(username=username).exists():
            identity.create_account(
                bureau(), name, username, [role], password=password, must_change=False, by=SYSTEM
            )


def _draw_up(by: Any) -> None:
    """The population library joined with two departments' own databases."""
    from lianyun.capabilities.federation import api as federation

    number = "citizen_number"
    federation.draw_up(
        drawing=federation.Drawing(
            name=FEDERATED,
            title="个人参保与公积金实时查询",
            summary="按公民身份号码查询人口库，并在调用时向人社、公积金部门的数据库查询现状",
            tables=(
                federation.Chosen("served:population", (number, "name", "birth_date")),
                federation.Chosen(
                    "source:rs_insured_source", ("unit_name", "insurance_status"), number, number
                ),
                federation.Chosen(
                    "source:gjj_accounts_source", ("account_status",), number, number
                ),
            ),
            lookups=(number,),
        ),
        by=by,
    )


def _granted(
    asker: str,
    name: str,
    fields: Sequence[str],
    why: str,
    way: str,
    officer: Callable[[str], Any],
) -> str:
    """A request walked to its grant; the token that its system collects."""
    from lianyun.capabilities.services import api as services

    grant = walk(asker, name, fields, why, way, officer)
    by = officer(f"{asker}.zhuanyuan")
    client = services.client_of(by, grant)
    assert client is not None
    return services.collect_secret(client=client, by=by)


def walk(
    asker: str,
    name: str,
    fields: Sequence[str],
    why: str,
    way: str,
    officer: Callable[[str], Any],
) -> Any:
    """A request that its departments' officers walk to its grant."""
    from django.utils import timezone

    from lianyun.capabilities.sharing import api as sharing
    from lianyun.kernel.models import Grant, Resource

    resource = Resource.objects.select_related("owner").get(name=name)
    case = sharing.request_share(
        resource=resource,
        request=sharing.Request(
            basis=BASIS,
            scene=f"{why}时逐人核对",
            purpose=why,
            fields=tuple(fields),
            until=timezone.localdate() + dt.timedelta(days=365),
            operations=(way,),
            calls_per_day=2000,
            calls_per_second=1000,
        ),
        once=f"sample-exchange-{asker}-{name}",
        by=officer(f"{asker}.zhuanyuan"),
    )
    provider = resource.owner.slug
    for step, outcome, who in (
        ("consent", "agree", f"{asker}.fuzeren"),
        ("answer_", "agree", f"{provider}.zhuanyuan"),
        ("approve", "agree", f"{provider}.fuzeren"),
        ("deliver", "done", f"{provider}.zhuanyuan"),
    ):
        item = case.items.get(step__startswith=step, done_at=None)
        sharing.do_step(item=item, outcome=outcome, by=officer(who))
    return Grant.objects.get(case=case)


def _people(count: int) -> list[str]:
    """Numbers of people who live in the city."""
    from lianyun.capabilities.collection import api as collection

    with collection.lake().connect(read_only=True) as con:
        found = con.execute(
            "SELECT citizen_number FROM lake.trusted.ga_residents"
            f" WHERE citizen_number IS NOT NULL ORDER BY 1 DESC LIMIT {int(count)}"
        ).fetchall()
    return [number for (number,) in found]


def _call(path: str, token: str, keys: Sequence[str]) -> int:
    """Ask for each key as a department's system would; returns how many calls were answered."""
    import httpx

    from lianyun.capabilities.services.fast import app, shutdown

    async def ask() -> int:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            try:
                done = [
                    await http.get(path, params={"citizen_number": key}, headers=headers)
                    for key in keys
                ]
            finally:
                await shutdown()
        bad = [a for a in done if a.status_code != 200]
        if bad:
            raise RuntimeError(f"{path} 没有答复：{bad[0].status_code} {bad[0].text[:300]}")
        return len(done)

    return asyncio.run(ask())
