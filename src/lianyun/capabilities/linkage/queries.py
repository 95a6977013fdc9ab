"""Queries: linkages, their runs, pairs side by side with evidence (masked), and entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.element import domain_choices, mask_value
from lianyun.kernel.models import Batch, Element, Party, Resource
from lianyun.lake.entity import Decision, Link
from lianyun.lake.match import MatchSpec

from . import adapters, rules
from .models import Pair, Run


@dataclass(frozen=True)
class Linkage:
    """A declared linkage with its newest runs and how many pairs wait."""

    name: str
    title: str
    summary: str
    spec: MatchSpec
    datasets: tuple[tuple[str, str], ...]
    last: Run | None
    running: Run | None
    waiting: int
    decided: int

    @property
    def outcome(self) -> dict[str, Any]:
        """Figures of the newest finished run."""
        return self.last.outcome if self.last else {}


def names() -> list[str]:
    """All declared linkages."""
    return [d.name for d in packs.declarations("linkages")]


def owners(name: str) -> list[Party]:
    """The departments whose rows a linkage compares."""
    wanted = {s.dataset for s in adapters.spec(name).sides}
    rows = Resource.objects.filter(kind=Resource.DATASET, name__in=wanted).select_related("owner")
    return list({r.owner.pk: r.owner for r in rows}.values())


def concerned(viewer: Actor, name: str, permission: str = "linkage.review") -> None:
    """Raise Denied unless the viewer holds the permission for one of the linkage's departments."""
    found = owners(name)
    if not any(viewer.may(permission, owner) for owner in found):
        viewer.require(permission, found[0] if found else None)


def may(viewer: Actor, name: str, permission: str) -> bool:
    """Whether the viewer holds the permission for one of the linkage's departments."""
    return any(viewer.may(permission, owner) for owner in owners(name))


def linkages(viewer: Actor) -> list[Linkage]:
    """All linkages."""
    viewer.require("linkage.read")
    return [_linkage(name) for name in names()]


def linkage(viewer: Actor, name: str) -> Linkage | None:
    """One linkage; None if no pack declares it."""
    viewer.require("linkage.read")
    return _linkage(name) if name in names() else None


def _linkage(name: str) -> Linkage:
    data = packs.declaration("linkages", name).data
    spec = adapters.spec(name)
    known = {
        r.name: (r.title, str(r.owner))
        for r in Resource.objects.filter(
            kind=Resource.DATASET, name__in=[s.dataset for s in spec.sides]
        ).select_related("owner")
    }
    runs, pairs = Run.objects.filter(linkage=name), Pair.objects.filter(linkage=name)
    return Linkage(
        name,
        str(data.get("title") or name),
        str(data.get("summary") or ""),
        spec,
        tuple(known.get(s.dataset, (s.dataset, "")) for s in spec.sides),
        runs.filter(error="").exclude(finished_at=None).first(),
        runs.filter(error="", finished_at=None).first(),
        pairs.filter(verdict="", kind="review").count(),
        pairs.exclude(verdict="").count(),
    )


def runs(viewer: Actor, name: str) -> QuerySet[Run]:
    """The runs of a linkage, newest first."""
    viewer.require("linkage.read")
    return Run.objects.filter(linkage=name)


def run_of(viewer: Actor, code: str) -> Run | None:
    """One run by its code."""
    viewer.require("linkage.read")
    return Run.objects.filter(code=code).first()


def stale(viewer: Actor) -> list[str]:
    """Linkages that have run and whose sources have new batches since."""
    viewer.require("linkage.run")
    out = []
    for name in names():
        last = Run.objects.filter(linkage=name, error="").exclude(finished_at=None).first()
        if (
            last
            and Batch.objects.filter(
                resource__name__in=[s.dataset for s in adapters.spec(name).sides],
                state=Batch.SUCCEEDED,
                finished_at__gte=last.started_at,
            ).exists()
        ):
            out.append(name)
    return out


def decisions(name: str, viewer: Actor) -> list[Decision]:
    """The decisions in force, oldest first; "unsure" decides nothing."""
    viewer.require("linkage.read")
    rows = Pair.objects.filter(linkage=name, verdict__in=("same", "different"))
    return [
        Decision(str(p.pk), p.left_key, p.right_key, p.verdict == "same")
        for p in rows.order_by("decided_at", "id")
    ]


# ---- pairs -----------------------------------------------------------------------------------


def pairs(viewer: Actor, name: str) -> QuerySet[Pair]:
    """The pairs laid before officers, for those whose department takes part."""
    concerned(viewer, name)
    return Pair.objects.filter(linkage=name).select_related("decided_by")


def pair(viewer: Actor, name: str, number: int) -> Pair | None:
    """One pair."""
    return pairs(viewer, name).filter(pk=number).first()


def neighbours(viewer: Actor, found: Pair) -> tuple[Pair | None, Pair | None, int, int]:
    """The waiting pairs before and after this one, its place and how many wait."""
    waiting = list(
        pairs(viewer, found.linkage)
        .filter(verdict="", kind=found.kind)
        .values_list("pk", "weight")[: rules.QUEUE_LIMIT]
    )
    order = [pk for pk, _ in waiting]
    if found.pk in order:
        place = order.index(found.pk)
        after = place + 1
    else:
        place = next((n for n, (_, w) in enumerate(waiting) if w <= found.weight), len(order))
        after = place
    around = [order[place - 1] if place else 0, order[after] if after < len(order) else 0]
    rows = {p.pk: p for p in Pair.objects.filter(pk__in=around)}
    return rows.get(around[0]), rows.get(around[1]), place + 1, len(order)


def rivals(viewer: Actor, found: Pair) -> list[Pair]:
    """Other pairs of the same left row: who else it might be."""
    return list(
        pairs(viewer, found.linkage).filter(left_key=found.left_key).exclude(pk=found.pk)[:10]
    )


def first_waiting(viewer: Actor, name: str) -> Pair | None:
    """The pair to review next."""
    return pairs(viewer, name).filter(verdict="", kind="review").first()


@dataclass(frozen=True)
class Line:
    """One compared field of a pair: both values cut into (piece, differs), and what the model says."""

    title: str
    left: list[tuple[str, bool]]
    right: list[tuple[str, bool]]
    label: str
    bits: float
    hidden: bool

    @property
    def tone(self) -> str:
        """The badge's colour: how the evidence points."""
        return "green" if self.bits >= 1 else "red" if self.bits <= -1 else "grey"


@dataclass(frozen=True)
class Evidence:
    """A pair as its page shows it."""

    pair: Pair
    keys: tuple[tuple[str, str], tuple[str, str]]
    lines: list[Line]
    steps: list[rules.Step]
    gone: bool


def evidence(viewer: Actor, found: Pair, *, reveal: bool = False) -> Evidence:
    """Both rows side by side, masked unless revealed, with the evidence as bars."""
    concerned(viewer, found.linkage, "linkage.reveal" if reveal else "linkage.review")
    spec = adapters.spec(found.linkage)
    other = 0 if spec.dedupes else 1
    told = adapters.rows(found.linkage, [(0, found.left_key), (other, found.right_key)])
    left, right = told.get((0, found.left_key)), told.get((other, found.right_key))
    masks = [_masks(s.dataset) for s in (spec.left, spec.right or spec.left)]
    last = Run.objects.filter(linkage=found.linkage, error="").exclude(finished_at=None).first()
    model = last.outcome.get("model", {}) if last else {}
    levels = [int(v) for v in found.levels.split(",")] if found.levels else []
    titles = {f.name: f.title for f in spec.fields}
    steps = rules.waterfall(model, levels, found.weight, titles) if levels else []
    by_title = {s.title: s for s in steps}
    lines = []
    words = [_words(s.dataset) for s in (spec.left, spec.right or spec.left)]
    for f in spec.fields:
        plain = [
            _told((row or {}).get(column), named.get(column))
            for row, named, column in ((left, words[0], f.left), (right, words[1], f.right))
        ]
        shown = [
            v if reveal else str(mask_value(m.get(c, "none"), v))
            for v, m, c in zip(plain, masks, (f.left, f.right), strict=True)
        ]
        mine, theirs = rules.differences(*shown)
        step = by_title.get(f.title)
        hidden = not reveal and shown[0] == shown[1] and plain[0] != plain[1]
        lines.append(
            Line(f.title, mine, theirs, step.told if step else "", step.bits if step else 0, hidden)
        )
    keys = [(found.left_key, 0), (found.right_key, 1)]
    shown_keys = [
        (_title(spec, index), key if reveal else shown_key(spec, index, key)) for key, index in keys
    ]
    return Evidence(
        found, (shown_keys[0], shown_keys[1]), lines, steps, left is None or right is None
    )


def people(viewer: Actor, found: Pair) -> list[str]:
    """The citizen numbers that a pair's page shows, for the register of readings."""
    concerned(viewer, found.linkage)
    return audit.people_in([found.left_key, found.right_key])


def _told(value: Any, names: Mapping[str, str] | None = None) -> str:
    text = "" if value is None else str(value)
    return (names or {}).get(text, text)


def _title(spec: MatchSpec, index: int) -> str:
    side = spec.left if index == 0 or spec.right is None else spec.right
    found = Resource.objects.filter(name=side.dataset).select_related("owner").first()
    return f"{found.owner.short or found.owner.name} · {found.title}" if found else side.dataset


def _masks(dataset: str) -> Mapping[str, str]:
    resource = Resource.objects.filter(kind=Resource.DATASET, name=dataset).first()
    if resource is None:
        return {}
    items = {i.name: i.element for i in catalogue.items_of(resource)}
    known = dict(Element.objects.filter(code__in=items.values()).values_list("code", "mask"))
    return {name: known.get(element, "none") for name, element in items.items()}


def _words(dataset: str) -> dict[str, dict[str, str]]:
    """By coded item of a dataset: what its codes mean."""
    resource = Resource.objects.filter(kind=Resource.DATASET, name=dataset).first()
    if resource is None:
        return {}
    items = {i.name: i.element for i in catalogue.items_of(resource)}
    domains = dict(
        Element.objects.filter(code__in=items.values())
        .exclude(domain="")
        .values_list("code", "domain")
    )
    return {
        name: dict(domain_choices(domains[element]))
        for name, element in items.items()
        if element in domains
    }


def shown_key(spec: MatchSpec, index: int, key: str) -> str:
    """A row's key as pages show it: each part under its item's mask."""
    side = spec.left if index == 0 or spec.right is None else spec.right
    masks = _masks(side.dataset)
    parts = key.split("|") if len(side.key) > 1 else [key]
    return "｜".join(
        str(mask_value(masks.get(c, "none"), p)) for c, p in zip(side.key, parts, strict=False)
    )


def contradictions(viewer: Actor, name: str) -> list[tuple[Pair, Pair | None]]:
    """Decisions that could not be applied, each with the one it contradicts (None: a second person)."""
    concerned(viewer, name)
    last = Run.objects.filter(linkage=name, error="").exclude(finished_at=None).first()
    told = last.outcome.get("contradictions", []) if last else []
    wanted = {v for c in told for v in c.values() if v.isdecimal()}
    rows = {str(p.pk): p for p in Pair.objects.filter(pk__in=wanted)}
    return [(rows[c["decision"]], rows.get(c["against"])) for c in told if c["decision"] in rows]


# ---- entities --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entity:
    """An entity as the list shows it; `token` names it for asking again."""

    token: str
    shown: str
    members: int
    weakest: str


def token(place: int, key: str) -> str:
    """An entity's place in the list and a mark by which a changed list is noticed."""
    return f"{place}-{audit.keyed_hash(key)[:24]}"


def entities(viewer: Actor, name: str, page: int, size: int = 30) -> tuple[list[Entity], bool]:
    """A page of entities, the largest first, and whether there are more."""
    concerned(viewer, name)
    spec = adapters.spec(name)
    found = adapters.entities(name, offset=(page - 1) * size, limit=size + 1)
    anchor = 0 if spec.dedupes else 1
    out = [
        Entity(
            token((page - 1) * size + n, key),
            shown_key(spec, anchor, key),
            members,
            rules.percent(probability),
        )
        for n, (key, members, probability) in enumerate(found[:size])
    ]
    return out, len(found) > size


@dataclass(frozen=True)
class Member:
    """One row of an entity, masked."""

    dataset: str
    shown: str
    values: list[tuple[str, str]]
    basis: str


@dataclass(frozen=True)
class Whole:
    """An entity with its members and the pairs that tie them."""

    titles: list[str]
    members: list[Member]
    ties: list[tuple[int, str, str, str]]


BASIS = {"auto": "自动合并", "decision": "人工判定", "anchor": "被关联的登记"}


def _keys(name: str, asked: str) -> Sequence[Link]:
    place = asked.partition("-")[0]
    found = (
        adapters.entities(name, offset=int(place), limit=1)
        if place.isdecimal() and len(place) < 10
        else []
    )
    if not found or token(int(place), found[0][0]) != asked:
        raise UserError("列表在此期间已更新，请返回实体列表重新选择")
    return adapters.entity(name, found[0][0])


def whole(viewer: Actor, name: str, asked: str) -> Whole:
    """An entity's members and ties, masked; raises UserError if the list has changed since."""
    concerned(viewer, name)
    spec = adapters.spec(name)
    links = _keys(name, asked)[:200]
    side_of = {s.dataset: n for n, s in reversed(list(enumerate(spec.sides)))}
    wanted = [(side_of[m.dataset], m.key) for m in links]
    rows = adapters.rows(name, wanted)
    members = []
    masks_of = {s.dataset: _masks(s.dataset) for s in spec.sides}
    words = {s.dataset: _words(s.dataset) for s in spec.sides}
    for m, (index, key) in zip(links, wanted, strict=True):
        masks, row = masks_of[m.dataset], rows.get((index, key), {})
        columns = [(f.title, f.left if index == 0 else f.right) for f in spec.fields]
        named = words[m.dataset]
        members.append(
            Member(
                _title(spec, index),
                shown_key(spec, index, key),
                [
                    (t, str(mask_value(masks.get(c, "none"), _told(row.get(c), named.get(c)))))
                    for t, c in columns
                ],
                BASIS.get(m.basis, m.basis),
            )
        )
    ties = [
        (
            int(p["pair"]),
            shown_key(spec, 0, p["left_key"]),
            shown_key(spec, 1, p["right_key"]),
            rules.percent(p["probability"]),
        )
        for p in adapters.pairs_among(name, links)
    ]
    return Whole([f.title for f in spec.fields], members, ties)


def tie(viewer: Actor, name: str, asked: str, number: int) -> dict[str, Any]:
    """One pair of an entity by its number in the newest run; raises UserError if it is gone."""
    concerned(viewer, name)
    for found in adapters.pairs_among(name, _keys(name, asked)):
        if int(found["pair"]) == number:
            return found
    raise UserError("这对记录已不在该实体中，请刷新后重试")
