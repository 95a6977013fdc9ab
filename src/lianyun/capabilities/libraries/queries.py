"""Queries: libraries, the table of sources, one record (masked), and contradictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.element import citizen_number_ok, credit_code_ok, mask_value
from lianyun.kernel.models import Batch, Element, Resource

from . import adapters, rules
from .models import Merging


@cache
def _columns() -> dict[str, tuple[str, ...]]:
    return {
        d.name: tuple(str(i["name"]) for i in d.data.get("items") or ())
        for d in packs.declarations("datasets")
    }


@cache
def rule(name: str) -> rules.LibraryRule:
    """A library's declaration; raises UserError where no pack declares it."""
    try:
        return rules.read(packs.declaration("libraries", name).data, _columns())
    except KeyError as error:
        raise UserError(f"没有名为“{name}”的基础库") from error


def rule_names() -> list[str]:
    """All declared libraries."""
    return [d.name for d in packs.declarations("libraries")]


@dataclass(frozen=True)
class Shelf:
    """A library with its newest building."""

    resource: Resource
    rule: rules.LibraryRule
    last: Merging | None
    running: Merging | None


def shelves(viewer: Actor) -> list[Shelf]:
    """All libraries."""
    viewer.require("libraries.read")
    rows = {
        r.name: r for r in Resource.objects.filter(kind=Resource.LIBRARY).select_related("owner")
    }
    return [_shelf(rows[name]) for name in rule_names() if name in rows]


def _shelf(resource: Resource) -> Shelf:
    runs = Merging.objects.filter(library=resource)
    last = runs.filter(error="").exclude(finished_at=None).first()
    running = runs.filter(finished_at=None, error="").first()
    return Shelf(resource, rule(resource.name), last, running)


def shelf(viewer: Actor, name: str) -> Shelf | None:
    """One library."""
    viewer.require("libraries.read")
    found = (
        Resource.objects.filter(kind=Resource.LIBRARY, name=name).select_related("owner").first()
    )
    return _shelf(found) if found is not None and name in rule_names() else None


def mergings(viewer: Actor, name: str) -> list[Merging]:
    """The newest buildings of a library."""
    viewer.require("libraries.read")
    return list(Merging.objects.filter(library__name=name)[:10])


def titles(viewer: Actor) -> dict[str, tuple[str, str]]:
    """Datasets' titles and providers, for tables of sources."""
    rows = Resource.objects.filter(kind=Resource.DATASET, name__in=_columns()).select_related(
        "owner"
    )
    return {r.name: (r.title, str(r.owner)) for r in rows}


@dataclass(frozen=True)
class SourceLine:
    """One field in the table 一数一源: who is authoritative, who fills in, and how it turned out."""

    field: rules.FieldRule
    wins: str
    authority: tuple[str, str]
    others: list[tuple[str, str]]
    filled: int
    shares: list[tuple[str, int]]
    conflicts: int


@lru_cache(maxsize=32)
def _counts(name: str, building: str) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Origins and contradictions by field; they stand still between two buildings."""
    return adapters.origin_counts(rule(name)), adapters.quarrel_counts(rule(name))


def source_lines(viewer: Actor, name: str) -> list[SourceLine]:
    """The table 一数一源 of a library."""
    viewer.require("libraries.read")
    one, known = rule(name), titles(viewer)
    finished = Merging.objects.filter(library__name=name).exclude(finished_at=None)
    last = finished.order_by("-finished_at").first()
    origins, quarrels = _counts(name, last.code) if last else ({}, {})
    out = []
    for field in one.fields:
        named = [known.get(s.dataset, (s.dataset, "")) for s in field.sources]
        counted = origins.get(field.name, {})
        by_provider: dict[str, int] = {}
        for dataset, n in counted.items():
            provider = known.get(dataset, (dataset, ""))[1] or dataset
            by_provider[provider] = by_provider.get(provider, 0) + n
        shares = sorted(by_provider.items(), key=lambda e: -e[1])
        out.append(
            SourceLine(
                field,
                rules.WINS[field.wins],
                named[0],
                named[1:],
                sum(counted.values()),
                shares,
                quarrels.get(field.name, 0),
            )
        )
    return out


@dataclass(frozen=True)
class Value:
    """One field of a record as a page shows it."""

    title: str
    value: Any
    masked: bool
    dataset: str
    provider: str
    batch: str
    date: str
    quarrel: list[tuple[str, Any]]


def checked_key(name: str, text: str) -> str:
    """The key as the library has it; raises UserError where its check digits are wrong."""
    one = rule(name)
    key = text.strip().upper()
    element = Element.objects.filter(code=one.key).first()
    kind = element.check_kind if element else ""
    if kind == "citizen_number" and not citizen_number_ok(key):
        raise UserError("公民身份号码有误：请核对位数、出生日期和末位校验码")
    if kind == "credit_code" and not credit_code_ok(key):
        raise UserError("统一社会信用代码有误：请核对 18 位代码和末位校验码")
    if not key:
        raise UserError("请填写要查阅的号码")
    return key


def record(viewer: Actor, name: str, key: str, *, reveal: bool = False) -> list[Value] | None:
    """A golden record field by field, masked unless revealed; None where there is none."""
    viewer.require("libraries.reveal" if reveal else "libraries.look_up")
    one, known = rule(name), titles(viewer)
    found = adapters.record(one, key)
    if found is None:
        return None
    masks = _masks(one)
    quarrels = {c["field"]: c for c in found.conflicts}

    def show(field: str, value: Any) -> Any:
        return value if reveal else mask_value(masks.get(field, "none"), value)

    out = []
    for field in one.fields:
        origin = found.origins.get(field.name, {})
        title, provider = known.get(origin.get("dataset", ""), (origin.get("dataset", ""), ""))
        quarrel = quarrels.get(field.name)
        out.append(
            Value(
                field.title,
                show(field.name, found.values.get(field.name)),
                not reveal and masks.get(field.name, "none") != "none",
                title,
                provider,
                origin.get("batch", ""),
                origin.get("date", "") or "",
                [
                    (known.get(d, (d, d))[1], show(field.name, v))
                    for d, v in quarrel["values"].items()
                    if v is not None
                ]
                if quarrel
                else [],
            )
        )
    return out


def shown_key(viewer: Actor, name: str, key: str, *, reveal: bool = False) -> str:
    """The record's own number as a page shows it."""
    one = rule(name)
    element = Element.objects.filter(code=one.key).first()
    return key if reveal or element is None else str(mask_value(element.mask, key))


def _masks(one: rules.LibraryRule) -> dict[str, str]:
    codes = {f.element for f in one.fields} | {one.key}
    known = dict(Element.objects.filter(code__in=codes).values_list("code", "mask"))
    return {f.name: known.get(f.element, "none") for f in one.fields} | {
        one.key: known.get(one.key, "none")
    }


@dataclass(frozen=True)
class Quarrel:
    """One contradiction as the list shows it; `token` names it for sending back."""

    token: str
    shown: str
    title: str
    values: list[tuple[str, Any, bool]]
    chosen: Any

    @property
    def pk(self) -> str:
        """What a tick in the list sends."""
        return self.token


def token(quarrel: dict[str, Any], place: int) -> str:
    """A contradiction's place in the list and a mark by which a changed list is noticed."""
    return f"{place}-{audit.keyed_hash(':'.join((quarrel['entity'], quarrel['field'])))}"


def quarrels(
    viewer: Actor, name: str, *, dataset: str = "", page: int = 1, size: int = 50
) -> tuple[list[Quarrel], bool]:
    """A page of contradictions, masked, and whether there are more."""
    viewer.require("libraries.read")
    one, known, masks = rule(name), titles(viewer), _masks(rule(name))
    found = adapters.quarrels(
        one, dataset=dataset or None, offset=(page - 1) * size, limit=size + 1
    )
    out = []
    for number, c in enumerate(found[:size]):
        mask = masks.get(c["field"], "none")
        out.append(
            Quarrel(
                token(c, (page - 1) * size + number),
                str(mask_value(masks.get(one.key, "none"), c["entity"])),
                c["title"],
                [
                    (known.get(d, (d, d))[1], mask_value(mask, v), v == c["chosen"])
                    for d, v in c["values"].items()
                    if v is not None
                ],
                mask_value(mask, c["chosen"]),
            )
        )
    return out, len(found) > size


def new_batches(name: str) -> list[str] | None:
    """Codes of the sources' batches since the last building; None where there was none yet."""
    last = Merging.objects.filter(library__name=name, error="").exclude(finished_at=None).first()
    if last is None:
        return None
    return list(
        Batch.objects.filter(
            resource__name__in=rule(name).datasets,
            state=Batch.SUCCEEDED,
            finished_at__gte=last.started_at,
        )
        .order_by("id")
        .values_list("code", flat=True)
    )
