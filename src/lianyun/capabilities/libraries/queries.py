"""Queries: libraries, the table of sources, one record (masked), and contradictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.element import citizen_number_ok, credit_code_ok, mask_value
from lianyun.kernel.models import Batch, Element, Resource

from . import adapters, rules
from .models import Merging


@cache
def _datasets() -> dict[str, dict[str, Any]]:
    return {d.name: d.data for d in packs.declarations("datasets")}


@cache
def rule(name: str) -> rules.LibraryRule:
    """A library's declaration; raises UserError where no pack declares it."""
    try:
        return rules.read(packs.declaration("libraries", name).data, _datasets())
    except KeyError as error:
        raise UserError(f"没有名为“{name}”的基础库") from error


def rule_names() -> list[str]:
    """All declared libraries."""
    return [d.name for d in packs.declarations("libraries")]


@dataclass(frozen=True)
class Shelf:
    """A library with its newest building; `providers` are the departments behind its sources."""

    resource: Resource
    rule: rules.LibraryRule
    last: Merging | None
    running: Merging | None
    providers: tuple[str, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()

    @property
    def counts(self) -> dict[str, Any]:
        """What the newest building counted."""
        return self.last.counts if self.last else {}

    @property
    def newest(self) -> str:
        """The newest day that any source speaks of, ISO; empty before the first building."""
        return max((self.counts.get("freshness") or {}).values(), default="")


def shelves(viewer: Actor) -> list[Shelf]:
    """All libraries, the base ones first; three queries."""
    viewer.require("libraries.read")
    rows = {
        r.name: r for r in Resource.objects.filter(kind=Resource.LIBRARY).select_related("owner")
    }
    runs = Merging.objects.filter(library__in=rows.values()).order_by("library_id", "-id")
    newest: dict[int, Merging] = {}
    running: dict[int, Merging] = {}
    for run in runs.filter(error="").exclude(finished_at=None).distinct("library_id"):
        newest[run.library_id] = run
    for run in runs.filter(error="", finished_at=None).distinct("library_id"):
        running[run.library_id] = run
    known = titles(viewer)
    found = [
        _shelf(rows[name], newest.get(rows[name].pk), running.get(rows[name].pk), known)
        for name in rule_names()
        if name in rows
    ]
    return sorted(found, key=lambda s: (not s.rule.base, s.resource.code))


def _shelf(
    resource: Resource,
    last: Merging | None,
    running: Merging | None,
    known: dict[str, tuple[str, str]],
) -> Shelf:
    one = rule(resource.name)
    providers = dict.fromkeys(known.get(d, (d, d))[1] for d in one.datasets)
    counted: dict[str, int] = {}
    for told in ((last.counts if last else {}).get("fields") or {}).values():
        for dataset, n in told["sources"].items():
            who = known.get(dataset, (dataset, dataset))[1]
            counted[who] = counted.get(who, 0) + n
    total = sum(counted.values()) or 1
    shares = sorted(((w, 100 * n / total) for w, n in counted.items()), key=lambda e: -e[1])
    return Shelf(resource, one, last, running, tuple(providers), tuple(shares))


def shelf(viewer: Actor, name: str) -> Shelf | None:
    """One library."""
    viewer.require("libraries.read")
    found = (
        Resource.objects.filter(kind=Resource.LIBRARY, name=name).select_related("owner").first()
    )
    if found is None or name not in rule_names():
        return None
    runs = Merging.objects.filter(library=found)
    return _shelf(
        found,
        runs.filter(error="").exclude(finished_at=None).first(),
        runs.filter(finished_at=None, error="").first(),
        titles(viewer),
    )


def growth(viewer: Actor, name: str) -> list[tuple[str, int]]:
    """How many records the library had after each of its last sixty buildings: (day, records)."""
    viewer.require("libraries.read")
    runs = (
        Merging.objects.filter(library__name=name, error="")
        .exclude(finished_at=None)
        .order_by("-id")
        .values_list("finished_at", "entities")[:60]
    )
    days: dict[str, int] = {}
    for at, entities in reversed(list(runs)):
        days[timezone.localtime(at).strftime("%m-%d")] = entities
    return list(days.items())


def mergings(viewer: Actor, name: str) -> list[Merging]:
    """The newest buildings of a library."""
    viewer.require("libraries.read")
    return list(Merging.objects.filter(library__name=name)[:10])


def titles(viewer: Actor) -> dict[str, tuple[str, str]]:
    """Datasets' titles and providers, for tables of sources."""
    rows = Resource.objects.filter(kind=Resource.DATASET, name__in=_datasets()).select_related(
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


def source_lines(viewer: Actor, name: str) -> list[SourceLine]:
    """The table 一数一源 of a library."""
    viewer.require("libraries.read")
    one, known = rule(name), titles(viewer)
    last = Merging.objects.filter(library__name=name, error="").exclude(finished_at=None).first()
    told = (last.counts.get("fields") or {}) if last else {}
    out = []
    for field in one.fields:
        datasets = [s.dataset for s in field.sources] or [
            r.dataset
            for r in one.rows
            if field.name in {*r.columns, *r.values}
            or (r.point and field.name in ("longitude", "latitude"))
        ]
        counts = told.get(field.name, {"filled": 0, "sources": {}, "conflicts": 0})
        counted = counts["sources"]
        if not field.sources:
            datasets = sorted(dict.fromkeys(datasets), key=lambda d: -counted.get(d, 0))
        named = [known.get(d, (d, "")) for d in datasets] or [("", "")]
        by_provider: dict[str, int] = {}
        for dataset, n in counted.items():
            provider = known.get(dataset, (dataset, ""))[1] or dataset
            by_provider[provider] = by_provider.get(provider, 0) + n
        shares = sorted(by_provider.items(), key=lambda e: -e[1])
        out.append(
            SourceLine(
                field,
                rules.WINS[field.wins] if field.sources else "逐条收录",
                named[0],
                named[1:],
                counts["filled"],
                shares,
                counts["conflicts"],
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
    element = Element.objects.filter(code=one.asked_by).first()
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


@dataclass(frozen=True)
class Fact:
    """One row of a list as a page shows it: its values in the fields' order, and where it is from."""

    kind: str
    values: list[tuple[str, Any]]
    dataset: str
    provider: str
    date: str
    expired: bool


def rows_of(viewer: Actor, name: str, key: str, *, reveal: bool = False) -> list[Fact]:
    """A list's rows of one holder, masked unless revealed; the newest first."""
    viewer.require("libraries.reveal" if reveal else "libraries.look_up")
    one, known, masks = rule(name), titles(viewer), _masks(rule(name))
    today = timezone.localdate()
    out = []
    for row in adapters.rows_of(one, key):
        until = row.get(one.expires) if one.expires else None
        title, provider = known.get(row["_dataset"], (row["_dataset"], ""))
        out.append(
            Fact(
                str(row.get(one.kind) or title),
                [
                    (
                        f.title,
                        row[f.name]
                        if reveal
                        else mask_value(masks.get(f.name, "none"), row[f.name]),
                    )
                    for f in one.fields
                    if row.get(f.name) is not None and f.name != one.kind
                ],
                title,
                provider,
                row["_date_source"].isoformat() if row["_date_source"] else "",
                until is not None and until < today,
            )
        )
    return out


@dataclass(frozen=True)
class Series:
    """An indicator in a region: its newest value by period, and how often values were revised."""

    code: str
    title: str
    region: str
    unit: str
    points: list[tuple[str, float]]
    revised: list[tuple[str, list[tuple[str, float]]]]


def series(shelf: Shelf) -> list[Series]:
    """A library's city-wide series in the order of their codes; each period's newest vintage counts."""
    found: dict[tuple[str, str], dict[str, list[tuple[str, float]]]] = {}
    about: dict[tuple[str, str], tuple[str, str]] = {}
    rows = (shelf.counts.get("extra") or {}).get("series") or []
    for code, title, region, unit, period, value, released in rows:
        about[code, region] = (title, unit or "")
        periods = found.setdefault((code, region), {})
        periods.setdefault(period, []).append((released or "", value))
    return [
        Series(
            code,
            about[code, region][0],
            region,
            about[code, region][1],
            [(p, v[-1][1]) for p, v in periods.items()],
            [(p, v) for p, v in periods.items() if len(v) > 1],
        )
        for (code, region), periods in found.items()
    ]


@dataclass(frozen=True)
class Plain:
    """One holder's row in clear for a sibling that reads under a grant of its own.

    `origins` tells per field the dataset's title and provider and the day (ISO) of the value;
    `masked` holds the values as they may be shown.
    """

    title: str
    titles: dict[str, str]
    values: dict[str, Any]
    masked: dict[str, Any]
    origins: dict[str, tuple[str, str, str]]


def plain(viewer: Actor, name: str, key: str) -> Plain | None:
    """A golden record, or a list's newest row of one holder, in clear; None where there is none.

    Whoever asks records the reading (audit.record_exchange) with the grant it goes by.
    """
    viewer.require("libraries.reveal")
    one, masks = rule(name), _masks(rule(name))
    told: dict[str, dict[str, str]] = {}
    if one.form == "golden":
        found = adapters.record(one, key)
        values = found.values if found else {}
        told = found.origins if found else {}
    else:
        values = next(iter(adapters.rows_of(one, key, limit=1)), {})
        day = values.get("_date_source")
        origin = {
            "dataset": str(values.get("_dataset") or ""),
            "date": day.isoformat() if day is not None else "",
        }
        told = {f.name: origin for f in one.fields if values.get(f.name) is not None}
    if not values:
        return None
    named = {o["dataset"] for o in told.values()}
    rows = Resource.objects.filter(kind=Resource.DATASET, name__in=named).select_related("owner")
    known = {r.name: (r.title, str(r.owner)) for r in rows}
    return Plain(
        one.title,
        {f.name: f.title for f in one.fields},
        {n: v for n, v in values.items() if not n.startswith("_")},
        {n: mask_value(masks.get(n, "none"), v) for n, v in values.items() if n in masks},
        {
            n: (*known.get(o["dataset"], (o["dataset"], "")), o.get("date") or "")
            for n, o in told.items()
        },
    )


def shown_key(viewer: Actor, name: str, key: str, *, reveal: bool = False) -> str:
    """The record's own number as a page shows it."""
    one = rule(name)
    element = Element.objects.filter(code=one.asked_by).first()
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
    named = {f.name: f.title for f in one.fields}
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
                named.get(c["field"], c["field"]),
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
