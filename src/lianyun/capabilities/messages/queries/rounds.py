"""Rounds: what the daily jobs tell: work that waits, who read about whom, whose ticket is near."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.counters import api as counters
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, Membership, roles
from lianyun.kernel.clock import calendar
from lianyun.kernel.models import Case, Party, WorkItem

NEAR_DAYS = 2
"""Working days before its end at which a step is called near (as the lamps of all pages turn amber)."""
AHEAD = 3
"""So many before it, and a ticket is near."""


@dataclass(frozen=True)
class Work:
    """What waits for one officer on a morning: in all, near its day, past it."""

    party: Party
    waiting: int
    near: int
    overdue: int


def work(viewer: Actor, day: dt.date) -> list[Work]:
    """What waits for each officer: claimed by him, or in the pool of a post that he holds.

    Two statements, whatever the number of officers.
    """
    viewer.require("messages.queue")
    edge = calendar().add_working_days(day, NEAR_DAYS)
    groups: list[Any] = list(
        WorkItem.objects.filter(done_at=None, case__state=Case.OPEN, department__isnull=False)
        .exclude(permission="")
        .values("permission", "department_id", "assignee_id")
        .annotate(
            open=Count("id"),
            late=Count("id", filter=Q(due_on__lt=day)),
            soon=Count("id", filter=Q(due_on__gte=day, due_on__lte=edge)),
        )
        .order_by()
    )
    posts = list(
        Membership.objects.filter(
            Q(since=None) | Q(since__lte=day), Q(until=None) | Q(until__gte=day), party__active=True
        ).select_related("party")
    )
    pools: dict[tuple[str, int], list[Any]] = {}
    claimed: dict[int, list[Any]] = {}
    for group in groups:
        if group["assignee_id"]:
            claimed.setdefault(group["assignee_id"], []).append(group)
        else:
            pools.setdefault((group["permission"], group["department_id"]), []).append(group)
    people: dict[int, Party] = {}
    mine: dict[int, set[tuple[str, int]]] = {}
    for post in posts:
        role = roles().get(post.role)
        if role is None:
            continue
        people[post.party_id] = post.party
        held = {(p, post.department_id) for p in role.permissions} & pools.keys()
        mine.setdefault(post.party_id, set()).update(held)
    out = []
    for pk, party in people.items():
        parts = [g for key in mine[pk] for g in pools[key]] + claimed.get(pk, [])
        total: Counter[str] = Counter()
        for part in parts:
            total.update({k: part[k] for k in ("open", "soon", "late")})
        if total["open"]:
            out.append(Work(party, total["open"], total["soon"], total["late"]))
    return out


@dataclass(frozen=True)
class Reading:
    """How often others read about a person on a day, and which departments."""

    party: Party
    count: int
    departments: tuple[str, ...]


def readings(viewer: Actor, day: dt.date) -> list[Reading]:
    """Who was read about on a day, of those who can log in; one's own readings are not counted."""
    viewer.require("messages.queue")
    begin = timezone.make_aware(dt.datetime.combine(day, dt.time()))
    told = audit.read_about(viewer, begin, begin + dt.timedelta(days=1))
    if not told:
        return []
    known = identity.with_login(list(told))
    rows = Party.objects.filter(pk__in=known)
    return [Reading(p, told[p.pk].count, told[p.pk].departments) for p in rows]


def near_line(viewer: Actor, ticket: int) -> list[Any]:
    """The persons whose tickets are near, after this one was called."""
    return counters.near(ticket, AHEAD, viewer=viewer)


__all__ = ["AHEAD", "NEAR_DAYS", "Reading", "Work", "near_line", "readings", "work"]
