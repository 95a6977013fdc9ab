"""Queries: rules with what they found, findings that a viewer may see, and one finding's evidence."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import timeline as event_timeline
from lianyun.kernel.models import Case, Code, Measurement, Party, Resource, WorkItem
from lianyun.ui.templatetags.ui import event_title

from . import adapters, rules
from .models import Finding, Plan, Run


def rule_names() -> list[str]:
    """All declared rules, by group."""
    found = packs.declarations("comparisons")
    return [d.name for d in sorted(found, key=lambda d: (d.data["group"], d.name))]


def declared(name: str) -> Mapping[str, Any]:
    """A rule's declaration; raises UserError where no pack declares it."""
    try:
        return packs.declaration("comparisons", name).data
    except KeyError as error:
        raise UserError(f"没有名为“{name}”的比对规则") from error


def desk(name: str) -> Party:
    """The department that can act on a rule's findings."""
    return Party.objects.get(kind=Party.DEPARTMENT, slug=declared(name)["desk"])


# ---- rules ---------------------------------------------------------------------------------


class InTenThousands:
    """Amounts in 万元, as pages show them."""

    amount: Any
    confirmed_amount: Any
    recovered: Any

    @property
    def amount_wan(self) -> float:
        """What findings are about, in 万元."""
        return round(float(self.amount) / 10000, 1)

    @property
    def confirmed_amount_wan(self) -> float:
        """What was confirmed, in 万元."""
        return round(float(self.confirmed_amount) / 10000, 2)

    @property
    def recovered_wan(self) -> float:
        """What came back, in 万元."""
        return round(float(self.recovered) / 10000, 2)


@dataclass
class Line(InTenThousands):
    """A rule as lists show it: who acts, its last run, and its figures."""

    name: str
    title: str
    group: str
    kind: str
    desk: Party
    plan: str
    last: Run | None = None
    running: Run | None = None
    counts: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, float] = field(default_factory=dict)
    confirmed_amount: float = 0
    recovered: float = 0
    confirmed_ever: int = 0

    @property
    def found(self) -> int:
        """Findings that stand or were judged; held back and gone ones are not among them."""
        left_out = (rules.HELD, rules.GONE)
        return sum(n for stage, n in self.counts.items() if stage not in left_out)

    @property
    def amount(self) -> float:
        """What these findings are about, in yuan."""
        left_out = (rules.HELD, rules.GONE)
        return sum(a for stage, a in self.amounts.items() if stage not in left_out)

    @property
    def waiting(self) -> int:
        """Findings that nobody has opened yet."""
        return self.counts.get(rules.NEW, 0)

    @property
    def checking(self) -> int:
        """Findings at a desk."""
        return sum(self.counts.get(s, 0) for s in rules.OPEN)

    @property
    def confirmed(self) -> int:
        """Findings that were true."""
        return self.confirmed_ever

    @property
    def dismissed(self) -> int:
        """Findings that were not."""
        return self.counts.get(rules.DISMISSED, 0)

    @property
    def held(self) -> int:
        """Findings that incomplete data hold back."""
        return self.counts.get(rules.HELD, 0)

    @property
    def trust(self) -> float | None:
        """The share of judged findings that were true."""
        return rules.trust(self.confirmed, self.dismissed)

    @property
    def weak(self) -> bool:
        """Whether too few of the judged findings were true."""
        return self.trust is not None and self.trust < rules.WEAK_RULE


def plan_of(name: str) -> tuple[str, bool]:
    """How often a rule runs by itself, and whether it is switched off."""
    found = Plan.objects.filter(rule=name).first()
    if found is not None:
        return found.cycle, found.paused
    return str(declared(name)["cycle"]), False


def lines(viewer: Actor) -> list[Line]:
    """All rules with their figures; these are aggregates and tell of nobody."""
    viewer.require("comparison.read")
    desks = {p.slug: p for p in Party.objects.filter(kind=Party.DEPARTMENT)}
    plans = {p.rule: p for p in Plan.objects.all()}
    out: dict[str, Line] = {}
    for name in rule_names():
        told = declared(name)
        plan = plans.get(name)
        cycle = "停用" if plan and plan.paused else plan.cycle if plan else str(told["cycle"])
        out[name] = Line(
            name,
            told["title"],
            told["group"],
            rules.KINDS[told["kind"]],
            desks[told["desk"]],
            cycle,
        )
    grouped = Finding.objects.values("rule", "stage").annotate(
        n=Count("id"), total=Sum("amount"), sure=Sum("confirmed"), back=Sum("recovered"),
        ever=Count("id", filter=Q(confirmed__gt=0) | Q(stage__in=[rules.CONFIRMED, rules.CLOSED])),
    ).order_by()  # fmt: skip
    for row in grouped:
        line = out.get(row["rule"])
        if line is None:
            continue
        line.counts[row["stage"]] = row["n"]
        line.amounts[row["stage"]] = float(row["total"] or 0)
        line.confirmed_amount += float(row["sure"] or 0)
        line.recovered += float(row["back"] or 0)
        line.confirmed_ever += row["ever"]
    for run in Run.objects.filter(rule__in=out).order_by("rule", "-id"):
        line = out[run.rule]
        if run.standing in ("queued", "running"):
            line.running = line.running or run
        elif line.last is None and run.finished_at:
            line.last = run
    return list(out.values())


def line(viewer: Actor, name: str) -> Line:
    """One rule with its figures."""
    declared(name)
    return next(one for one in lines(viewer) if one.name == name)


@dataclass(frozen=True)
class Totals(InTenThousands):
    """Figures over several rules: numbers and yuan."""

    rules: int
    found: int
    amount: float
    checking: int
    confirmed: int
    confirmed_amount: float
    recovered: float
    held: int


def totals(shown: list[Line]) -> Totals:
    """The sum of some lines."""
    return Totals(
        len(shown),
        sum(x.found for x in shown),
        sum(x.amount for x in shown),
        sum(x.checking for x in shown),
        sum(x.confirmed for x in shown),
        sum(x.confirmed_amount for x in shown),
        sum(x.recovered for x in shown),
        sum(x.held for x in shown),
    )


def by_desk(shown: list[Line]) -> list[tuple[Party, Totals]]:
    """Totals by acting department, the largest first."""
    desks: dict[int, list[Line]] = {}
    for one in shown:
        desks.setdefault(one.desk.pk, []).append(one)
    pairs = [(part[0].desk, totals(part)) for part in desks.values()]
    return sorted(pairs, key=lambda pair: -pair[1].found)


@dataclass(frozen=True)
class SideView:
    """One side of a rule as its page tells it."""

    title: str
    dataset: str
    dataset_title: str
    provider: str
    stale: str
    rows: int | None


@dataclass(frozen=True)
class RuleView:
    """A rule's page."""

    declared: Mapping[str, Any]
    sentences: list[str]
    sql: str
    sides: list[SideView]
    runs: list[Run]
    reasons: list[tuple[str, int]]
    cycle: str
    paused: bool


def rule_view(viewer: Actor, name: str) -> RuleView:
    """A rule in plain words, its statement, its sides' data and its runs."""
    viewer.require("comparison.read")
    told = declared(name)
    state = data_state([told["left"]["dataset"], told["right"]["dataset"]])
    found_resources = Resource.objects.select_related("owner").filter(
        name__in=[told["left"]["dataset"], told["right"]["dataset"]]
    )
    names = {r.name: r for r in found_resources}
    sides = []
    for which in ("left", "right"):
        dataset = told[which]["dataset"]
        resource = names.get(dataset)
        found = state.get(dataset)
        sides.append(
            SideView(
                told[which]["title"],
                dataset,
                resource.title if resource else dataset,
                str(resource.owner) if resource else "",
                found.stale if found else "还没有归集",
                found.rows if found else None,
            )
        )
    reasons = (
        Finding.objects.filter(rule=name, stage=rules.DISMISSED)
        .exclude(reason="")
        .values_list("reason")
        .annotate(n=Count("id"))
        .order_by("-n", "reason")[:8]
    )
    cycle, paused = plan_of(name)
    return RuleView(
        told,
        rules.plain(told),
        adapters.statement(told),
        sides,
        list(Run.objects.filter(rule=name)[:8]),
        list(reasons),
        cycle,
        paused,
    )


def run(viewer: Actor, code: str) -> Run | None:
    """One run."""
    viewer.require("comparison.read")
    return Run.objects.filter(code=code).first()


def history(viewer: Actor, name: str) -> list[Run]:
    """A rule's last finished runs, the oldest first."""
    viewer.require("comparison.read")
    done = Run.objects.filter(rule=name, error="").exclude(finished_at=None)[:12]
    return list(done)[::-1]


def trend(viewer: Actor) -> list[tuple[str, float]]:
    """The city's number of findings, day by day."""
    viewer.require("comparison.read")
    rows = Measurement.objects.filter(indicator__code="comparison.found", dims="")
    return [(f"{m.day:%m-%d}", m.value) for m in rows.order_by("-day")[:30]][::-1]


def last_day(name: str) -> dt.date | None:
    """The day of a rule's last finished run."""
    found = Run.objects.filter(rule=name, error="").exclude(finished_at=None).first()
    return timezone.localdate(found.finished_at) if found and found.finished_at else None


@dataclass(frozen=True)
class DataState:
    """How far a dataset can be trusted today: overdue (in words) or not, and its good share."""

    stale: str
    quality: float
    rows: int | None


def data_state(datasets: list[str]) -> dict[str, DataState]:
    """The state of datasets, by name; those never collected are left out."""
    out = {}
    for row in collection.board(SYSTEM):
        if row.name not in datasets:
            continue
        stale = row.fresh.words if row.state in ("late", "dead") else ""
        rows = row.rows or 0
        good = rows / (rows + row.rejected) if rows + row.rejected else 1.0
        out[row.name] = DataState(stale, round(good, 4), row.rows)
    return out


# ---- findings ------------------------------------------------------------------------------


def findings(viewer: Actor) -> QuerySet[Finding]:
    """Findings that a viewer may list: of the desks for which the permission is held."""
    viewer.require("comparison.read")
    rows = Finding.objects.select_related("department", "case")
    scope = viewer.departments("comparison.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def finding(viewer: Actor, code: str) -> Finding:
    """One finding; raises UserError where there is none, Denied where it is another desk's."""
    found = Finding.objects.select_related("department", "case__path").filter(code=code).first()
    if found is None:
        raise UserError("没有这条比对发现，请从列表重新打开")
    viewer.require("comparison.read", found.department)
    return found


def finding_of_case(viewer: Actor, code: str) -> Finding:
    """The finding that a case is about."""
    case = Case.objects.filter(code=code).first()
    if case is None or not case.subject.startswith("finding:"):
        raise UserError("没有这件核查办件")
    return finding(viewer, case.subject.removeprefix("finding:"))


def sees_persons(viewer: Actor, found: Finding) -> bool:
    """Whether a viewer may know who a finding is about: only the acting department."""
    return viewer.department is not None and (
        viewer.department.pk == found.department_id
        and viewer.may("comparison.persons", found.department)
    )


def persons_departments(viewer: Actor) -> frozenset[int]:
    """The departments whose findings' names a viewer may see in lists."""
    if viewer.department is None or not viewer.may("comparison.persons", viewer.department):
        return frozenset()
    return frozenset({viewer.department.pk})


def towns(viewer: Actor) -> dict[str, str]:
    """Towns that findings name, by code."""
    viewer.require("comparison.read")
    listed = Finding.objects.exclude(town="").values_list("town", flat=True).distinct()
    known = Code.objects.filter(list__name="towns", code__in=list(listed))
    return dict(known.order_by("name").values_list("code", "name"))


def rule_titles() -> dict[str, str]:
    """Rules' titles by name."""
    return {name: str(declared(name)["title"]) for name in rule_names()}


@dataclass(frozen=True)
class Fact:
    """One line of evidence as shown."""

    title: str
    value: str
    masked: bool


@dataclass(frozen=True)
class SideEvidence:
    """What one side said when it was found."""

    title: str
    dataset_title: str
    provider: str
    amount: float | None
    rows: int
    facts: list[Fact]


@dataclass(frozen=True)
class Proof:
    """The evidence of a finding from both sides, masked or in clear."""

    sides: list[SideEvidence]
    factors: list[rules.Factor]
    people: list[str]
    datasets: list[str]


def proof(viewer: Actor, found: Finding, *, reveal: bool = False) -> Proof | None:
    """Evidence side by side; only for the acting department. In clear only by `actions.reveal`."""
    viewer.require("comparison.reveal" if reveal else "comparison.persons", found.department)
    if not sees_persons(viewer, found):
        raise Denied("只有承办部门可以查看当事人和证据")
    kept = adapters.evidence(found.rule, found.code)
    if kept is None:
        return None
    told = declared(found.rule)
    sides, people, names = [], [], []
    for which in ("left", "right"):
        dataset = told[which]["dataset"]
        resource = Resource.objects.select_related("owner").get(name=dataset)
        items = {
            i["name"]: i.get("title") or i["name"]
            for i in collection.content(resource).get("items") or ()
        }
        masks = collection.masks(resource)
        values = kept[f"{which}_evidence"]
        people += [v for n, v in values.items() if masks.get(n) == "citizen_number"]
        if told[which].get("name"):
            names.append(_bare(values.get(str(told[which]["name"]), "")))
        facts = [
            Fact(
                items.get(name, name),
                str(value if reveal else mask_value(masks.get(name, "none"), value)),
                not reveal and masks.get(name, "none") != "none",
            )
            for name, value in values.items()
            if not name.startswith("_")
        ]
        facts += _days(values)
        amount = kept[f"{which}_amount"]
        sides.append(
            SideEvidence(
                told[which]["title"],
                resource.title,
                str(resource.owner),
                None if amount is None else float(amount),
                int(kept[f"{which}_rows"] or 0),
                facts,
            )
        )
    rule = adapters.read(told)
    both = (names[0], names[1]) if len(names) == 2 and rule.kind != "missing" else None
    return Proof(
        sides,
        rules.factors(
            base=rule.base,
            linked=bool(rule.pairs),
            confidence=float(kept["confidence"]),
            names=both,
        ),
        sorted(set(people)),
        [told["left"]["dataset"], told["right"]["dataset"]],
    )


def _bare(text: str) -> str:
    return re.sub(r"[ \u3000·.]", "", text).upper()


def _days(values: Mapping[str, str]) -> list[Fact]:
    since, until = values.get("_since", ""), values.get("_until", "")
    if not since:
        return []
    return [Fact("日期", since if since == until else f"{since} 至 {until}", False)]


def items(viewer: Actor, found: Finding) -> list[WorkItem]:
    """The steps of a finding's case."""
    viewer.require("comparison.read", found.department)
    if found.case is None:
        return []
    rows = WorkItem.objects.filter(case=found.case).select_related("department", "by")
    return list(rows.order_by("id"))


def to_do(viewer: Actor, found: Finding) -> WorkItem | None:
    """The step that waits for this viewer, if any."""
    if found.case is None or found.case.state != Case.OPEN:
        return None
    for item in WorkItem.objects.filter(case=found.case, done_at=None).select_related(
        "case__path", "department"
    ):
        if viewer.may(item.permission, item.department):
            return item
    return None


def work_item(viewer: Actor, number: int) -> WorkItem:
    """One step of a finding's case; raises UserError."""
    viewer.require("comparison.read")
    item = (
        WorkItem.objects.select_related("case__path", "department")
        .filter(pk=number, case__subject__startswith="finding:")
        .first()
    )
    if item is None:
        raise UserError("没有这个待办环节")
    return item


def timeline(viewer: Actor, found: Finding) -> list[dict[str, Any]]:
    """What happened to a finding and its case, the newest first; notes only for the acting department."""
    viewer.require("comparison.read", found.department)
    sees = sees_persons(viewer, found)
    events = {e.pk: e for e in event_timeline(found.ref)}
    if found.case is not None:
        events |= {e.pk: e for e in event_timeline(found.case.ref)}
    out = []
    for event in sorted(events.values(), key=lambda e: -e.pk):
        what, more = event_title(event.kind), ""
        if event.kind in ("finding.worked", "case.opened"):
            continue
        if event.kind == "case.stepped":
            what, more = str(event.data.get("title", what)), str(event.data.get("outcome", ""))
            note = str(event.data.get("note") or "")
            more = f"{more}：{note}" if note and sees else more
        out.append({"when": event.at, "what": what, "who": event.by_name, "more": more})
    return out


def person_hashes(people: list[str]) -> list[str]:
    """Keyed hashes of people, for the ledger."""
    return [audit.keyed_hash(p) for p in people]


def identities(viewer: Actor, rule: str) -> list[tuple[str, str, str, str, float]]:
    """Key, period, standing, doubt and amount of all that stands, for checking a rule's truth."""
    if not viewer.everything:
        raise Denied("只供系统核对规则")
    return adapters.identities(rule)
