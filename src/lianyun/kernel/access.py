"""Access: who may see and do what, in one place: roles held in departments give permissions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from django.db import models

from . import packs
from .manifest import permissions
from .party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping


ADMINISTRATORS = ("system_admin", "security_admin", "audit_admin")
"""三员分立 (GB/T 22239-2019, level 3): nobody holds two of these roles; the database refuses it."""


class Denied(Exception):
    """The actor may not do this; the message says which permission is missing, in Chinese.

    `way` is (title, address) of the page on which the actor can do something about it.
    """

    way: tuple[str, str] | None = None


class UserError(Exception):
    """The user's input or the state of things forbids this; the message says what to do, in Chinese."""


@dataclass(frozen=True)
class Role:
    """A role as packs/core/roles.yaml declares it; scope `own` binds it to the holder's department."""

    name: str
    title: str
    permissions: frozenset[str]
    scope: str = "own"


@cache
def roles() -> dict[str, Role]:
    """All declared roles by name."""
    out: dict[str, Role] = {}
    for entry in packs.lists("roles.yaml"):
        out[entry["name"]] = Role(
            entry["name"],
            entry["title"],
            frozenset(entry.get("permissions") or ()),
            entry.get("scope", "own"),
        )
    return out


class Membership(models.Model):
    """A person holds a role in a department, from a day until a day."""

    party = models.ForeignKey(
        Party, models.CASCADE, related_name="memberships", verbose_name="人员"
    )
    department = models.ForeignKey(
        Party, models.CASCADE, related_name="members", verbose_name="部门"
    )
    role = models.CharField("角色", max_length=60)
    since = models.DateField("开始", null=True)
    until = models.DateField("结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "任职"
        constraints = [
            models.UniqueConstraint(fields=["party", "department", "role"], name="membership_once"),
            models.UniqueConstraint(
                fields=["party"],
                condition=models.Q(role__in=ADMINISTRATORS),
                name="one_administrator_of_three",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party} {self.department} {self.role}"

    @property
    def role_title(self) -> str:
        """The role's Chinese name."""
        found = roles().get(self.role)
        return found.title if found else self.role


@dataclass(frozen=True)
class Actor:
    """Who acts or reads: a party with the permissions its roles give, each with the departments.

    `held` maps a permission to the ids of the departments for which it is held; None means all.
    `behalf` is whom a person acts for (a firm, a child): every event then names both.
    """

    party: Party | None = None
    department: Party | None = None
    roles: tuple[str, ...] = ()
    held: Mapping[str, frozenset[int] | None] = field(default_factory=dict)
    everything: bool = False
    behalf: Party | None = None

    @property
    def known(self) -> bool:
        """False for a visitor who has not logged in."""
        return self.party is not None or self.everything

    @property
    def name(self) -> str:
        """How the ledger and pages call this actor."""
        if self.party is not None:
            return self.party.name
        return "系统" if self.everything else "访客"

    @property
    def ref(self) -> str:
        """Portable pointer; the system itself is `system:lianyun`."""
        if self.party is not None:
            return self.party.ref
        return "system:lianyun" if self.everything else "visitor:"

    def may(self, permission: str, department: Party | None = None) -> bool:
        """Whether the permission is held, for that department if one is given."""
        if self.everything:
            return True
        if permission not in self.held:
            return False
        scope = self.held[permission]
        return scope is None or department is None or department.pk in scope

    def require(self, permission: str, department: Party | None = None) -> None:
        """Raise Denied unless `may`."""
        if not self.may(permission, department):
            title = permissions().get(permission, permission)
            where = f"（{department.name}）" if department is not None else ""
            raise Denied(f"您没有“{title}”的权限{where}，请联系本部门管理员")

    def departments(self, permission: str) -> frozenset[int] | None:
        """Ids of the departments for which the permission is held; None means every department."""
        if self.everything:
            return None
        return self.held.get(permission, frozenset())


ANONYMOUS = Actor()
SYSTEM = Actor(everything=True)


def actor_of(party: Party, department: Party | None = None) -> Actor:
    """The actor that a person is today; `department` chooses among several posts.

    One query, none where the posts were read already; roles that ended or are no longer declared
    give nothing.
    """
    today = dt.date.today()  # noqa: DTZ011 - posts begin and end on the city's calendar days
    posts = getattr(party, "_prefetched_objects_cache", {}).get("memberships")
    if posts is None:
        posts = party.memberships.select_related("department").order_by("id")
    rows = [
        m
        for m in posts
        if (m.since is None or m.since <= today) and (m.until is None or today <= m.until)
    ]
    held: dict[str, frozenset[int] | None] = {}
    names: list[str] = []
    for row in rows:
        role = roles().get(row.role)
        if role is None:
            continue
        names.append(role.name)
        for permission in role.permissions:
            if role.scope == "all":
                held[permission] = None
                continue
            before = held.get(permission, frozenset())
            if before is not None:
                held[permission] = before | {row.department_id}
    home = department or (rows[0].department if rows else None)
    return Actor(party, home, tuple(dict.fromkeys(names)), held)
