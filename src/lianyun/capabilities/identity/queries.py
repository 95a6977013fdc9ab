"""Queries: accounts, posts and open logins that a viewer may see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import TruncDate
from django.utils import timezone

from lianyun.kernel.access import Denied, Membership, roles
from lianyun.kernel.event import Event, timeline
from lianyun.kernel.party import Party

from . import rules
from .models import Account, Agency, FormerNumber, Seat, User

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def accounts(viewer: Actor) -> models.QuerySet[User]:
    """Accounts of the departments that the viewer manages or secures, with their people."""
    rows = User.objects.exclude(party=None).select_related("party")
    scope = _scope(viewer)
    if scope is not None:
        rows = rows.filter(party__memberships__department_id__in=scope).distinct()
    return rows.prefetch_related("party__memberships__department").order_by("username")


def _scope(viewer: Actor) -> frozenset[int] | None:
    parts = [viewer.departments(p) for p in ("identity.manage", "identity.secure")]
    if any(p is None for p in parts):
        return None
    return frozenset().union(*[p for p in parts if p is not None])


def account(viewer: Actor, username: str) -> User:
    """One account; raises Denied for one outside the viewer's departments (or unknown)."""
    found = accounts(viewer).filter(username=username).first()
    if found is None:
        raise Denied("没有这个账号，或者它不属于您管理的部门")
    return found


def history(viewer: Actor, user: User) -> models.QuerySet[Event]:
    """What happened to an account the viewer may see, newest first."""
    account(viewer, user.username)
    return timeline(user).order_by("-id")[:30]


def manageable_departments(viewer: Actor) -> models.QuerySet[Party]:
    """Departments whose accounts the viewer may manage."""
    rows = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")
    scope = viewer.departments("identity.manage")
    return rows if scope is None else rows.filter(pk__in=scope)


def assignable_roles(viewer: Actor) -> list[tuple[str, str]]:
    """Roles that the viewer may give: city-wide ones only by a city-wide administrator."""
    whole = viewer.departments("identity.manage") is None
    return [(r.name, r.title) for r in roles().values() if whole or r.scope == "own"]


def posts(viewer: Actor, party: Party) -> list[Membership]:
    """A person's posts: the viewer's own, or of someone whose account the viewer may see."""
    if viewer.party is None or viewer.party.pk != party.pk:
        account(viewer, party.account.username)
    return list(party.memberships.select_related("department").order_by("department_id", "id"))


@dataclass(frozen=True)
class OpenSeat:
    """A login that is open now, with the time of its last page."""

    seat: Seat
    seen: dt.datetime | None
    current: bool


def seats(viewer: Actor, user: User, current: str = "") -> list[OpenSeat]:
    """Open logins of the viewer's own account, or of one the viewer may see; newest first."""
    if viewer.party is None or user.party_id != viewer.party.pk:
        account(viewer, user.username)
    rows = list(user.seats.all())
    alive = {
        s.session_key: s.get_decoded()
        for s in Session.objects.filter(
            session_key__in=[r.key for r in rows], expire_date__gt=timezone.now()
        )
    }
    out = []
    for row in rows:
        if row.key not in alive:
            continue
        seen = alive[row.key].get("seen")
        when = dt.datetime.fromtimestamp(seen, tz=dt.UTC) if seen else None
        out.append(OpenSeat(row, when, row.key == current))
    return out


def locked_accounts(viewer: Actor) -> models.QuerySet[User]:
    """Accounts in the viewer's reach that are locked or have failed logins lately."""
    return accounts(viewer).filter(
        models.Q(locked_until__gt=timezone.now()) | models.Q(failed__gt=0)
    )


def failures_by_day(viewer: Actor, days: int = 14) -> list[tuple[dt.date, int]]:
    """Refused logins of the whole city on each of the last days, for those who secure it."""
    viewer.require("identity.secure")
    today = timezone.localdate()
    begin = today - dt.timedelta(days=days - 1)
    start = timezone.make_aware(dt.datetime.combine(begin, dt.time()))
    counted: dict[dt.date, int] = dict(
        Event.objects.filter(kind="session.refused", at__gte=start)
        .annotate(day=TruncDate("at"))
        .values_list("day")
        .annotate(models.Count("id"))
    )
    return [(d, counted.get(d, 0)) for d in (begin + dt.timedelta(days=i) for i in range(days))]


def party_by_hash(digest: str) -> Party | None:
    """Who holds (or once held) the number with this keyed hash; for actions of this capability."""
    account = Account.objects.filter(number_hash=digest).select_related("party").first()
    if account is None:
        former = (
            FormerNumber.objects.filter(number_hash=digest).select_related("account__party").first()
        )
        account = former.account if former else None
    return account.party if account else None


def agencies(viewer: Party) -> list[Agency]:
    """For whom the viewer (a person) may act today, newest first; each with scope and end."""
    today = timezone.localdate()
    rows = (
        Agency.objects.filter(agent=viewer, ended_at=None, since__lte=today)
        .exclude(accepted_at=None)
        .filter(models.Q(until=None) | models.Q(until__gte=today))
        .select_related("principal")
    )
    return list(rows)


def may_act(viewer: Party, principal: Party, scope: str) -> bool:
    """Whether the viewer may do this (a key of rules.SCOPES) for the principal today."""
    return any(
        a.principal_id == principal.pk and rules.covers_scope(a.kind, a.scope, scope)
        for a in agencies(viewer)
    )
