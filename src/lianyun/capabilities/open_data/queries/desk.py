"""The desk: what officers see of openings: what could be opened, at what risk, and what waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import work_items
from lianyun.kernel.event import timeline as event_timeline
from lianyun.kernel.models import Batch, Event, Resource, WorkItem
from lianyun.lake import deidentify
from lianyun.ui import charts

from .. import adapters, rules
from ..models import Opening, Voice
from .site import settings, theme_of

PATHS = ("opening", *sorted(set(rules.PATHS.values())))


def _once(resource: Resource, what: str, ask: Callable[[Resource], Any]) -> Any:
    """What the catalogue says of a dataset, asked once for one resource in hand."""
    known: dict[str, Any] = resource.__dict__.setdefault("_open_data", {})
    if what not in known:
        known[what] = ask(resource)
    return known[what]


def items(viewer: Actor, resource: Resource) -> list[rules.Item]:
    """A dataset's items as far as opening depends on them."""
    return [
        rules.Item(
            i.name,
            i.title,
            i.type,
            i.format,
            i.key,
            i.spec.domain or "",
            i.spec.check or "",
            i.spec.mask or "none",
            i.spec.personal,
            i.spec.sensitive,
        )
        for i in _once(resource, "items", catalogue.items_of)
    ]


def definitions(viewer: Actor, resource: Resource) -> dict[str, str]:
    """What each item means and in which unit, as far as the catalogue says."""
    out = {}
    for item in _once(resource, "items", catalogue.items_of):
        unit = f"单位：{item.spec.unit}" if item.spec.unit else ""
        out[item.name] = "；".join(t for t in (item.note or item.spec.definition, unit) if t)
    return out


def openings(viewer: Actor) -> QuerySet[Opening]:
    """All openings for the workbench; they tell of data, of nobody."""
    viewer.require("open_data.read")
    return Opening.objects.select_related("provider", "resource", "current", "case")


def opening(viewer: Actor, name: str) -> Opening:
    """One opening for the workbench; raises UserError where there is none of that name."""
    found = openings(viewer).filter(name=name).first()
    if found is None:
        raise UserError("没有这个开放数据集")
    return found


def newest_batch(viewer: Actor, resource: Resource) -> Batch | None:
    """The last batch that was stored."""
    return Batch.objects.filter(resource=resource, state=Batch.SUCCEEDED).order_by("-id").first()


def candidates(viewer: Actor) -> QuerySet[Resource]:
    """Datasets with data that the viewer may propose and nobody has yet."""
    viewer.require("open_data.propose")
    rows = Resource.objects.filter(
        kind=Resource.DATASET, state=Resource.PUBLISHED, batches__state=Batch.SUCCEEDED
    ).distinct()
    scope = None if viewer.everything else viewer.held.get("open_data.propose", frozenset())
    if scope is not None:
        rows = rows.filter(owner_id__in=scope)
    taken = Opening.objects.exclude(stage__in=[rules.RETURNED, rules.CLOSED])
    return rows.exclude(pk__in=taken.values("resource_id")).select_related("owner")


def resource(viewer: Actor, name: str) -> Resource:
    """A dataset that the viewer may propose; raises UserError and Denied."""
    found = (
        Resource.objects.filter(kind=Resource.DATASET, name=name).select_related("owner").first()
    )
    if found is None:
        raise UserError(f"没有名为“{name}”的数据集")
    viewer.require("open_data.propose", found.owner)
    return found


@dataclass(frozen=True)
class Assessment:
    """A recipe with its measure, and what stands in the way."""

    recipe: deidentify.Recipe
    risk: deidentify.Risk
    findings: list[rules.Finding]

    @property
    def refused(self) -> str:
        """What stands in the way; empty where nothing does."""
        return rules.refused(self.findings)


def assessed(
    viewer: Actor,
    resource: Resource,
    recipe: deidentify.Recipe,
    risk: deidentify.Risk | None = None,
) -> Assessment:
    """Measure a recipe over the dataset's rows as they are now, and judge it."""
    found = risk or adapters.measure(resource.name, recipe, timezone.localdate())
    return Assessment(recipe, found, judged(viewer, resource, recipe, found))


def judged(
    viewer: Actor, resource: Resource, recipe: deidentify.Recipe, risk: deidentify.Risk
) -> list[rules.Finding]:
    """What a measure means for this dataset."""
    declared = items(viewer, resource)
    known = {i.name: i for i in declared}
    steps = [rules.Step(t.name, t.how, t.role, t.width) for t in recipe.treatments]
    spec = _once(resource, "spec", catalogue.dataset_spec)
    return rules.judge(
        level=resource.level,
        share_type=int(spec["share"]["type"] or 0),
        declared_open=bool(spec["open"]["open"]),
        kept=[known[t.name] for t in recipe.kept if t.how == deidentify.KEEP and t.name in known],
        loose=rules.loose(declared, steps, resource.level) if recipe.form == "rows" else [],
        people=any(i.check == "citizen_number" for i in declared),
        grouped=bool(recipe.quasi),
        k=recipe.k,
        l=recipe.l,
        form=recipe.form,
        out=risk.out,
        suppressed=risk.share_suppressed,
        smallest=risk.smallest_after,
        diverse=risk.least_diverse,
        limits=settings()["anonymity"],
    )


def proposal(viewer: Actor, resource: Resource) -> Assessment:
    """A first recipe for a dataset, made coarse enough by measure; raises UserError without rows."""
    limits = settings()["anonymity"]
    made = rules.propose(items(viewer, resource), resource.level, limits)
    recipe = deidentify.Recipe(
        tuple(deidentify.Treatment(s.name, s.how, s.role, s.width) for s in made.steps),
        made.k,
        made.l,
        scope={k: tuple(v) for k, v in made.scope.items()},
    )
    today = timezone.localdate()
    if not recipe.quasi:
        return assessed(viewer, resource, recipe)
    ladders = {
        name: [deidentify.Treatment(s.name, s.how, s.role, s.width) for s in steps]
        for name, steps in made.ladders.items()
    }
    softened, risk = adapters.soften(
        resource.name, recipe, ladders, float(limits["suppressed"]), today
    )
    return Assessment(softened, risk, judged(viewer, resource, softened, risk))


def start(viewer: Actor, resource: Resource) -> deidentify.Recipe:
    """The recipe from which a proposal begins, not yet measured."""
    made = rules.propose(items(viewer, resource), resource.level, settings()["anonymity"])
    return deidentify.Recipe(
        tuple(deidentify.Treatment(s.name, s.how, s.role, s.width) for s in made.steps),
        made.k,
        made.l,
        scope={k: tuple(v) for k, v in made.scope.items()},
    )


def cycle_of(viewer: Actor, resource: Resource) -> str:
    """The update cycle that the catalogue promises."""
    return str(_once(resource, "spec", catalogue.dataset_spec)["cycle"])


def stored_findings(viewer: Actor, found: Opening) -> list[rules.Finding]:
    """What an opening's last measure means under today's limits."""
    told: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in found.risk.items()
        if k in deidentify.Risk.__dataclass_fields__
    }
    risk = deidentify.Risk(**told)
    return judged(viewer, found.resource, adapters.recipe_of(found.recipe), risk)


def with_changes(
    recipe: deidentify.Recipe, changes: Sequence[rules.Step], **more: Any
) -> deidentify.Recipe:
    """A recipe with other treatments."""
    return replace(
        recipe,
        treatments=tuple(deidentify.Treatment(s.name, s.how, s.role, s.width) for s in changes),
        **more,
    )


def default_theme(viewer: Actor, name: str) -> str:
    """The theme under which a dataset would stand."""
    return theme_of(name)


def in_counts(recipe: deidentify.Recipe, columns: Sequence[str]) -> deidentify.Recipe:
    """The same rows as numbers by these columns, small numbers rounded at random."""
    steps = {t.name: t for t in recipe.treatments}
    return replace(
        recipe,
        treatments=tuple(
            replace(
                steps[name],
                how=steps[name].how if steps[name].how != deidentify.DROP else deidentify.KEEP,
            )
            if name in columns
            else deidentify.Treatment(name, deidentify.DROP)
            for name in steps
        ),
        form=deidentify.COUNTS,
        small=deidentify.NOISE,
    )


# ---- pictures of a risk --------------------------------------------------------------------


def size_chart(risk: Mapping[str, Any]) -> charts.Chart:
    """Rows by the size of the group in which they hide, before and with the recipe."""
    labels = [
        "1 行"
        if high == 1
        else f"{low} 行以上"
        if high is None
        else f"{low} 行"
        if low == high
        else f"{low}–{high} 行"
        for low, high in deidentify.BINS
    ]
    return charts.Chart(
        "bar",
        "每一行藏在多大的分组里",
        labels,
        [
            charts.Series("处理前", risk["sizes_before"]),
            charts.Series("开放后", risk["sizes_after"]),
        ],
        "行",
        first_column="分组大小",
    )


@dataclass(frozen=True)
class Treated:
    """One item's line in a risk report."""

    title: str
    name: str
    how: str
    role: str
    width: str


def treated(viewer: Actor, found: Opening) -> list[Treated]:
    """What becomes of each item, in words."""
    titles = {i.name: i.title for i in items(viewer, found.resource)}
    units = {"age": "岁一段", "region": "位", "band": "一段", "grid": "度"}
    out = []
    for step in found.recipe["treatments"]:
        width = f"{step['width']:g} {units[step['how']]}" if step["how"] in units else ""
        out.append(
            Treated(
                titles.get(step["name"], step["name"]),
                step["name"],
                rules.HOW_TITLES[step["how"]],
                rules.ROLE_TITLES[step["role"]] if step["how"] != "drop" else "",
                width,
            )
        )
    return out


# ---- what waits ----------------------------------------------------------------------------


def to_do(viewer: Actor) -> QuerySet[WorkItem]:
    """Work items of openings and of the public's requests that the viewer may do."""
    return work_items(viewer).filter(case__path__key__in=PATHS)


def item_of(viewer: Actor, case_id: int | None) -> WorkItem | None:
    """The open work item of a case, if the viewer may do it."""
    return work_items(viewer).filter(case_id=case_id).first() if case_id else None


def work_item(viewer: Actor, number: int) -> WorkItem:
    """A work item that the viewer may do; raises UserError where it is done or not theirs."""
    found = to_do(viewer).filter(pk=number).first()
    if found is None:
        raise UserError("这项待办已经办理，或不由您办理")
    return found


def events(viewer: Actor, ref: str, case_id: int | None) -> QuerySet[Event]:
    """What happened to an opening or a request."""
    viewer.require("open_data.read")
    found = event_timeline(ref)
    if case_id:
        found = Event.objects.filter(Q(subject=ref) | Q(case_id_ref=case_id)).order_by("id")
    return found


def voices(viewer: Actor) -> QuerySet[Voice]:
    """What the public sent in to the viewer's departments."""
    viewer.require("open_data.read")
    rows = Voice.objects.select_related("opening", "department", "case")
    scopes = [viewer.held.get(p, frozenset()) for p in ("open_data.answer", "open_data.moderate")]
    if viewer.everything or None in scopes:
        return rows
    mine = frozenset().union(*(s for s in scopes if s is not None))
    return rows.filter(department_id__in=mine)


def voice(viewer: Actor, code: str) -> Voice:
    """One of them; raises UserError where it is not the viewer's."""
    found = voices(viewer).filter(code=code).first()
    if found is None:
        raise UserError("没有这条公众意见，或不由您的部门办理")
    return found


def place_of_case(viewer: Actor, code: str) -> tuple[str, str]:
    """Where a case of ours is worked: ("opening" | "voice", its name); raises UserError."""
    found = Opening.objects.filter(case__code=code).first()
    if found is not None:
        return "opening", found.name
    told = Voice.objects.filter(case__code=code).first()
    if told is None:
        raise UserError("没有这个办件")
    return "voice", told.code


@dataclass(frozen=True)
class Desk:
    """The figures of the workbench page."""

    stages: dict[str, int]
    held: int
    rows: int
    waiting: int


def desk(viewer: Actor) -> Desk:
    """How many openings stand where, and what waits for the viewer."""
    rows = list(openings(viewer).values_list("stage", "held", "current__rows"))
    stages = {stage: sum(1 for r in rows if r[0] == stage) for stage, _ in rules.STAGES}
    return Desk(
        stages,
        sum(1 for r in rows if r[1] and r[0] == rules.OPEN),
        sum(r[2] or 0 for r in rows if r[0] == rules.OPEN),
        to_do(viewer).count(),
    )
