"""The site: what everybody may find, read and download, and nothing else.

Everything here begins with `public`, so that what is not open shows up nowhere: not in a search, not
in a count, not in a feed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from django.db.models import Case, Count, F, QuerySet, Sum, When
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.quality import api as quality
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import bureau as case_bureau
from lianyun.kernel.models import Party
from lianyun.lake import release
from lianyun.ui import charts, maps

from .. import adapters, rules
from ..models import Key, Opening, Use, Version, Voice
from ..rules import document

SIZE = 10
SORTS = {"new": "最近更新", "used": "使用最多", "rated": "评分最高", "title": "名称"}


@cache
def settings() -> dict[str, Any]:
    """The declaration packs/core/open.yaml."""
    return packs.mapping("core", "open.yaml")


def licence(code: str) -> dict[str, Any]:
    """A declared licence by its code."""
    return next(
        (entry for entry in settings()["licences"] if entry["code"] == code),
        {"code": code, "title": code, "url": "", "summary": "", "kind": ""},
    )


@cache
def themes() -> dict[str, dict[str, Any]]:
    """The declared themes by key, `other` last."""
    found = {entry["key"]: entry for entry in settings()["themes"]}
    return {**found, settings()["other"]["key"]: settings()["other"]}


def theme_of(dataset: str) -> str:
    """The theme under which a dataset stands, by the pack that declares it."""
    try:
        pack = packs.declaration("datasets", dataset).pack
    except KeyError:
        return str(settings()["other"]["key"])
    for entry in settings()["themes"]:
        if pack in entry["packs"]:
            return str(entry["key"])
    return str(settings()["other"]["key"])


PAGE_ONLY = ("preview", "profile", "points", "risk")
"""What of a version only the dataset's own page shows; long, so nobody else reads it."""


def public(*, page: bool = False) -> QuerySet[Opening]:
    """The openings that stand on the site: approved, not taken down, with a version.

    `page` reads with it all that a dataset's own page shows.
    """
    rows = Opening.objects.filter(stage=rules.OPEN, current__isnull=False).select_related(
        "provider", "current"
    )
    if page:
        return rows.select_related("resource").defer("risk", "text", "current__risk")
    return rows.defer("recipe", "risk", "text", *(f"current__{name}" for name in PAGE_ONLY))


@dataclass(frozen=True)
class Choice:
    """What a visitor looks for."""

    q: str = ""
    department: str = ""
    theme: str = ""
    kind: str = ""
    sort: str = "new"
    page: int = 1


@dataclass(frozen=True)
class Found:
    """A page of openings with how many there are, and what narrowing would leave."""

    rows: list[Opening]
    total: int
    page: int
    pages: int
    departments: list[tuple[str, str, int]]
    themes: list[tuple[str, str, int]]
    kinds: list[tuple[str, str, int]]


def _narrowed(choice: Choice, *, leave: str = "") -> QuerySet[Opening]:
    rows = public()
    for word in choice.q.split()[:6]:
        rows = rows.filter(text__icontains=word)
    if choice.department and leave != "department":
        rows = rows.filter(provider__slug=choice.department)
    if choice.theme and leave != "theme":
        rows = rows.filter(theme=choice.theme)
    if choice.kind and leave != "kind":
        rows = rows.filter(kind=choice.kind)
    return rows


def search(viewer: Actor, choice: Choice, size: int = SIZE) -> Found:
    """Openings that match, with counts by department, theme and kind under the other choices."""
    rows = _narrowed(choice)
    total = rows.count()
    order: tuple[Any, ...] = {
        "used": (F("uses").desc(), "id"),
        "rated": (F("stars").desc(nulls_last=True), "id"),
        "title": ("title", "id"),
    }.get(choice.sort, (F("updated_at").desc(), "id"))
    if choice.q:
        named = Case(When(title__icontains=choice.q.split()[0], then=0), default=1)
        order = (named, *order)
    pages = max((total + size - 1) // size, 1)
    page = min(max(choice.page, 1), pages)

    def counted(field: str, leave: str) -> list[tuple[str, int]]:
        found = (
            _narrowed(choice, leave=leave)
            .order_by()
            .values_list(field)
            .annotate(n=Count("id"))
            .order_by("-n", field)
        )
        return [(str(value), n) for value, n in found]

    names = {p.slug: p.short or p.name for p in Party.objects.filter(kind=Party.DEPARTMENT)}
    kinds = dict(rules.KINDS)
    return Found(
        list(rows.order_by(*order)[(page - 1) * size : page * size]),
        total,
        page,
        pages,
        [(slug, names.get(slug, slug), n) for slug, n in counted("provider__slug", "department")],
        [
            (key, themes()[key]["title"], n)
            for key, n in counted("theme", "theme")
            if key in themes()
        ],
        [(key, kinds[key], n) for key, n in counted("kind", "kind")],
    )


def opening(viewer: Actor, name: str, *, page: bool = False) -> Opening:
    """One opening of the site; raises UserError where there is none of that name."""
    found = public(page=page).filter(name=name).first()
    if found is None:
        raise UserError("没有这个开放数据集，可能尚未开放或已经下架")
    return found


@dataclass(frozen=True)
class Home:
    """What the front page shows."""

    datasets: int
    rows: int
    departments: list[tuple[str, str, int]]
    uses: int
    themes: list[tuple[dict[str, Any], int]]
    newest: list[Opening]
    used: list[Opening]
    kept: float | None
    chart: charts.Chart
    applications: list[Voice]


def home(viewer: Actor) -> Home:
    """Figures, doors and lists of the front page."""
    now = timezone.now()
    rows = list(
        public().defer(
            "recipe",
            "risk",
            "text",
            "current__columns",
            *(f"current__{name}" for name in PAGE_ONLY),
        )
    )
    by_department: dict[str, int] = {}
    short: dict[str, str] = {}
    by_theme: dict[str, int] = {}
    promised = kept = 0
    for row in rows:
        slug = row.provider.slug or ""
        by_department[slug] = by_department.get(slug, 0) + 1
        short[slug] = row.provider.short or row.provider.name
        by_theme[row.theme] = by_theme.get(row.theme, 0) + 1
        told = rules.promise(row.cycle, row.updated_at, now)
        if rules.CYCLE_DAYS.get(row.cycle):
            promised += 1
            kept += told.kept
    departments = [
        (slug, short[slug], n)
        for slug, n in sorted(by_department.items(), key=lambda e: (-e[1], e[0]))
    ]
    return Home(
        len(rows),
        sum(row.current.rows for row in rows if row.current),
        departments,
        sum(row.uses for row in rows),
        [(theme, by_theme[key]) for key, theme in themes().items() if by_theme.get(key)],
        sorted(rows, key=lambda r: (r.updated_at is None, r.updated_at), reverse=True)[:6],
        sorted(rows, key=lambda r: (-r.uses, r.pk))[:6],
        kept / promised if promised else None,
        charts.one(
            "bar",
            "各部门开放数据集",
            [(name, n) for _, name, n in departments[:14]],
            "个",
            links=[f"/open/datasets/?department={slug}" for slug, _, _ in departments[:14]],
            first_column="部门",
        ),
        list(
            Voice.objects.filter(kind=rules.APPLICATION, shown=True).select_related("opening")[:3]
        ),
    )


@dataclass(frozen=True)
class Line:
    """One line of a data dictionary."""

    name: str
    title: str
    type: str
    note: str
    how: str
    codes: list[tuple[str, str]]
    filled: float | None


TYPES = {"VARCHAR": "文本", "BIGINT": "整数", "INTEGER": "整数", "DOUBLE": "小数",
         "DATE": "日期", "TIMESTAMP": "时间", "BOOLEAN": "是否"}  # fmt: skip


def type_title(kind: str) -> str:
    """A column's type as people call it."""
    return "小数" if kind.startswith("DECIMAL") else TYPES.get(kind, "文本")


@dataclass(frozen=True)
class Point:
    """A place on the drawn map."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Shown:
    """A dataset's page."""

    opening: Opening
    version: Version
    licence: dict[str, Any]
    theme: dict[str, Any]
    promise: rules.Promise
    score: float | None
    lines: list[Line]
    head: list[str]
    preview: list[list[Any]]
    chart: charts.Chart | None
    counties: maps.Choropleth | None
    points: list[Point]
    files: list[tuple[str, str, str]]
    history: list[Version]
    stars: float | None
    rated: int
    applications: list[Voice]
    related: list[Opening]
    use: charts.Chart
    rows_open: bool

    @property
    def dots(self) -> SafeString:
        """The points as circles of an SVG; over a thousand, so they are not left to the template."""
        return mark_safe(
            "".join(
                f'<circle cx="{p.x}" cy="{p.y}" r="3.6"><title>{escape(p.label)}</title></circle>'
                for p in self.points
            )
        )


def _labelled(column: Mapping[str, Any], value: Any) -> Any:
    codes = column.get("codes") or {}
    return codes.get(str(value), value) if value is not None else ""


def shown(viewer: Actor, name: str) -> Shown:
    """One dataset's page; raises UserError where the site has none of that name."""
    found = opening(viewer, name, page=True)
    version = found.current
    assert version is not None
    rows = max(version.rows, 1)
    lines = [
        Line(
            c["name"],
            c["title"],
            type_title(c["type"]),
            c.get("note", ""),
            rules.HOW_TITLES.get(c.get("how", "keep"), ""),
            list((c.get("codes") or {}).items())[:40],
            1 - (version.profile.get(c["name"]) or {}).get("empty", 0) / rows,
        )
        for c in version.columns
    ]
    drawn = rules.chart_of(version.columns, version.profile)
    chart = (
        charts.one(drawn.kind, drawn.title, drawn.pairs, drawn.unit, first_column=drawn.first)
        if drawn
        else None
    )
    rows_open = not found.conditional
    return Shown(
        found,
        version,
        licence(found.licence),
        themes().get(found.theme, settings()["other"]),
        rules.promise(found.cycle, found.updated_at, timezone.now()),
        quality.score(found.resource),
        lines,
        [c["title"] for c in version.columns],
        [
            [_labelled(c, v) for c, v in zip(version.columns, row, strict=True)]
            for row in version.preview[:: max(len(version.preview) // 10, 1)][:10]
        ]
        if rows_open
        else [],
        chart,
        _counties(version),
        _points(version) if rows_open else [],
        [
            (kind, rules.size_title(version.files[kind]["bytes"]), version.files[kind]["sha256"])
            for kind in release.FORMATS
            if kind in version.files
        ],
        list(found.versions.defer(*PAGE_ONLY, "columns", "files")[:6]),
        found.stars,
        found.ratings.count(),
        list(found.voices.filter(kind=rules.APPLICATION, shown=True)[:3]),
        list(public().filter(theme=found.theme).exclude(pk=found.pk)[:4]),
        _use(found),
        rows_open,
    )


def _use(found: Opening) -> charts.Chart:
    today = timezone.localdate()
    days = [today - dt.timedelta(days=n) for n in range(29, -1, -1)]
    by_day = {u.day: u for u in Use.objects.filter(opening=found, day__gte=days[0])}
    return charts.Chart(
        "line",
        "近 30 日使用",
        [f"{d:%m-%d}" for d in days],
        [
            charts.Series("下载", [by_day[d].downloads if d in by_day else 0 for d in days]),
            charts.Series("接口调用", [by_day[d].calls if d in by_day else 0 for d in days]),
        ],
        "次",
        first_column="日期",
    )


def _counties(version: Version) -> maps.Choropleth | None:
    """Rows by county, where a column holds division codes of this city."""
    known = {c.code for c in maps.counties()[0]}
    for column in version.columns:
        values = (version.profile.get(column["name"]) or {}).get("values") or []
        if column.get("domain") not in ("region", "towns", "villages") or not values:
            continue
        counted: dict[str, int] = {}
        for value, n in values:
            counted[value[:6]] = counted.get(value[:6], 0) + n
        if len(known & set(counted)) >= 2:
            return maps.Choropleth(
                f"按{column['title']}统计", {k: n for k, n in counted.items() if k in known}, "条"
            )
    return None


def _points(version: Version) -> list[Point]:
    placed = maps.placed([(p[0], p[1]) for p in version.points])
    return [
        Point(round(x, 1), round(y, 1), str(p[2] or ""))
        for (x, y), p in zip(placed, version.points, strict=True)
    ]


def file_of(viewer: Actor, name: str, kind: str, key: Key | None) -> tuple[Opening, Version, Any]:
    """A version's file for a download; raises UserError where there is none for this visitor."""
    found = opening(viewer, name)
    version = found.current
    assert version is not None
    require_rows(found, key)
    if kind not in version.files:
        raise UserError("没有这种格式的文件；XLSX 文件在发布后稍候生成")
    return found, version, adapters.folder(found.name, version.number) / f"data.{kind}"


def require_rows(found: Opening, key: Key | None) -> None:
    """Raises UserError where a conditional opening is asked for without an allowed key."""
    if found.conditional and (key is None or found.name not in key.allowed):
        raise UserError("该数据集为有条件开放，请先在数据集页面提出使用申请，获准后用密钥访问")


def key_of(viewer: Actor, text: str) -> Key | None:
    """The key behind a visitor's text; raises UserError where it is not, or no longer, good."""
    if not text:
        return None
    found = Key.objects.filter(digest=rules.digest(text)).first()
    if found is None or found.stopped:
        raise UserError("密钥无效或已停用")
    return found


def rows_of(
    viewer: Actor, found: Opening, question: release.Question
) -> tuple[list[str], list[list[Any]], int | None]:
    """A page of an opening's rows; raises UserError for what it does not have."""
    version = found.current
    assert version is not None
    return adapters.ask(
        adapters.folder(found.name, version.number), version.types, question, version.rows
    )


def voice(viewer: Actor, code: str) -> Voice:
    """What a visitor sent in, by the code that was given for it; raises UserError for no such code."""
    found = Voice.objects.select_related("opening", "department", "case").filter(code=code).first()
    if found is None:
        raise UserError("没有这个查询码，请核对大小写")
    return found


def applications(viewer: Actor) -> QuerySet[Voice]:
    """What people made with the data, as far as it was reviewed."""
    return Voice.objects.filter(kind=rules.APPLICATION, shown=True).select_related("opening")


def answered(viewer: Actor) -> QuerySet[Voice]:
    """Requests of the public that were answered, with the answers."""
    return Voice.objects.filter(kind=rules.REQUEST, shown=True).select_related("department")


def departments(viewer: Actor) -> list[Party]:
    """Departments that a request may be addressed to."""
    return list(Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id"))


def newest(viewer: Actor, limit: int = 50) -> list[Opening]:
    """Openings for the feed, the last updated first."""
    return list(public().order_by("-updated_at")[:limit])


def everything(viewer: Actor) -> list[Opening]:
    """All openings of the site in a fixed order, for catalogues made by machines for machines."""
    return list(public().order_by("id"))


def openapi(viewer: Actor) -> dict[str, Any]:
    """OpenAPI 3.1 of the interface: each dataset that everybody may read with its own columns."""
    described = [
        document.Described(o.name, o.title, o.current.types)
        for o in everything(viewer)
        if o.current is not None and o.kind == "unconditional"
    ]
    return document.openapi(described, list(SORTS), int(settings()["limits"]["page"]))


def changed_at(viewer: Actor) -> tuple[int, str]:
    """What a cached catalogue hangs on: how many openings there are, and the sum of their versions."""
    row = public().aggregate(n=Count("id"), v=Sum("current__number"), last=Sum("current_id"))
    return int(row["n"] or 0), f"{row['v']}-{row['last']}"


def entry(viewer: Actor, found: Opening, base: str) -> dict[str, Any]:
    """An opening as `rules.standards` tells of it; `base` is the site's address."""
    version = found.current
    assert version is not None
    theme = themes().get(found.theme, settings()["other"])
    titles = [c["title"] for c in version.columns]
    return {
        "base": base,
        "city": packs.mapping("core", "city.yaml").get("name", ""),
        "name": found.name,
        "title": found.title,
        "summary": found.summary,
        "provider": {
            "slug": found.provider.slug or "",
            "name": found.provider.name,
            "short": found.provider.short or found.provider.name,
        },
        "theme": theme,
        "licence": licence(found.licence),
        "cycle": found.cycle,
        "conditional": found.conditional,
        "issued": _iso(found.opened_at),
        "modified": _iso(found.updated_at),
        "rows": version.rows,
        "version": version.number,
        "columns": version.columns,
        "files": version.files,
        "keywords": list(dict.fromkeys([theme["title"], *titles]))[:8],
    }


def _iso(at: dt.datetime | None) -> str:
    return timezone.localtime(at).isoformat(timespec="seconds") if at else ""


def bureau(viewer: Actor) -> dict[str, str]:
    """Who publishes the site."""
    party = case_bureau()
    return {"slug": party.slug or "", "name": party.name, "short": party.short or party.name}


def promises(viewer: Actor, openings: Iterable[Opening]) -> dict[int, rules.Promise]:
    """Whether each opening's update promise is kept, by its number."""
    now = timezone.now()
    return {o.pk: rules.promise(o.cycle, o.updated_at, now) for o in openings}


def correctable(viewer: Actor, found: Opening) -> list[str]:
    """The key by which a visitor can name a row of this opening; empty where it is not published."""
    version = found.current
    keys = [i.name for i in catalogue.items_of(found.resource) if i.key]
    if version is None or not keys or not set(keys) <= set(version.types):
        return []
    treated = {c["name"]: c["how"] for c in version.columns}
    return keys if all(treated[k] == "keep" for k in keys) else []
