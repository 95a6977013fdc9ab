"""Sample services: a verification and statistics beside the query, made and tried by officers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def design_services(grant_code: str, officer: Callable[[str], Any]) -> dict[str, Any]:
    """The provider's officer makes both of the granted data; the grantee's tries them on invented rows."""
    import httpx

    from lianyun.capabilities.services import api as services
    from lianyun.capabilities.services.fast import app, shutdown
    from lianyun.kernel.models import Grant

    grant = Grant.objects.select_related("resource__owner").get(code=grant_code)
    source = grant.resource
    assert source is not None
    provider = officer(f"{source.owner.slug}.zhuanyuan")
    fields = services.fields(provider, source)
    key = tuple(services.key_of(provider, source))
    names = [f.name for f in fields]
    values = tuple(f.name for f in fields if f.mask == "name" and f.name not in key)[:1]
    groups = services.groups_of(fields)[:2]
    made = []
    if values:
        made.append(("verify", services.Design(lookups=(key,), values=values)))
    if groups:
        made.append(("statistics", services.Design(by=tuple(groups))))
    for kind, design in made:
        services.design_service(
            source=source, kind=kind, fields=names, design=design, calls_per_second=50, by=provider
        )
    token = services.issue_trial(source=source, by=officer("gjj.zhuanyuan"))

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            headers={"Authorization": f"Bearer {token}"},
        ) as http:
            answers = []
            for kind, _ in made:
                place = f"/api/data/{source.name}:{kind}"
                if kind == "verify":
                    body = {"key": dict.fromkeys(key, "不存在"), "values": {values[0]: "示例"}}
                    answers.append(await http.post(place, json=body))
                else:
                    answers.append(await http.get(place, params={"by": groups[0]}))
        await shutdown()
        return answers

    answers = asyncio.run(ask())
    return {
        "designed": [kind for kind, _ in made],
        "tried": [a.status_code for a in answers],
    }


__all__ = ["design_services"]
