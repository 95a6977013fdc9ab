"""Claim: one thing that a system is told of a person, under a scope that the person has consented to."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ACR_PREFIX = "urn:lianyun:level:"
"""How `acr` names the level of proof of a person (identity's levels; 0: an account without proof)."""
SIMULATED = "acr_simulated"
"""The claim, true, of a login whose level a stand-in gave; absent from every other."""


@dataclass(frozen=True)
class Scope:
    """What a system may ask for: its claims by name, and the level under which they stay untold."""

    title: str
    claims: Mapping[str, str]
    level: int = 0


SCOPES: dict[str, Scope] = {
    "openid": Scope(
        "身份标识",
        {"sub": "只在该系统内有效的化名", "acr": "实名等级", "auth_time": "登录时间"},
    ),
    "profile": Scope("姓名", {"name": "姓名"}),
    # A number nobody has checked is no proof of anything: it is not passed on.
    "citizen_number": Scope("公民身份号码", {"citizen_number": "公民身份号码"}, level=2),
    "staff": Scope("任职", {"departments": "任职部门", "roles": "角色"}),
    "agency": Scope("代理关系", {"agencies": "可代为办理的单位和个人"}, level=2),
}
"""Every scope that exists; `openid` is part of each login."""


def known_scopes(text: str | None, allowed: Iterable[str]) -> list[str]:
    """The scopes of a request that exist and that the system may ask for, in our order.

    Unknown ones are passed over (OpenID Connect Core 1.0, 3.1.2.1).
    """
    asked, may = set((text or "").split()), {"openid", *allowed}
    return [name for name in SCOPES if name in asked and name in may]


def claims_of(scopes: Iterable[str], level: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What these scopes tell of a person of this level; facts that are empty stay untold."""
    told: dict[str, Any] = {}
    for name in scopes:
        scope = SCOPES.get(name)
        if scope is None or level < scope.level:
            continue
        told |= {claim: facts[claim] for claim in scope.claims if facts.get(claim)}
    return told


def acr_of(level: int) -> str:
    """The `acr` value of a level."""
    return f"{ACR_PREFIX}{level}"


def simulated_claim(simulated: bool) -> dict[str, bool]:
    """What is told beside `acr` of a level that a stand-in gave (模拟数据): nothing of a real one.

    Stand-ins answer in sample cities only; who relies on a level there learns that it proves nobody.
    """
    return {SIMULATED: True} if simulated else {}


def amr_of(factor: str, way: str = "") -> list[str]:
    """How somebody logged in (RFC 8176): by password, and by which second factor.

    Who came by another platform (`way`) gave no password here; how he entered there is not told.
    """
    more = {"totp": ["otp", "mfa"], "key": ["hwk", "mfa"], "code": ["otp", "mfa"]}
    return [*([] if way else ["pwd"]), *more.get(factor, [])]


def platform_level(told: Mapping[str, Any], claims: Mapping[str, Any]) -> int:
    """The level that a platform's claim means here, by configuration; 0 for none we know.

    `told` is `{claim: name, values: {value: level}}` (packs/core/access.yaml).
    """
    value = claims.get(str(told.get("claim") or "acr"))
    values = told.get("values") or {}
    if not isinstance(value, str | int) or not isinstance(values, Mapping):
        return 0
    found = {str(k): v for k, v in values.items()}.get(str(value), 0)
    return found if isinstance(found, int) and 0 < found <= 3 else 0


def level_of_acr(value: str) -> int | None:
    """The level that an `acr` value names, None for a foreign one."""
    number = value.removeprefix(ACR_PREFIX)
    return (
        int(number)
        if value.startswith(ACR_PREFIX) and number in {"0", "1", "2", "3", "4"}
        else None
    )


def demanded(least: int, acr_values: str | None, claims: str | None) -> int | None:
    """The level that a login must have: the registered one, or more where the request asks for more.

    `acr_values` and the `claims` parameter can only raise it, so that nobody lowers it by changing
    an address. None: the request names only values that do not exist here.
    """
    asked = (acr_values or "").split()
    if claims:
        try:
            entry = (json.loads(claims).get("id_token") or {}).get("acr") or {}
            asked += [
                str(v)
                for v in entry.get("values") or ([entry["value"]] if "value" in entry else [])
            ]
        except (ValueError, AttributeError, TypeError):
            return None
    if not asked:
        return least
    levels = [level for level in map(level_of_acr, asked) if level is not None]
    return max(least, min(levels)) if levels else None


def pairwise(key: bytes, system: str, party: int) -> str:
    """The name by which one system knows a person: constant, and unlike that of any other system."""
    made = hmac.digest(key, f"{system}|{party}".encode(), "sha256")
    return base64.urlsafe_b64encode(made[:24]).decode()


def shown(scope: str, claims: Mapping[str, Any]) -> str:
    """How a consent page shows the person what a scope would tell: masked, in few words."""
    if scope == "openid":
        return "化名，各系统之间不同"
    if scope == "citizen_number":
        number = str(claims.get("citizen_number", ""))
        return f"{number[:3]}***********{number[-4:]}" if number else "实名后才会提供"
    if scope == "staff":
        return "、".join(d["name"] for d in claims.get("departments", ())) or "没有任职"
    if scope == "agency":
        return "、".join(a["name"] for a in claims.get("agencies", ())) or "没有代理关系"
    return str(claims.get("name", ""))


__all__ = [
    "ACR_PREFIX",
    "SCOPES",
    "SIMULATED",
    "Scope",
    "acr_of",
    "amr_of",
    "claims_of",
    "demanded",
    "known_scopes",
    "level_of_acr",
    "pairwise",
    "platform_level",
    "shown",
    "simulated_claim",
]
