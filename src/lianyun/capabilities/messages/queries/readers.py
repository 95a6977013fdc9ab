"""Readers: from an event to the people whom it concerns and the facts that they are told."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max, Q
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import SYSTEM, Actor, Membership, roles
from lianyun.kernel.models import Case, Event, Grant, Party, WorkItem

from .. import adapters
from ..rules import declared
from . import rounds

BATCH = 500
NEAR_MINUTES = 15
log = logging.getLogger("lianyun.messages")


@dataclass(frozen=True)
class Plan:
    """One message that is to be: its kind, its reader, on whose behalf, from what, with which facts."""

    kind: declared.Kind
    party: Party
    about: Party | None
    once: str
    facts: dict[str, Any]


@dataclass
class _Situation:
    """An event with the rows around it."""

    event: Event
    case: Case | None = None
    grant: Grant | None = None
    items: list[WorkItem] = field(default_factory=list)

    @property
    def data(self) -> dict[str, Any]:
        return self.event.data if isinstance(self.event.data, dict) else {}

    def facts(self) -> dict[str, Any]:
        """What words may name beside what the event itself tells."""
        told: dict[str, Any] = {"subject": self.event.subject.partition(":")[2]}
        if self.case is not None:
            case = self.case
            told |= {
                "item": case.data.get("item_name") or case.path.title,
                "case": case.code,
                "case_title": case.title,
                "application": case.data.get("application", ""),
                "department": str(case.department or ""),
                "path": case.path.key,
            }
        if self.items:
            first = self.items[0]
            told |= {
                "step": first.title,
                "until": first.due_on.isoformat() if first.due_on else "",
                "capability": first.permission.partition(".")[0],
            }
        if self.grant is not None:
            told |= {
                "grant_kind": self.grant.kind,
                "resource": self.grant.resource.title if self.grant.resource else "",
            }
        return told


def next_events(viewer: Actor, after: int, limit: int = BATCH) -> tuple[list[Event], int, bool]:
    """(events of declared kinds after a place of the sealed ledger, the place reached, more to come).

    By the chain's order, which is that of commits: nothing is passed over, whoever wrote longest.
    What is older than the terms allow is passed over: a message days late is none.
    """
    viewer.require("messages.queue")
    top = Event.objects.aggregate(top=Max("seq"))["top"] or 0
    since = timezone.now() - dt.timedelta(hours=adapters.terms().stale_hours)
    rows = list(
        Event.objects.filter(
            seq__gt=after, seq__lte=top, kind__in=list(adapters.heard()), at__gt=since
        ).order_by("seq")[:limit]
    )
    if len(rows) == limit:
        return rows, rows[-1].seq or top, True
    return rows, max(top, after), False


def plans(viewer: Actor, events: Sequence[Event]) -> tuple[list[Plan], list[tuple[Event, str]]]:
    """(what is to be told of these events, events that could not be read with the reason)."""
    viewer.require("messages.queue")
    wanted: list[tuple[declared.Kind, _Situation, dict[str, Any], list[Party]]] = []
    out: list[Plan] = []
    faults: list[tuple[Event, str]] = []
    book = _Book(events)
    for event in events:
        try:
            here = book.situation(event)
            base = here.facts()
            for kind in adapters.heard()[event.kind]:
                if not kind.fits({**base, **here.data}):
                    continue
                facts = {**base, **{n: here.data.get(k) for n, k in kind.facts.items()}}
                if kind.to == declared.ACCOUNT:
                    out += [
                        Plan(kind, p, None, f"event:{event.pk}", {**facts, "said": t})
                        for p, t in identity.told_of(event)
                    ]
                elif kind.to == declared.NEAR:
                    out += _near(kind, event, facts)
                else:
                    wanted.append((kind, here, facts, book.concerned(kind, here)))
        except Exception as wrong:  # one event that cannot be read must not silence the others
            log.exception("event %s cannot be told", event.pk)
            faults.append((event, f"{type(wrong).__name__}: {wrong}"[:200]))
    book.know_agents(p for *_, parties in wanted for p in parties)
    for kind, here, facts, parties in wanted:
        seen: set[int] = set()
        for party, about in book.readers(kind, here, parties):
            if party.pk not in seen:
                seen.add(party.pk)
                out.append(Plan(kind, party, about, f"event:{here.event.pk}", facts))
    return out, faults


def _near(kind: declared.Kind, event: Event, facts: dict[str, Any]) -> list[Plan]:
    if timezone.now() - event.at > dt.timedelta(minutes=NEAR_MINUTES):
        return []
    return [
        Plan(kind, n.person, None, f"ticket:{n.code}", {
            **facts, "ahead": n.ahead, "label": n.label, "hall": n.hall, "subject": n.code,
        })
        for n in rounds.near_line(SYSTEM, int(event.subject.partition(":")[2]))
    ]  # fmt: skip


class _Book:
    """The rows around a batch of events, each kind of row read in one statement."""

    def __init__(self, events: Sequence[Event]) -> None:
        cases = {e.case_id_ref for e in events if e.case_id_ref}
        codes = {e.subject.partition(":")[2] for e in events if e.subject.startswith("grant:")}
        self.cases = (
            Case.objects.filter(pk__in=cases)
            .select_related("path", "applicant", "department")
            .defer("engine", "path__bpmn")
            .in_bulk()
            if cases
            else {}
        )
        rows = Grant.objects.filter(code__in=codes).select_related("grantee", "resource")
        self.grants = {g.code: g for g in rows} if codes else {}
        self.items: dict[int, list[WorkItem]] = {}
        if cases:
            open_items = WorkItem.objects.filter(case_id__in=cases, done_at=None)
            for item in open_items.select_related("department", "assignee").order_by("id"):
                self.items.setdefault(item.case_id, []).append(item)
        self.parties = _parties({ref for e in events for ref in _named(e)})
        self.agents: dict[int, list[Party]] = {}
        self.posts: dict[tuple[str, int | None], list[Party]] = {}

    def situation(self, event: Event) -> _Situation:
        """An event with its rows."""
        case = self.cases.get(event.case_id_ref or 0)
        code = event.subject.partition(":")[2] if event.subject.startswith("grant:") else ""
        return _Situation(
            event, case, self.grants.get(code), self.items.get(case.pk, []) if case else []
        )

    def concerned(self, kind: declared.Kind, here: _Situation) -> list[Party]:
        """The parties that a kind speaks to; desks and holders are found as people by `readers`."""
        if kind.to == declared.APPLICANT:
            return [here.case.applicant] if here.case and here.case.applicant else []
        if kind.to == declared.GRANTEE:
            return [here.grant.grantee] if here.grant else []
        if kind.to == declared.NAMED:
            return [self.parties[r] for r in _named(here.event) if r in self.parties]
        return []

    def know_agents(self, parties: Iterable[Party]) -> None:
        """Read who acts for these, in one statement."""
        ids = {p.pk for p in parties if p.kind in (Party.PERSON, Party.LEGAL_ENTITY)}
        refs = identity.acting_for(SYSTEM, ids, "follow") if ids else {}
        known = _parties({r for told in refs.values() for r in told})
        self.agents = {pk: [known[r] for r in told if r in known] for pk, told in refs.items()}

    def readers(
        self, kind: declared.Kind, here: _Situation, parties: Iterable[Party]
    ) -> list[tuple[Party, Party | None]]:
        """(reader, on whose behalf): people, whatever the party is."""
        out: list[tuple[Party, Party | None]] = []
        for party in parties:
            if party.kind == Party.DEPARTMENT:
                out += [(p, None) for p in self.holders(kind.permission, party.pk)]
                continue
            if party.kind == Party.PERSON:
                out.append((party, None))
            out += [(agent, party) for agent in self.agents.get(party.pk, [])]
        if kind.to == declared.DESK:
            out += [(p, None) for p in self._desk(here)]
        elif kind.to == declared.HOLDERS:
            out += [(p, None) for p in self.holders(kind.permission, None)]
        if kind.for_officers:  # nobody needs to be told what he did himself
            out = [(p, about) for p, about in out if p.ref != here.event.by]
        return out

    def _desk(self, here: _Situation) -> list[Party]:
        out: list[Party] = []
        step = here.data.get("step") if here.event.kind == "case.urged" else None
        for item in here.items:
            if step and item.step != step:
                continue
            if item.assignee is not None:
                out.append(item.assignee)
            elif item.department_id is not None:
                out += self.holders(item.permission, item.department_id)
        return out

    def holders(self, permission: str, department: int | None) -> list[Party]:
        """Who holds a permission today in a department (None: anywhere), as many as the terms allow."""
        if not permission:
            return []
        key = (permission, department)
        if key not in self.posts:
            self.posts[key] = _holders(permission, department)
        return self.posts[key]


def _holders(permission: str, department: int | None) -> list[Party]:
    today = timezone.localdate()
    rows = Membership.objects.filter(
        Q(since=None) | Q(since__lte=today),
        Q(until=None) | Q(until__gte=today),
        role__in=[r.name for r in roles().values() if permission in r.permissions],
        party__active=True,
    )
    if department is not None:
        rows = rows.filter(department_id=department)
    found = {m.party_id: m.party for m in rows.select_related("party").order_by("id")}
    return list(found.values())[: adapters.terms().pool]


def _named(event: Event) -> list[str]:
    told = event.data.get("to") if isinstance(event.data, dict) else None
    refs = told if isinstance(told, list) else [told]
    return [r for r in refs if isinstance(r, str) and ":" in r]


def _parties(refs: set[str]) -> dict[str, Party]:
    if not refs:
        return {}
    keys = [r.partition(":")[2] for r in refs]
    rows = Party.objects.filter(Q(pk__in=[k for k in keys if k.isdigit()]) | Q(slug__in=keys))
    return {p.ref: p for p in rows if p.ref in refs}


__all__ = ["BATCH", "Plan", "next_events", "plans"]
