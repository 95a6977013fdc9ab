"""Queries: every read of collection: the board, a dataset's loads, sources, rejected rows, freshness."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import case as kernel_case
from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Batch, Code, CodeList, Element, Event, Party, Resource
from lianyun.lake import history, land, merge
from lianyun.lake.check import DomainCode, ItemCheck, RowRule
from lianyun.lake.infer import Proposal, ascii_name, propose
from lianyun.lake.shelves import LakeError, quote, table_columns

from . import adapters, rules
from .models import Correction, Source, Use

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

REGIONS = "divisions"
PROVINCES = [
    "11",
    "12",
    "13",
    "14",
    "15",
    "21",
    "22",
    "23",
    "31",
    "32",
    "33",
    "34",
    "35",
    "36",
    "37",
    "41",
    "42",
    "43",
    "44",
    "45",
    "46",
    "50",
    "51",
    "52",
    "53",
    "54",
    "61",
    "62",
    "63",
    "64",
    "65",
    "71",
    "81",
    "82",
    "83",
    "91",
]
"""The first two digits a citizen number may have (GB/T 2260; 83 台湾居民, 91 外国人)."""


# ---- a dataset as the lake wants it ------------------------------------------------------


def dataset(name: str) -> Resource:
    """The dataset with this identifier or resource code; raises UserError where there is none."""
    rows = Resource.objects.filter(kind=Resource.DATASET).select_related("owner")
    found = rows.filter(Q(name=name) | Q(code=name)).first()
    if found is None:
        found = rows.filter(name=rules.table_name(ascii_name(name))).first()
    if found is None:
        raise UserError(f"没有名为“{name}”的数据集，请先在目录中编制，或用 infer --register 登记")
    return found


def domain_codes(name: str) -> tuple[DomainCode, ...]:
    """All codes of a list with their days; retired ones too, for old rows carry them."""
    return tuple(
        DomainCode(code, title, begin, end)
        for code, title, begin, end in Code.objects.filter(list__name=name)
        .order_by("code", "valid_from")
        .values_list("code", "name", "valid_from", "valid_to")
    )


def checks_of(items: Sequence[dict[str, Any]]) -> list[ItemCheck]:
    """Every item's check from its data element, or from its own type and format."""
    elements = _elements(items)
    titles = dict(CodeList.objects.values_list("name", "title"))
    made = []
    for item in items:
        element = elements.get(item.get("element") or "")
        kind = item.get("type") or (element.type if element else "C")
        form = item.get("format") or (element.format if element else None)
        check = item.get("check") or (element.check_kind if element else "") or None
        domain = item.get("domain") or (element.domain if element else "") or None
        if check == "region" and not domain:
            domain = REGIONS
        made.append(
            ItemCheck(
                name=item["name"],
                title=item.get("title") or item["name"],
                type=kind,
                format=form,
                required=bool(item.get("required")),
                domain=domain_codes(domain) if domain in titles else None,
                domain_name=titles.get(domain or "", ""),
                domain_on=item.get("domain_on") or None,
                check=check,
                aliases=_aliases(item, element),
            )
        )
    return made


def _aliases(item: dict[str, Any], element: Element | None) -> tuple[str, ...]:
    listed = [str(a) for a in item.get("aliases") or ()]
    if element is not None:
        listed += [element.title, element.code]
    return tuple(dict.fromkeys(listed))


def _province_rules(items: Sequence[ItemCheck]) -> Iterator[RowRule]:
    """A citizen number begins with a province: county codes retire, provinces do not."""
    listed = ", ".join(f"'{p}'" for p in PROVINCES)
    for item in items:
        if item.check == "citizen_number":
            yield RowRule(
                f"{item.name}.province",
                f"{item.title}：前两位不是省级行政区划代码",
                f"{item.name} IS NULL OR length({item.name}) <> 18 "
                f"OR left({item.name}, 2) IN ({listed})",
            )


_OWN = ("aliases", "domain", "domain_on", "check", "mask")
"""What a pack may say of an item beyond what the catalogue keeps."""


def content(resource: Resource) -> dict[str, Any]:
    """What the catalogue and the packs say of a dataset: items, key, contract, rules, cycle."""
    declared = next(
        (d.data for d in packs.declarations("datasets") if d.name == resource.name), None
    )
    if not hasattr(resource, "entry"):
        return {**(declared or {}), **resource.data}
    told = catalogue.dataset_spec(resource)
    if declared is None:
        return told
    more = {i["name"]: {k: i[k] for k in _OWN if i.get(k)} for i in declared.get("items") or ()}
    told["items"] = [{**i, **more.get(i["name"], {})} for i in told["items"]]
    for name in ("rules", "key", "contract"):
        told[name] = told.get(name) or declared.get(name)
    return told


def dataset_spec(resource: Resource, watermark: str = "") -> merge.DatasetSpec:
    """The dataset as the lake checks and merges it; `watermark` is a source column that grows.

    Raises UserError where the catalogue has no items for it.
    """
    told = content(resource)
    items = list(told.get("items") or ())
    if not items:
        raise UserError(f"“{resource.title}”还没有编制信息项，请先在目录中补充数据项再归集")
    checks = checks_of(items)
    rules_ = [
        RowRule(r["code"], r["title"], r["sql"], r.get("severity", "reject"))
        for r in told.get("rules") or ()
    ]
    key = tuple(told.get("key") or ()) or tuple(i["name"] for i in items if i.get("key"))
    mark = land.match_columns([watermark], checks).get(0) if watermark else None
    return merge.DatasetSpec(
        name=resource.name,
        items=tuple(checks),
        key=key,
        contract=str(told.get("contract") or "evolve"),
        rules=(*_province_rules(checks), *rules_),
        watermark=mark,
    )


def rule_titles(resource: Resource) -> dict[str, str]:
    """The Chinese title of every check and rule code that a batch of this dataset may count."""
    told = content(resource)
    titles = {
        "row.unreadable": "无法解析的行",
        "row.empty": "整行为空",
        "row.contract": "出现未登记的列",
        "row.duplicate_key": "主键重复且内容不一致",
    }
    for item in told.get("items") or ():
        for kind, words in CHECK_TITLES.items():
            titles[f"{item['name']}.{kind}"] = f"{item.get('title') or item['name']}：{words}"
    titles.update({r["code"]: r["title"] for r in told.get("rules") or ()})
    return titles


CHECK_TITLES: dict[str, str] = {
    "required": "必填项缺失",
    "length": "长度不符",
    "format": "格式不符",
    "type": "类型不符",
    "domain": "不在值域内",
    "birth_date": "号码中的出生日期无效",
    "region": "行政区划无效",
    "province": "前两位不是省级代码",
    "check_digit": "校验位错误",
    "legacy": "旧号码",
}


# ---- the board ---------------------------------------------------------------------------


@dataclass
class Row:
    """One dataset on the board: its last load, how fresh it is, whether anyone reads it."""

    resource: Resource
    cycle: str
    fresh: rules.Freshness
    loads: int = 0
    last: Batch | None = None
    running: Batch | None = None
    last_good_at: dt.datetime | None = None
    first_good_at: dt.datetime | None = None
    rows: int | None = None
    score: float | None = None
    rejected: int = 0
    sources: int = 0
    used: int = 0
    last_read: dt.datetime | None = None
    unread: bool = False
    trend: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The dataset's identifier."""
        return self.resource.name

    @property
    def title(self) -> str:
        """The dataset's title."""
        return self.resource.title

    @property
    def owner(self) -> str:
        """The providing department's short name."""
        return str(self.resource.owner)

    @property
    def department(self) -> str:
        """The providing department's slug."""
        return self.resource.owner.slug or ""

    @property
    def state(self) -> str:
        """The freshness word by which the board is filtered."""
        return self.fresh.state

    @property
    def rank(self) -> int:
        """Where the row stands when the worst come first."""
        order = {"dead": 0, "late": 1, "due": 2, "fresh": 3, "any": 4, "empty": 6}
        return order[self.fresh.state] if not self.unread else min(order[self.fresh.state], 1)

    @property
    def names_red(self) -> bool:
        """Late, dead or never read: named in red."""
        return self.fresh.red or self.unread

    @property
    def trend_points(self) -> str:
        """The landed rows of the last loads as points of an SVG line (80 × 24)."""
        values = self.trend
        if len(values) < 2:
            return ""
        top = max(values) or 1
        step = 80 / (len(values) - 1)
        return " ".join(
            f"{i * step:.1f},{22 - 20 * value / top:.1f}" for i, value in enumerate(values)
        )


def cycle_of(resource: Resource) -> str:
    """The update cycle that the catalogue gives a dataset; 不定期 where it says nothing."""
    return str(resource.terms.get("cycle") or resource.data.get("cycle") or "不定期")


def board(viewer: Actor, *, everything: bool = False) -> list[Row]:
    """All datasets that were loaded or have a source, the worst first; `everything` adds the rest.

    Every reader of collection sees all departments: lateness is the city's business.
    """
    now = timezone.now()
    good = Q(batches__state=Batch.SUCCEEDED) & ~Q(batches__mode=rules.UNDO)
    newest = Batch.objects.filter(loads(), resource=OuterRef("pk")).order_by("-id")
    found = (
        Resource.objects.filter(kind=Resource.DATASET)
        .exclude(state=Resource.WITHDRAWN)
        .select_related("owner")
        .defer("search")
        .annotate(
            loads=Count("batches", filter=good),
            first_good=Min("batches__finished_at", filter=good),
            last_good=Max("batches__finished_at", filter=good),
            any_batch=Max("batches__id"),
            newest_good=Subquery(newest.values("pk")[:1]),
        )
    )
    sources = dict(
        Source.objects.values_list("resource").annotate(n=Count("pk")).values_list("resource", "n")
    )
    uses = {
        pk: (count, at)
        for pk, count, at in Use.objects.values("resource")
        .annotate(n=Sum("count"), at=Max("last_at"))
        .values_list("resource", "n", "at")
    }
    resources = [r for r in found if everything or r.any_batch or r.pk in sources]
    wanted = {r.any_batch for r in resources} | {r.newest_good for r in resources}
    batches = Batch.objects.in_bulk([pk for pk in wanted if pk])
    trend = _trends([r.pk for r in resources if r.loads])
    rows = []
    for resource in resources:
        last = batches.get(resource.any_batch)
        best = batches.get(resource.newest_good)
        used, read_at = uses.get(resource.pk, (0, None))
        cycle = cycle_of(resource)
        rows.append(
            Row(
                resource=resource,
                cycle=cycle,
                fresh=rules.freshness(
                    cycle, resource.last_good, now, resource.loads, _newest(best)
                ),
                loads=resource.loads,
                last=last,
                running=last if last is not None and last.state == Batch.RUNNING else None,
                last_good_at=resource.last_good,
                first_good_at=resource.first_good,
                rows=best.outcome.get("total") if best else None,
                score=best.score if best else None,
                rejected=best.rejected if best else 0,
                sources=sources.get(resource.pk, 0),
                used=used,
                last_read=read_at,
                unread=rules.never_read(read_at, resource.first_good, now),
                trend=trend.get(resource.pk, []),
            )
        )
    rows.sort(key=lambda r: (r.rank, r.resource.owner_id, r.resource.code))
    return rows


def _trends(resources: list[int], last: int = 12) -> dict[int, list[int]]:
    """The landed rows of each dataset's last loads, oldest first."""
    out: dict[int, list[int]] = defaultdict(list)
    rows = (
        Batch.objects.filter(loads(), resource__in=resources)
        .order_by("-id")
        .values_list("resource", "landed")[: 40 * last]
    )
    for pk, landed in rows:
        if len(out[pk]) < last:
            out[pk].insert(0, landed)
    return out


@dataclass(frozen=True)
class Summary:
    """The board's head: how many datasets stand how."""

    datasets: int
    fresh: int
    late: int
    dead: int
    unread: int
    rows: int

    @property
    def share(self) -> float | None:
        """The share of datasets with a cycle that are on time."""
        judged = self.fresh + self.late + self.dead
        return self.fresh / judged if judged else None


def summary(rows: Sequence[Row]) -> Summary:
    """The figures above the board."""
    return Summary(
        datasets=sum(1 for r in rows if r.loads),
        fresh=sum(1 for r in rows if r.state in ("fresh", "due")),
        late=sum(1 for r in rows if r.state == "late"),
        dead=sum(1 for r in rows if r.state == "dead"),
        unread=sum(1 for r in rows if r.unread),
        rows=sum(r.rows or 0 for r in rows),
    )


def departments_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(slug, short name) of the departments on the board."""
    return sorted({(r.department, r.owner) for r in rows if r.department})


def one_row(name: str, viewer: Actor) -> Row:
    """A dataset's own row, as on the board."""
    resource = dataset(name)
    now = timezone.now()
    good = resource.batches.filter(loads())
    span = good.aggregate(first=Min("finished_at"), last=Max("finished_at"), n=Count("pk"))
    used = resource.uses.aggregate(n=Sum("count"), at=Max("last_at"))
    last = resource.batches.order_by("-id").first()
    best = good.order_by("-id").first()
    cycle = cycle_of(resource)
    return Row(
        resource=resource,
        cycle=cycle,
        fresh=rules.freshness(cycle, span["last"], now, span["n"], _newest(best)),
        loads=span["n"],
        last=last,
        running=last if last is not None and last.state == Batch.RUNNING else None,
        last_good_at=span["last"],
        first_good_at=span["first"],
        rows=best.outcome.get("total") if best else None,
        score=best.score if best else None,
        rejected=best.rejected if best else 0,
        sources=resource.sources.count(),
        used=used["n"] or 0,
        last_read=used["at"],
        unread=rules.never_read(used["at"], span["first"], now),
        trend=_trends([resource.pk]).get(resource.pk, []),
    )


# ---- batches and sources -----------------------------------------------------------------


def batches(viewer: Actor, resource: Resource | None = None) -> QuerySet[Batch]:
    """Loads, the newest first, of one dataset or of all that the viewer may run or read."""
    rows = Batch.objects.select_related("resource__owner").order_by("-id")
    return rows.filter(resource=resource) if resource is not None else rows


def batch(code: str, viewer: Actor) -> Batch:
    """The batch with this number; raises UserError where there is none."""
    found = Batch.objects.select_related("resource__owner").filter(code=code).first()
    if found is None:
        raise UserError(f"没有批次“{code}”，请核对批次号")
    return found


def started_by(found: Batch, viewer: Actor) -> str:
    """Who began a batch, as the ledger has it."""
    event = Event.objects.filter(subject=found.ref, kind="batch.started").order_by("id").first()
    return event.by_name if event else ""


def source_title(found: Batch, viewer: Actor) -> str:
    """What a batch's source is called: the registered source, or the file."""
    kind, _, name = found.source_ref.partition(":")
    if kind == "source":
        row = Source.objects.filter(name=name).first()
        return row.title if row else name
    return {
        "file": f"文件 {name}",
        "upload": f"上传 {name}",
        "corrected": f"更正 {name}",
        "undo": f"撤回批次 {name}",
    }.get(kind, found.source_ref or "—")


# ---- what a batch changed, and taking it back ----------------------------------------------

MOST_CHANGES = 500
"""Changed rows that are shown of a batch; the number of all is told."""


@dataclass(frozen=True)
class Changed:
    """One changed row of a batch, masked: what happened to which row."""

    pk: int
    op: str
    key: str
    words: str


def changed(found: Batch, viewer: Actor) -> tuple[list[Changed], int]:
    """The first changed rows of a batch, masked, and how many there are in all."""
    if found.state != Batch.SUCCEEDED:
        return [], 0
    outcome = found.outcome
    total = sum(int(outcome.get(n) or 0) for n in ("inserted", "updated", "deleted"))
    rows = merge.changes(adapters.lake(), found.resource.name, found.code, MOST_CHANGES).to_pylist()
    hide = masks(found.resource)
    items = content(found.resource).get("items") or ()
    titles = {i["name"]: i.get("title") or i["name"] for i in items}
    key = outcome.get("key") or []
    secret = found.resource.level >= 3

    def shown(row: dict[str, Any] | None, name: str) -> str:
        mask = hide.get(name, "all" if secret and name not in titles else "none")
        value = _masked(mask, (row or {}).get(name))
        return "—" if value is None else str(value)

    def words(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
        names = [n for n in (after or before or {}) if not n.startswith("_") and n not in key]
        if before is None or after is None:
            row = after or before
            told = [f"{titles.get(n, n)} {shown(row, n)}" for n in names if (row or {}).get(n)]
        else:
            told = [
                f"{titles.get(n, n)}：{shown(before, n)} → {shown(after, n)}"
                for n in names
                if before.get(n) != after.get(n)
            ]
        return "；".join(told)

    made = []
    for number, row in enumerate(rows):
        before, after = row["before"], row["after"]
        name = "，".join(shown(after or before, k) for k in key) or "—"
        made.append(Changed(number, row["op"], name, words(before, after)))
    return made, total


def undone_by(found: Batch, viewer: Actor) -> str:
    """The code of the batch that took this one back, or nothing."""
    return (
        Batch.objects.filter(
            resource=found.resource, mode=rules.UNDO, source_ref=f"undo:{found.code}"
        )
        .exclude(state=Batch.FAILED)
        .values_list("code", flat=True)
        .first()
        or ""
    )


def may_undo(found: Batch, viewer: Actor) -> bool:
    """Whether this viewer may take the batch back now."""
    return (
        found.state == Batch.SUCCEEDED
        and found.mode != rules.UNDO
        and viewer.may("collection.run", found.resource.owner)
        and not undone_by(found, viewer)
    )


def undo_plan(found: Batch, viewer: Actor) -> history.Undone:
    """What taking the batch back would do; raises Denied, and UserError where it cannot be."""
    viewer.require("collection.run", found.resource.owner)
    if found.state != Batch.SUCCEEDED:
        raise UserError("只有已完成的批次才能撤回")
    try:
        return history.preview_undo(adapters.lake(), found.resource.name, found.code)
    except LakeError as error:
        raise UserError(str(error)) from error


def loads() -> Q:
    """Batches that brought rows: the successful ones that are no taking back."""
    return Q(state=Batch.SUCCEEDED) & ~Q(mode=rules.UNDO)


def sources(viewer: Actor, resource: Resource | None = None) -> QuerySet[Source]:
    """Sources that the viewer may manage or, as a reader of the whole city, see."""
    rows = Source.objects.select_related("resource__owner")
    if resource is not None:
        return rows.filter(resource=resource)
    scope = viewer.departments("collection.read")
    return rows if scope is None else rows.filter(resource__owner__in=scope)


def source(name: str, viewer: Actor) -> Source:
    """The source with this identifier, of a department of the viewer; raises UserError."""
    found = sources(viewer).filter(name=name).first()
    if found is None:
        raise UserError("没有这个数据源，或它不属于您的部门")
    return found


DATABASES = ("postgresql", "mysql")


def databases(viewer: Actor) -> QuerySet[Source]:
    """Sources that are tables in a department's own database server and can be asked at call time."""
    return (
        sources(viewer)
        .filter(kind__in=DATABASES, enabled=True)
        .exclude(options__table=None)
        .exclude(options__table="")
        .order_by("resource__owner_id", "resource__code", "name")
    )


def reach(name: str, viewer: Actor) -> tuple[Source, str]:
    """A database source and its URL with the secret, for the programme only; raises UserError."""
    found = databases(viewer).filter(name=name).first()
    if found is None:
        raise UserError(f"数据源“{name}”不存在、已停用，或不是数据库中的表")
    secret = adapters.decrypt(found.secret, found.ref)
    return found, adapters.database_url(found.location, secret, vouched=found.vouched)


def may_run(viewer: Actor, resource: Resource) -> bool:
    """Whether the viewer may load this dataset."""
    return viewer.may("collection.run", resource.owner)


def may_edit(viewer: Actor, resource: Resource) -> bool:
    """Whether the viewer may manage this dataset's sources."""
    return viewer.may("collection.edit", resource.owner)


def loadable(viewer: Actor) -> QuerySet[Resource]:
    """Datasets that the viewer may load: of the departments for which he may run collection."""
    rows = Resource.objects.filter(kind=Resource.DATASET).exclude(state=Resource.WITHDRAWN)
    scope = viewer.departments("collection.run")
    rows = rows if scope is None else rows.filter(owner__in=scope)
    return rows.select_related("owner").defer("search").order_by("owner_id", "title")


def departments_run(viewer: Actor) -> QuerySet[Party]:
    """Departments for which the viewer may register a new dataset from a file."""
    rows = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")
    scope = viewer.departments("collection.run")
    return rows if scope is None else rows.filter(pk__in=scope)


def class_for(owner: Party) -> str:
    """The catalogue class under which a department's new dataset begins: its most used one."""
    used = Counter(
        str(code)
        for code in Resource.objects.filter(owner=owner, kind=Resource.DATASET).values_list(
            "data__class", flat=True
        )
        if code
    )
    if used:
        return used.most_common(1)[0][0]
    rows = [r for r in packs.table("core", "classes.csv") if r["level"] == "目"]
    own = [r["code"] for r in rows if owner.name in r["name"] or owner.short in r["name"]]
    return own[0] if own else next(r["code"] for r in rows if r["code"].startswith("3"))


def bureau() -> Party:
    """The city's data bureau: it owns what nobody else does."""
    return kernel_case.bureau()


def running(found: Source, viewer: Actor) -> Batch | None:
    """The batch of this source that runs at the moment."""
    return Batch.objects.filter(source_ref=found.ref, state=Batch.RUNNING).order_by("-id").first()


# ---- rows in the lake --------------------------------------------------------------------


def counted(
    outcome: merge.Outcome, resource: Resource, supplied: str | None = None
) -> dict[str, Any]:
    """A lake outcome as a batch keeps it, with all rows of the dataset and its newest row's time.

    `supplied` is the date of the file it came from (ISO text), where there was one.
    """
    items = content(resource).get("items") or ()
    stamp = next((i["name"] for i in items if i.get("element") == "update_time"), None)
    total, newest = _extent(outcome.dataset, stamp)
    return {**outcome.as_dict(), "total": total, "newest": newest, "supplied": supplied}


def total_rows(name: str) -> int:
    """How many rows a dataset has in the lake; 0 where nothing was ever loaded."""
    return _extent(name)[0]


def _extent(name: str, stamp: str | None = None) -> tuple[int, str | None]:
    """A dataset's rows, and the latest time in a column (not after tomorrow) as ISO text."""
    with adapters.lake().connect(read_only=True) as con:
        have = table_columns(con, "trusted", name)
        if not have:
            return 0, None
        latest = "NULL"
        if stamp in have:
            latest = (
                f"CAST(max({quote(stamp)}) FILTER ({quote(stamp)} <= "
                "CAST(now() AS TIMESTAMP) + INTERVAL 1 DAY) AS VARCHAR)"
            )
        row = con.execute(f"SELECT count(*), {latest} FROM lake.trusted.{quote(name)}").fetchone()
    return (int(row[0]), row[1]) if row else (0, None)


def _newest(found: Batch | None) -> dt.datetime | None:
    """When a dataset's data last moved: its newest row, else the date of the file that brought it."""
    told = (found.outcome.get("newest") or found.outcome.get("supplied")) if found else None
    if not told:
        return None
    try:
        moment = dt.datetime.fromisoformat(str(told))
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    except ValueError:
        return None


def masks(resource: Resource) -> dict[str, str]:
    """Item name → the mask of its element; an item without one is masked by its check."""
    items = content(resource).get("items") or ()
    elements = _elements(items)
    out = {}
    for item in items:
        element = elements.get(item.get("element") or "")
        out[item["name"]] = element.mask if element else str(item.get("mask") or "none")
        if element is None and item.get("check") == "citizen_number":
            out[item["name"]] = "citizen_number"
    return out


def _elements(items: Sequence[dict[str, Any]]) -> dict[str, Element]:
    wanted = {i["element"] for i in items if i.get("element")}
    return {e.code: e for e in Element.objects.filter(code__in=wanted)}


def sample(resource: Resource, viewer: Actor, limit: int = 10) -> tuple[list[str], list[list[Any]]]:
    """The first rows of a dataset, masked: (titles, rows); empty where nothing was loaded."""
    hide = masks(resource)
    titles = {i["name"]: i.get("title") or i["name"] for i in content(resource).get("items") or ()}
    with adapters.lake().connect(read_only=True) as con:
        have = [c for c in table_columns(con, "trusted", resource.name) if not c.startswith("_")]
        if not have:
            return [], []
        listed = ", ".join(quote(c) for c in have)
        rows = con.execute(
            f"SELECT {listed} FROM lake.trusted.{quote(resource.name)} LIMIT {int(limit)}"
        ).fetchall()
    secret = resource.level >= 3
    return [titles.get(c, c) for c in have], [
        [
            _masked(hide.get(c, "all" if secret and c not in titles else "none"), v)
            for c, v in zip(have, row, strict=True)
        ]
        for row in rows
    ]


def _masked(mask: str, value: Any) -> Any:
    return mask_value(mask, value) if mask != "none" else value


@dataclass(frozen=True)
class Rejected:
    """One refused row: its line, what arrived, and why it was refused."""

    batch: str
    line: int
    values: dict[str, str]
    text: str
    reasons: list[str]
    codes: list[str]
    corrected_by: str | None = None

    @property
    def pk(self) -> int:
        """Its line: unique within a batch."""
        return self.line

    @property
    def why(self) -> str:
        """All reasons in one line."""
        return "；".join(self.reasons)

    @property
    def raw(self) -> str:
        """The row as it arrived, in one line."""
        if self.text:
            return self.text
        return "，".join(f"{k}={v}" for k, v in self.values.items() if v not in (None, ""))


def rejected(
    found: Batch, viewer: Actor, offset: int = 0, limit: int = 1000, codes: Sequence[str] = ()
) -> list[Rejected]:
    """The refused rows of a batch as they arrived; with `codes` those that one of these refused.

    They are unmasked, so only those who may set them right read them; raises Denied.
    """
    viewer.require("collection.run", found.resource.owner)
    if found.state != Batch.SUCCEEDED or not found.rejected:
        return []
    name = found.resource.name
    where = "_batch = ?"
    args: list[Any] = [found.code]
    if codes:
        where += " AND list_has_any(_codes, ?)"
        args.append(list(codes))
    with adapters.lake().connect(read_only=True) as con:
        if not table_columns(con, "rejects", name):
            return []
        rows = con.execute(
            "SELECT _line, _raw, _text, _reasons, _codes, _corrected_by "
            f"FROM lake.rejects.{quote(name)} WHERE {where} "
            f"ORDER BY _line LIMIT {int(limit)} OFFSET {int(offset)}",
            args,
        ).fetchall()
    return [
        Rejected(
            found.code,
            line,
            json.loads(raw) if raw else {},
            text or "",
            list(reasons),
            list(why),
            corrected,
        )
        for line, raw, text, reasons, why, corrected in rows
    ]


def may_see_rejects(viewer: Actor, resource: Resource) -> bool:
    """Refused rows are shown as they arrived, unmasked: only to those who may set them right."""
    return viewer.may("collection.run", resource.owner)


def corrections_of(found: Batch, viewer: Actor) -> QuerySet[Correction]:
    """The batches that brought rows of this one again."""
    return found.corrections.select_related("batch").order_by("-batch_id")


REJECT_COLUMNS = ("行号", "拒收原因")


def rejects_csv(found: Batch, rows: Sequence[Rejected]) -> bytes:
    """The refused rows of a batch as a CSV that can be corrected and uploaded again."""
    arrived = (found.outcome.get("titles") or {}).values()
    titles = list(dict.fromkeys([*arrived, *(t for r in rows for t in r.values)]))
    if any(r.text for r in rows):
        titles.append("原文")
    return land.write_csv(
        [*REJECT_COLUMNS, *titles],
        (
            [
                r.line,
                r.why,
                *((r.text if t == "原文" else r.values.get(t) or "") for t in titles),
            ]
            for r in rows
        ),
    )


# ---- uploads -----------------------------------------------------------------------------


def proposal(path: Path) -> tuple[land.Sniffed, list[Proposal]]:
    """What an uploaded file looks like and which items it would make; raises UserError."""
    try:
        opened = land.open_file(path)
        return opened.sniffed or land.sniff(path), propose(opened, limit=200_000)
    except LakeError as error:
        raise UserError(f"文件读不出来：{error}") from error


def spelled(title: str) -> str:
    """A title in ASCII, for an identifier."""
    return ascii_name(title)


def best_match(columns: Sequence[str], viewer: Actor) -> str:
    """The dataset of the viewer that a file's columns fit best, or empty.

    Six columns of ten must be items of it, the key among them; of several, the one with most.
    """
    best, most = "", (0, 0.0)
    for resource in loadable(viewer).select_related("owner", "entry__category")[:200]:
        told = content(resource)
        items = [ItemCheck(i["name"], i.get("title") or i["name"]) for i in told.get("items") or ()]
        found = set(land.match_columns(columns, items).values())
        if not found or not found >= set(told.get("key") or ()):
            continue
        fit = (len(found), len(found) / len(items))
        if len(found) >= 0.6 * len(columns) and fit > most:
            best, most = resource.name, fit
    return best


def department_run(slug: str, viewer: Actor) -> Party:
    """A department for which the viewer may register datasets; raises UserError."""
    found = departments_run(viewer).filter(slug=slug).first()
    if found is None:
        raise UserError("您不能为这个部门登记数据集")
    return found


def runs_of(found: Source, viewer: Actor, last: int = 10) -> list[Batch]:
    """The last loads of a source."""
    return list(Batch.objects.filter(source_ref=found.ref).order_by("-id")[:last])
