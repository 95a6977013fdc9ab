"""Filings: one's own packages, where each item stands, what is wanted of all of them once, the results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Event, Party
from lianyun.ui.events import EVENTS

from ..models import HELPER, Filing, FilingStep
from ..rules import plan as planning

_WITH = ("applicant", "by", "department", "case")
FOLLOW, APPLY, HELP = "follow", "apply", "hall.help"


def reaches(viewer: Actor, filing: Filing, scope: str = FOLLOW) -> bool:
    """Whether the viewer may follow (or, with `apply`, go on with) a filing today."""
    if viewer.party is None:
        return False
    if viewer.party.pk == filing.applicant_id:
        return True
    if filing.relation == HELPER and filing.by_id == viewer.party.pk and viewer.may(HELP):
        return True
    return identity.may_act(viewer.party, filing.applicant, scope)


def one(viewer: Actor, code: str, *, scope: str = FOLLOW) -> Filing | None:
    """One filing that the viewer may follow; None alike for another's and for none."""
    found = Filing.objects.filter(code=code).select_related(*_WITH).first()
    return found if found is not None and reaches(viewer, found, scope) else None


def mine(viewer: Actor) -> QuerySet[Filing]:
    """The packages of the viewer, or of the firm acted for, newest first."""
    if viewer.party is None:
        return Filing.objects.none()
    whose = Q(applicant=viewer.party)
    if viewer.behalf is not None:
        may = identity.may_act(viewer.party, viewer.behalf, FOLLOW)
        whose = Q(applicant=viewer.behalf) if may else Q(pk=None)
    elif viewer.may(HELP):
        whose |= Q(by=viewer.party, relation=HELPER)
    return Filing.objects.filter(whose).select_related(*_WITH).order_by("-id")


def helped(viewer: Actor) -> QuerySet[Filing]:
    """The packages with which the viewer helps somebody, newest first."""
    viewer.require(HELP)
    rows = Filing.objects.filter(by=viewer.party, relation=HELPER)
    return rows.select_related(*_WITH).order_by("-id")


def only_helps(viewer: Actor, filing: Filing) -> bool:
    """Whether the viewer is but the clerk who helped: what was filed is not the clerk's to read."""
    return filing.applicant not in hall.principals(viewer)


def unconfirmed(viewer: Actor, filing: Filing) -> list[hall.Application]:
    """The items of a helped package to which the person has not agreed yet; the viewer was checked."""
    if filing.relation != HELPER or filing.filed:
        return []
    return [a for a in applications(viewer, filing).values() if a.confirmed_at is None]


def steps(viewer: Actor, filing: Filing) -> list[FilingStep]:
    """A filing's items in the order in which they can be done; the viewer was checked for the filing."""
    return list(filing.steps.all())


def applications(viewer: Actor, filing: Filing) -> dict[str, hall.Application]:
    """The applications of a filing by item; one whose step ended unopened may be gone."""
    return {a.item: a for a in hall.of_bundle(filing.ref, viewer)}


def step_rows(
    viewer: Actor, rows: Sequence[FilingStep], found: Mapping[str, hall.Application]
) -> list[planning.Step]:
    """The steps as the rules look at them."""
    out = []
    for row in rows:
        application = found.get(row.item)
        case = application.case if application is not None else None
        out.append(
            planning.Step(
                row.item,
                row.item_name,
                tuple(row.after),
                row.alone,
                planning.stands(
                    filed=case is not None,
                    closed=case is not None and case.state == Case.CLOSED,
                    outcome=case.outcome if case is not None else "",
                    ended=row.ended_on is not None,
                ),
            )
        )
    return out


# ---- progress ------------------------------------------------------------------------------

WORDS = {
    planning.WAITS: ("等待前面的事项", "grey"),
    planning.ENDED: ("没有开办", "grey"),
}
OUTCOMES = {
    "granted": ("全部办成", "green"),
    "partly": ("部分办成", "amber"),
    "refused": ("没有办成", "red"),
    "withdrawn": ("已撤回", "grey"),
}


@dataclass(frozen=True)
class Standing:
    """One item of a filing as pages show it."""

    step: FilingStep
    stands: str
    words: str
    tone: str
    waits_for: tuple[str, ...]
    application: hall.Application | None
    due_on: dt.date | None = None
    todo: str = ""
    note: str = ""

    @property
    def done(self) -> bool:
        """Granted."""
        return self.stands == planning.DONE

    @property
    def result(self) -> str:
        """The licence that came of it."""
        return self.application.result if self.application is not None else ""


@dataclass(frozen=True)
class Progress:
    """A filed package: its items, how many have ended, how it stands as a whole."""

    filing: Filing
    standings: tuple[Standing, ...]
    words: str
    tone: str
    results: tuple[Standing, ...] = field(default_factory=tuple)

    @property
    def done(self) -> int:
        """How many items were granted."""
        return sum(s.done for s in self.standings)

    @property
    def over(self) -> int:
        """How many items have come to an end, whichever."""
        ends = (planning.DONE, planning.FAILED, planning.ENDED)
        return sum(s.stands in ends for s in self.standings)

    @property
    def open(self) -> bool:
        """Under way."""
        case = self.filing.case
        return case is not None and case.state != Case.CLOSED

    @property
    def todo(self) -> bool:
        """Whether the applicant has something to do."""
        return any(s.todo for s in self.standings)


def progress(viewer: Actor, filing: Filing) -> Progress:
    """Where a filed package stands; the viewer was checked for it."""
    rows = steps(viewer, filing)
    found = applications(viewer, filing)
    stood = {s.item: s.stands for s in step_rows(viewer, rows, found)}
    names = {r.item: r.item_name for r in rows}
    filed = [a for a in found.values() if a.filed]
    lines = {line.application.item: line for line in hall.lines(filed, viewer)}
    out = []
    for row in rows:
        at, line = stood[row.item], lines.get(row.item)
        words, tone = WORDS.get(at, ("", ""))
        if line is not None:
            words, tone = line.words, line.tone
        waits = tuple(
            names[a]
            for a in row.after
            if a in names and stood.get(a) in (planning.WAITS, planning.OPEN)
        )
        out.append(
            Standing(
                row,
                at,
                words,
                tone,
                waits,
                found.get(row.item),
                line.due_on if line is not None else None,
                line.todo if line is not None else "",
                row.ended_why or row.held_why,
            )
        )
    case = filing.case
    if case is not None and case.state == Case.CLOSED:
        words, tone = OUTCOMES.get(case.outcome, ("已办结", "green"))
    elif any(s.todo for s in out):
        words, tone = "有事项待您补正", "amber"
    else:
        words, tone = "办理中", "blue"
    return Progress(filing, tuple(out), words, tone, tuple(s for s in out if s.done))


def happened(viewer: Actor, filing: Filing) -> list[dict[str, Any]]:
    """What happened to a filed package, as a timeline shows it; the viewer was checked for it."""
    rows = Event.objects.filter(case_id_ref=filing.case_id, kind__startswith="package.")
    return [
        {
            "when": e.at,
            "what": EVENTS.get(e.kind, e.kind),
            "who": e.by_name,
            "more": str(e.data.get("title") or ""),
        }
        for e in rows.order_by("id")[:60]
    ]


# ---- one consent, one list of materials ----------------------------------------------------


@dataclass
class Source:
    """One source as the consent page lists it: asked once, for whichever items need it."""

    key: str
    title: str
    provider: str
    columns: list[str] = field(default_factory=list)
    fills: list[str] = field(default_factory=list)
    frees: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    agreed: bool | None = None

    @property
    def purpose(self) -> str:
        """What it is asked for, in words."""
        return hall.purpose_of(self.fills, self.frees)


def offered(viewer: Actor, found: Iterable[hall.Application]) -> list[Source]:
    """The sources of all applications, each once."""
    out: dict[str, Source] = {}
    for application in found:
        for told in hall.offered(application, viewer):
            row = out.setdefault(told.key, Source(told.key, told.title, told.provider))
            for listed, values in (
                (row.columns, told.columns),
                (row.fills, told.fills),
                (row.frees, told.frees),
                (row.items, (application.item_name,)),
            ):
                listed.extend(v for v in values if v not in listed)
            if told.agreed is not None:
                row.agreed = told.agreed if row.agreed is None else (row.agreed and told.agreed)
    return list(out.values())


@dataclass(frozen=True)
class Wanted:
    """One material of a package, asked once for all the items that need it.

    Two items need the same where its id and its name are the same; `id` tells it apart on pages.
    """

    id: str
    material: str
    name: str
    items: tuple[str, ...]
    held: tuple[tuple[hall.Application, hall.ShownMaterial], ...]
    given_by: tuple[str, ...] = ()
    """The items of the package whose results stand for it."""

    @property
    def shown(self) -> tuple[hall.ShownMaterial, ...]:
        """How it stands with each item that does not get it from another."""
        return tuple(m for _, m in self.held)

    @property
    def count(self) -> int:
        """How often it would be handed in, item by item."""
        return len(self.items)

    @property
    def met(self) -> bool:
        """Whether every item that needs it has it, or will be given it."""
        return all(m.met for m in self.shown)

    @property
    def lacking(self) -> bool:
        """Whether it must still be handed in."""
        return any(m.required and not m.met for m in self.shown)

    @property
    def free(self) -> bool:
        """Not handed in for any item, and not needed."""
        return all(m.free for m in self.shown)

    @property
    def first(self) -> hall.ShownMaterial | None:
        """What is shown of it: where it is still asked for, that; else the first."""
        return next((m for m in self.shown if not m.met), self.shown[0]) if self.shown else None

    @property
    def words(self) -> str:
        """Why it is (not) to be handed in."""
        givers = "、".join(f"“{name}”" for name in self.given_by)
        if self.first is None:
            return f"由本套餐{givers}的结果代替，无需提交"
        return self.first.words + (f"；有的事项由{givers}的结果代替" if givers else "")

    @property
    def uploaded(self) -> hall.ShownMaterial | None:
        """Where it was uploaded, with its files."""
        return next((m for m in self.shown if m.files), None)

    @property
    def promise(self) -> str:
        """The promise that may stand in its place; empty where an item that needs it offers none."""
        left = [m for m in self.shown if not m.met]
        return left[0].promise if left and all(m.promise for m in left) else ""

    @property
    def promised(self) -> bool:
        """Whether a promise stands in its place somewhere."""
        return any(m.ground == "promise" for m in self.shown)

    @property
    def note(self) -> str:
        """The applicant's hint, of the first item that has one."""
        return next((m.note for m in self.shown if m.note), "")

    @property
    def down(self) -> bool:
        """Whether a source that could free it did not answer."""
        return any(m.down for m in self.shown)

    @property
    def lamp(self) -> tuple[str, str]:
        """Words and tone of its badge."""
        return self.first.lamp if self.first is not None else ("免提交", "green")


def materials(viewer: Actor, filing: Filing) -> list[Wanted]:
    """The materials of all items of a filing, each once with the items that need it."""
    rows = steps(viewer, filing)
    names = {s.item: s.item_name for s in rows}
    brings = {s.item: s.brings for s in rows}
    groups: dict[tuple[str, str], tuple[list[str], list[Any], list[str]]] = {}
    for application in applications(viewer, filing).values():
        for told in hall.materials(application, viewer):
            needed, held, given = groups.setdefault((told.id, told.name), ([], [], []))
            needed.append(application.item_name)
            giver = brings.get(application.item, {}).get(told.id)
            if giver is not None and not told.met:
                given.append(names.get(giver, giver))
            else:
                held.append((application, told))
    out, seen = [], dict[str, int]()
    for (ident, name), (needed, held, given) in groups.items():
        seen[ident] = seen.get(ident, 0) + 1
        key = ident if seen[ident] == 1 else f"{ident}-{seen[ident]}"
        out.append(
            Wanted(key, ident, name, tuple(needed), tuple(held), tuple(dict.fromkeys(given)))
        )
    return out


def brought(viewer: Actor, filing: Filing, step: FilingStep) -> dict[str, dict[str, str]]:
    """The materials of a step that the results of granted items stand for, with what proves them."""
    found = applications(viewer, filing)
    out = {}
    for material, giver in step.brings.items():
        one_ = found.get(giver)
        if one_ is None or one_.case is None or one_.case.outcome not in planning.GOOD:
            continue
        item = items.find(giver, one_.item_version)
        closed = timezone.localtime(one_.case.closed_at or timezone.now())
        out[material] = {
            "what": (item.result.name if item is not None else "") or one_.item_name,
            "source": f"“{one_.item_name}”办件 {one_.case.code}",
            "ref": one_.case.ref,
            "as_of": closed.date().isoformat(),
        }
    return out


def whole(viewer: Actor, filing: Filing) -> bool:
    """Whether the merged form lacks nothing."""
    if not filing.draft:
        return False
    return not forms.missing(forms.draft_of(filing.draft, viewer), viewer)


def sections(viewer: Actor, filing: Filing) -> list[forms.Section]:
    """The merged form as it was filled in, for whom it belongs to."""
    if not filing.draft:
        return []
    return forms.summary(forms.draft_of(filing.draft, viewer), viewer)


def form_codes(viewer: Actor, found: Iterable[hall.Application]) -> list[str]:
    """The forms of the applications' items, each once."""
    out: dict[str, None] = {}
    for application in found:
        item = items.find(application.item, application.item_version)
        if item is not None:
            out[item.form] = None
    return list(out)


@dataclass(frozen=True)
class Line:
    """One filing in a list."""

    filing: Filing
    words: str
    tone: str
    done: int
    total: int
    todo: bool


def lines(viewer: Actor, filings: Iterable[Filing]) -> list[Line]:
    """Filings with how far they are."""
    out = []
    for filing in filings:
        if not filing.filed:
            out.append(Line(filing, "草稿", "grey", 0, filing.steps.count(), True))
            continue
        told = progress(viewer, filing)
        out.append(Line(filing, told.words, told.tone, told.over, len(told.standings), told.todo))
    return out


# ---- officers ------------------------------------------------------------------------------


def of_case(viewer: Actor, code: str) -> Filing | None:
    """The filing of which a case is the package's or an item's, for officers whose desk it came to.

    The viewer holds `packages.read` for the leading department or one that handles an item.
    """
    filing = Filing.objects.filter(case__code=code).select_related(*_WITH).first()
    if filing is None:
        case = Case.objects.filter(code=code).first()
        ref = str((case.data.get("bundle") or {}).get("ref", "")) if case is not None else ""
        filing = (
            Filing.objects.filter(code=ref.removeprefix("package:")).select_related(*_WITH).first()
            if ref
            else None
        )
    if filing is None:
        return None
    desks = {filing.department} | {a.department for a in hall.of_bundle(filing.ref, viewer)}
    return filing if any(viewer.may("packages.read", d) for d in desks) else None


def unfinished(viewer: Actor, limit: int = 500) -> list[Filing]:
    """Filed packages that are still under way, those that waited longest first."""
    rows = Filing.objects.filter(case__state=Case.OPEN).select_related(*_WITH)
    return list(rows.order_by("id")[:limit])


def by_case(viewer: Actor, pk: int) -> Filing | None:
    """The filing of which this case is an item's; None for every other case."""
    case = Case.objects.filter(pk=pk).only("data").first()
    ref = str((case.data.get("bundle") or {}).get("ref", "")) if case is not None else ""
    return Filing.objects.filter(code=ref.removeprefix("package:")).first() if ref else None


def drafts_due(viewer: Actor, days: int) -> QuerySet[Filing]:
    """Filings that were begun so many days ago and never filed."""
    return Filing.objects.filter(case=None, begun_at__lt=timezone.now() - dt.timedelta(days=days))


def department(viewer: Actor, slug: str) -> Party:
    """The department of this slug."""
    return Party.objects.get(kind=Party.DEPARTMENT, slug=slug)


__all__ = [
    "APPLY",
    "FOLLOW",
    "HELP",
    "Line",
    "Progress",
    "Source",
    "Standing",
    "Wanted",
    "applications",
    "brought",
    "by_case",
    "department",
    "drafts_due",
    "form_codes",
    "happened",
    "helped",
    "lines",
    "materials",
    "mine",
    "of_case",
    "offered",
    "one",
    "only_helps",
    "progress",
    "reaches",
    "sections",
    "step_rows",
    "steps",
    "unconfirmed",
    "unfinished",
    "whole",
]
