"""Queries: systems with their lamps, what is with them, what waits for a desk, what an item's grant allows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Event, Grant, Party, WorkItem

from . import adapters, rules
from .models import Handover, Letter, Message, System

GRANT = "relay"
SETTLE = "relay.settle"
HELD = (
    "desk.read", "desk.review", "desk.deliver", "hall.read", "forms.read", "forms.reveal",
    "licences.read", "licences.issue",
)  # fmt: skip
"""What a system may do in its own department's cases, each time in its own name."""


def acting(system: System, applicant: int | None = None) -> Actor:
    """A system as an actor: in its department only; with `applicant` it may end a needless 补正."""
    own = frozenset({system.department_id})
    held: dict[str, frozenset[int] | None] = dict.fromkeys(HELD, own)
    if applicant is not None:
        held["hall.supplement"] = frozenset({applicant})
    return Actor(party=system.party, department=system.department, held=held)


def place(system: System) -> adapters.Place:
    """Where a system is called and with which key."""
    return adapters.Place(
        system.address, system.code, adapters.keys_of(system.key)[0], vouched=system.vouched
    )


# ---- systems ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One system as lists show it."""

    system: System
    open: int
    waiting: int
    dead: int
    words: str
    tone: str

    @property
    def name(self) -> str:
        """The system's name."""
        return self.system.party.name

    @property
    def code(self) -> str:
        """The system's code."""
        return self.system.code


def systems(viewer: Actor) -> QuerySet[System]:
    """Systems of the viewer's departments."""
    viewer.require("relay.read")
    rows = System.objects.select_related("party", "department").order_by("closed_at", "-id")
    scope = viewer.departments("relay.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def system(viewer: Actor, code: str) -> System | None:
    """One system that the viewer may see."""
    return systems(viewer).filter(code=code).first()


def by_code(code: str) -> System | None:
    """A system by its own word; whoever calls is judged by the signature."""
    return (
        System.objects.filter(code=code, closed_at=None)
        .select_related("party", "department")
        .first()
    )


def lines(viewer: Actor, rows: Iterable[System]) -> list[Line]:
    """Systems with what is with them and their lamps; three statements for all of them."""
    found = list(rows)
    keys = [s.pk for s in found]
    now = timezone.now()
    heard: dict[int, list[dt.datetime]] = {}
    for pk, at in Handover.objects.filter(system__in=keys, ended_at=None).values_list(
        "system_id", "heard_at"
    ):
        heard.setdefault(pk, []).append(at)
    letters = {
        r["handover__system"]: r
        for r in Letter.objects.filter(handover__system__in=keys, taken_at=None, skipped_by="")
        .values("handover__system")
        .annotate(
            waiting=Count("pk", filter=Q(dead_at=None)), dead=Count("pk", filter=~Q(dead_at=None))
        )
    }
    stuck = dict(
        _unsettled(Message.objects.filter(system__in=keys))
        .values_list("system")
        .annotate(n=Count("pk"))
    )
    out = []
    for s in found:
        told = letters.get(s.pk, {"waiting": 0, "dead": 0})
        dead = told["dead"] + stuck.get(s.pk, 0)
        lamps = [rules.silence(at, now, s.silent_hours)[1] for at in heard.get(s.pk, ())]
        words, tone = rules.lamp(
            closed=s.closed_at is not None, paused=s.paused, error=s.error, dead=dead, lamps=lamps
        )
        out.append(Line(s, len(heard.get(s.pk, ())), told["waiting"], dead, words, tone))
    return out


def totals(lines_: Iterable[Line]) -> dict[str, int]:
    """Figures above the list."""
    rows = list(lines_)
    return {
        "systems": sum(r.system.closed_at is None for r in rows),
        "open": sum(r.open for r in rows),
        "waiting": sum(r.waiting for r in rows),
        "dead": sum(r.dead for r in rows),
    }


def _unsettled(rows: QuerySet[Message]) -> QuerySet[Message]:
    return rows.filter(effect__in=[rules.CONFLICT, rules.STUCK], settled_by="")


def departments(viewer: Actor) -> list[Party]:
    """Departments whose systems the viewer may register."""
    viewer.require("relay.manage")
    rows = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("name")
    scope = viewer.departments("relay.manage")
    return list(rows if scope is None else rows.filter(pk__in=scope))


# ---- grants ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Allowed:
    """What one system may be given of one item."""

    grant: Grant
    item: str
    name: str
    fields: tuple[str, ...]
    materials: tuple[str, ...]
    words: str


def grants(viewer: Actor, system_: System) -> list[Allowed]:
    """The items that go to a system, each with the answers and materials that it may be given."""
    rows = Grant.objects.filter(kind=GRANT, grantee=system_.party_id, state=Grant.ACTIVE)
    out = []
    for grant in rows.order_by("-id"):
        if not grant.in_force():
            continue
        told = grant.terms
        item = items.find(told["item"])
        names = fields_of(told["item"])
        materials = {m.id: m.name for m in item.materials} if item else {}
        words = [names[f] for f in told["fields"] if f in names]
        words += [materials[m] for m in told["materials"] if m in materials]
        out.append(
            Allowed(
                grant,
                told["item"],
                item.name if item else told["item"],
                tuple(told["fields"]),
                tuple(told["materials"]),
                "、".join(words),
            )
        )
    return out


def grant_of(item: str, department: Party | None) -> tuple[System, Grant] | None:
    """The system that handles an item of a department, with the grant for it; the newest wins."""
    for grant in Grant.objects.filter(
        kind=GRANT, state=Grant.ACTIVE, terms__item=item
    ).select_related("grantee"):
        if not grant.in_force():
            continue
        found = System.objects.filter(
            party=grant.grantee, closed_at=None, department=department
        ).first()
        if found is not None:
            return found, grant
    return None


def fields_of(item: str) -> dict[str, str]:
    """The plain fields of an item's form, id → title; without what nobody's system needs (signatures)."""
    found = items.find(item)
    if found is None or not found.form:
        return {}
    try:
        form = forms.form(found.form)
    except UserError:
        return {}
    told = {
        f.id: f.title
        for _, f in form.plain_fields()
        if f.kind not in ("declaration", "signature", "file")
    }
    for part in form.parts:
        if part.repeat is not None:
            told[part.id] = part.title
    return told


def materials_of(item: str) -> dict[str, str]:
    """The materials of an item, id → name."""
    found = items.find(item)
    return {m.id: m.name for m in found.materials} if found else {}


def relayed_items(department: Party) -> list[tuple[str, str]]:
    """Items of a department whose path hands over to a system: code and name."""
    out = []
    page, more = 1, True
    while more:
        told = items.search("", department=str(department.slug), page=page)
        out += [(line.code, line.name) for line in told.lines]
        page, more = page + 1, bool(told.lines) and page < told.pages
    return [(c, n) for c, n in out if (i := items.find(c)) is not None and "relay" in i.path]


# ---- what is with them -----------------------------------------------------------------------


def handovers(viewer: Actor) -> QuerySet[Handover]:
    """Cases that are or were with systems of the viewer's departments, newest first."""
    viewer.require("relay.read")
    rows = Handover.objects.select_related("system__party", "system__department", "case", "grant")
    scope = viewer.departments("relay.read")
    return rows if scope is None else rows.filter(system__department_id__in=scope)


def of_case(viewer: Actor, code: str) -> Handover | None:
    """The newest handing over of a case."""
    return handovers(viewer).filter(case__code=code).order_by("-id").first()


def silent_words(row: Handover) -> tuple[str, str]:
    """How long a case has been without a word, and its lamp; its outcome where it has ended."""
    if row.ended_at is not None:
        tone = "green" if row.outcome == rules.GRANTED else "grey"
        return rules.ENDS.get(row.outcome, row.outcome), tone
    return rules.silence(row.heard_at, timezone.now(), row.system.silent_hours)


@dataclass(frozen=True)
class Told:
    """One message as its desk sees it."""

    row: Message
    said: rules.Said


def messages(viewer: Actor, row: Handover) -> list[Told]:
    """What a system has said of a case, in the order of its own clock."""
    viewer.require("relay.read", row.system.department)
    return [
        Told(m, rules.read(json.loads(adapters.unseal(m.sealed))))
        for m in row.messages.order_by("at", "id")
    ]


def letters(viewer: Actor, row: Handover) -> list[Letter]:
    """What was sent to a system of a case, or waits to be."""
    viewer.require("relay.read", row.system.department)
    return list(row.letters.order_by("id"))


def history(viewer: Actor, subject: Any) -> list[Event]:
    """What people did, newest first."""
    viewer.require("relay.read")
    return list(timeline(subject).order_by("-id")[:40])


def dead_letters(viewer: Actor) -> list[Letter]:
    """Letters that were refused and wait for somebody, of the viewer's departments."""
    rows = Letter.objects.filter(
        handover__in=handovers(viewer), taken_at=None, skipped_by=""
    ).exclude(dead_at=None)
    return list(rows.select_related("handover__system__party", "handover__case")[:200])


def unsettled(viewer: Actor) -> list[Message]:
    """Messages that contradict a result or could not be carried out, of the viewer's departments."""
    rows = _unsettled(Message.objects.filter(handover__in=handovers(viewer)))
    return list(rows.select_related("handover__system__party", "handover__case")[:200])


def letter(viewer: Actor, number: str) -> Letter | None:
    """One letter that the viewer may see."""
    return (
        Letter.objects.filter(handover__in=handovers(viewer), number=number)
        .select_related("handover__system__party", "handover__system__department")
        .first()
    )


def message(viewer: Actor, pk: int) -> Message | None:
    """One message that the viewer may see."""
    return (
        Message.objects.filter(handover__in=handovers(viewer), pk=pk)
        .select_related("handover__system__party", "handover__system__department")
        .first()
    )


# ---- for the worker --------------------------------------------------------------------------


def waiting_steps() -> list[WorkItem]:
    """Open steps that wait for a department's system and have not been told to it."""
    known = Handover.objects.filter(ended_at=None, case=OuterRef("case"), token=OuterRef("token"))
    rows = WorkItem.objects.filter(
        done_at=None, permission=SETTLE, case__state__in=[Case.OPEN, Case.SUSPENDED]
    ).exclude(Exists(known))
    return list(rows.select_related("case__path", "case__department").order_by("id")[:500])


def gone() -> list[Handover]:
    """Handovers whose case does not wait for its system any more (withdrawn, settled elsewhere)."""
    rows = Handover.objects.filter(ended_at=None, case__state=Case.CLOSED)
    return list(rows.select_related("case", "system__party", "system__department")[:500])


def due(now: dt.datetime) -> list[System]:
    """Systems with something to send now, or with cases to ask after."""
    rows = System.objects.filter(closed_at=None).filter(Q(next_at=None) | Q(next_at__lte=now))
    out = []
    for one in rows.select_related("party", "department"):
        if one.paused:
            continue
        if outgoing(one).exists() or to_ask(one, now):
            out.append(one)
    return out


def outgoing(system_: System) -> QuerySet[Letter]:
    """Letters that wait to be sent, oldest first; behind a dead one of the same case nothing goes."""
    rows = Letter.objects.filter(handover__system=system_, taken_at=None, skipped_by="")
    stopped = rows.exclude(dead_at=None).values("handover_id")
    return rows.filter(dead_at=None).exclude(handover_id__in=stopped).order_by("id")


def to_ask(system_: System, now: dt.datetime) -> list[Handover]:
    """Open cases of which nothing was heard for too long, and that were not asked after lately."""
    hours = system_.silent_hours
    edge = now - rules.ask_again(hours)
    rows = Handover.objects.filter(
        system=system_, ended_at=None, heard_at__lt=now - dt.timedelta(hours=hours)
    ).filter(Q(asked_at=None) | Q(asked_at__lt=edge))
    return list(rows.exclude(taken_at=None).order_by("heard_at")[:100])


# ---- what is handed over ---------------------------------------------------------------------


def content(viewer: Actor, case: Case, grant: Grant) -> tuple[dict[str, Any], str]:
    """What a system is given of an application under a grant, and the applicant's number.

    Answers by field with their titles, materials with their ground or their files; whatever the
    grant does not name is left out. The reading is on record with the system as its reader.
    """
    allowed = grant.terms
    told: dict[str, Any] = {
        "item": {"code": str(case.data.get("item") or ""), "name": case.data.get("item_name", "")},
        "opened_at": case.opened_at.isoformat(),
        "situations": case.data.get("situations") or {},
    }
    try:
        answers = hall.answers(case, viewer)
        shown = hall.application_of(case, viewer)
    except Denied:  # a case that no application of the hall stands behind
        return told | {"applicant": {}, "answers": {}, "materials": []}, ""
    number = str(answers.get("applicant_number") or "")
    titles = fields_of(told["item"]["code"])
    told["applicant"] = {
        "kind": case.applicant.kind if case.applicant else "",
        "name": answers["applicant_name"],
        "number": number,
    }
    told["answers"] = {
        name: {"title": titles.get(name, name), "value": value}
        for name, value in rules.chosen(answers, allowed["fields"]).items()
    }
    told["materials"] = [
        {
            "id": m.id,
            "name": m.name,
            "ground": m.ground,
            "words": m.words,
            "source": str(m.evidence.get("source") or ""),
            "values": hall.shared_values(case, m.id, viewer) if m.ground in SHARED else {},
            "files": [
                {
                    "code": f.code,
                    "name": f.name,
                    "media": f.media,
                    "size": f.size,
                    "sha256": f.sha256,
                }
                for f in m.files
            ],
        }
        for m in shown.materials
        if m.id in allowed["materials"] and m.met
    ]
    return told, number


SHARED = ("library", "licence", "service")
"""Grounds whose values stand in place of the paper."""


def file_of(viewer: Actor, row: Handover, code: str) -> tuple[str, str, bytes] | None:
    """One file of a granted material: name, media, bytes; None where the grant does not reach it."""
    try:
        shown = hall.application_of(row.case, viewer)
    except Denied:
        return None
    for material in shown.materials:
        if material.id in row.grant.terms["materials"]:
            for one in material.files:
                if one.code == code:
                    draft = forms.draft_of(shown.application.draft, viewer)
                    found, body = forms.attachment(
                        draft, code, viewer, department=row.system.department
                    )
                    return found.name, found.media, body
    return None


def state(viewer: Actor, system_: System, number: str) -> dict[str, Any] | None:
    """What we hold of a case, for the system that has it; None for another's."""
    row = Handover.objects.filter(system=system_, number=number).first()
    if row is None or viewer.party is None or viewer.party.pk != system_.party_id:
        return None
    return {
        "case": row.number,
        "own_number": row.own_number,
        "ended": row.outcome,
        "messages": [
            {"number": m.number, "kind": m.kind, "effect": m.effect} for m in row.messages.all()
        ],
    }
