"""Public: the hall's home, an item's page, departments' storefronts, towns and villages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Count, Q

from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Party

from ..models import ItemVersion, Listing
from ..rules import narrow as narrowing
from ..rules.item import ENTITY, PERSON, Item
from .around import already, holds, names_of, parsed, windows
from .search import Line, Narrow, lines, narrowed, public

HOT = 10
ICONS = {
    "出生": "heart", "上学": "cap", "就业": "briefcase", "结婚": "heart", "生育": "heart",
    "购房": "home", "购车": "bus", "就医": "pulse", "参保": "shield", "退休": "elder",
    "助残": "users", "养老": "elder", "身后": "leaf", "开办企业": "building", "准入准营": "check",
    "工程建设": "layers", "纳税缴费": "scale", "招工用人": "users", "经营变更": "refresh",
    "获得融资": "chart", "获得用水用电用气": "pulse", "知识产权": "book", "注销退出": "logout",
    "生育收养": "heart", "户籍办理": "home", "教育科研": "cap", "就业创业": "briefcase",
    "职业资格": "card", "婚姻登记": "heart", "住房保障": "home", "社会保障": "shield",
    "社会救助": "users", "证件办理": "card", "交通出行": "bus", "医疗卫生": "pulse",
    "离职退休": "elder", "司法公证": "scale", "公用事业": "pulse", "死亡殡葬": "leaf",
    "准营准办": "check", "设立变更": "building", "交通运输": "bus", "环保绿化": "leaf",
    "税收财务": "scale", "人力资源": "users", "农林牧渔": "leaf", "科技创新": "target",
}  # fmt: skip


def find(viewer: Actor, code: str, version: int | None = None) -> Item | None:
    """The item as published (or as it stood in `version`); None where nothing is asked for any more."""
    if version is not None:
        with connection.cursor() as cursor:
            cursor.execute(_OWNER, [code, version])
            owner = cursor.fetchone()
        if owner is None:
            return None
        if (known := already(code, version, "kept", *owner)) is not None:
            return replace(known, version=version)
        rows = ItemVersion.objects.filter(listing__code=code, number=version)
        kept = rows.select_related("listing__department").get()
        found = parsed(code, version, "kept", kept.content, kept.listing.department)
        return replace(found, version=version)
    with connection.cursor() as cursor:
        cursor.execute(_STAMP, [code])
        told = cursor.fetchone()
    if told is None:
        return None
    # What was read of this very version is not read again: its content is some ten kilobytes.
    known = already(code, told[0], str(told[1]), told[2], told[3])
    if known is not None:
        return replace(known, version=told[0])
    row = public(viewer).select_related("department").filter(code=code).first()
    return None if row is None else _item(row)


_OWNER = (
    "SELECT d.code, d.name FROM items_itemversion v JOIN items_listing l ON l.id = v.listing_id"
    " JOIN kernel_party d ON d.id = l.department_id WHERE l.code = %s AND v.number = %s"
)
_STAMP = (
    "SELECT l.version, l.changed_at, d.code, d.name FROM items_listing l"
    " JOIN kernel_party d ON d.id = l.department_id"
    " WHERE l.code = %s AND l.version > 0 AND l.retired_on IS NULL"
)
"""As `public` says."""


def _item(row: Listing) -> Item:
    assert row.content is not None
    found = parsed(row.code, row.version, str(row.changed_at), row.content, row.department)
    return replace(found, version=row.version)


@dataclass(frozen=True)
class Tile:
    """One theme or life event with the number of its items."""

    code: str
    name: str
    count: int

    @property
    def icon(self) -> str:
        """The icon that tells it apart."""
        return ICONS.get(self.name, "folder")


@dataclass(frozen=True)
class Home:
    """The hall's home: counts, themes and life events of persons and of firms, what is asked most."""

    total: int
    online: int
    instant: int
    none_to_visit: int
    hot: list[Line]
    themes: list[Tile]
    life: list[Tile]
    departments: list[tuple[Party, int]]
    audience: str


def _counts(column: str, audience: str) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT x, count(*) FROM items_listing, unnest({column}) AS x"
            " WHERE version > 0 AND retired_on IS NULL AND objects_served @> %s::varchar[] GROUP BY x",
            [[audience]],
        )
        return dict(cursor.fetchall())


def _tiles(code_list: str, counts: Mapping[str, int]) -> list[Tile]:
    return [
        Tile(code, name, counts[code])
        for code, name in names_of(code_list).items()
        if counts.get(code)
    ]


def home(viewer: Actor, audience: str = PERSON) -> Home:
    """What the hall's home shows to persons or to firms."""
    audience = ENTITY if audience == ENTITY else PERSON
    rows = public(viewer)
    totals = rows.aggregate(
        total=Count("pk"),
        online=Count("pk", filter=Q(online=True)),
        instant=Count("pk", filter=Q(kind="instant")),
        none=Count("pk", filter=Q(visits=0)),
    )
    column = "entity_themes" if audience == ENTITY else "person_themes"
    theme_list = "entity_theme" if audience == ENTITY else "person_theme"
    life = _tiles("life_event", _counts("life", audience))
    return Home(
        totals["total"],
        totals["online"],
        totals["instant"],
        totals["none"],
        lines(narrowed(rows, Narrow(audience=audience)).order_by("-hot", "code")[:HOT]),
        _tiles(theme_list, _counts(column, audience)),
        [t for t in life if (t.code >= "50") == (audience == ENTITY)],
        storefronts(viewer),
        audience,
    )


def storefronts(viewer: Actor) -> list[tuple[Party, int]]:
    """Departments that handle items, with how many, the most first."""
    counts = dict(
        public(viewer)
        .values_list("department")
        .annotate(n=Count("pk"))
        .values_list("department", "n")
    )
    found = Party.objects.filter(pk__in=counts)
    return sorted(((p, counts[p.pk]) for p in found), key=lambda e: (-e[1], e[0].pk))


@dataclass(frozen=True)
class Storefront:
    """A department's shop window 旗舰店: who it is, where, and its items for persons and for firms."""

    department: Party
    window: Mapping[str, Any]
    persons: list[Line]
    entities: list[Line]
    hot: list[Line]
    total: int


LIMIT = 200


def storefront(viewer: Actor, slug: str) -> Storefront:
    """One department's storefront; raises UserError where there is none."""
    party = Party.objects.filter(kind=Party.DEPARTMENT, slug=slug).first()
    if party is None:
        raise UserError("没有这个部门")
    rows = public(viewer).filter(department=party).order_by("-hot", "code")
    everything = lines(rows[:LIMIT])
    told = windows()
    return Storefront(
        party,
        {**told.get("default", {}), **told.get(slug, {})},
        [x for x in everything if PERSON in x.objects],
        [x for x in everything if ENTITY in x.objects],
        everything[:6],
        rows.count(),
    )


@dataclass(frozen=True)
class ItemPage:
    """An item's page: the item, the questions left, what these answers ask for."""

    item: Item
    given: dict[str, str]
    asked: tuple[Any, ...]
    notice: narrowing.Notice
    names: Mapping[str, str]
    related: list[Line]


def item_page(viewer: Actor, code: str, answers: Mapping[str, Any]) -> ItemPage:
    """What the page of an item shows for these answers; raises UserError where it is not asked for."""
    item = find(viewer, code)
    if item is None:
        gone = Listing.objects.filter(code=code).exclude(retired_on=None).first()
        if gone is not None:
            raise UserError(f"“{gone.name}”已停办：{gone.retired_why}")
        raise UserError("没有这个事项")
    given = narrowing.cleaned(item, answers, holds)
    slugs = {item.department, *item.joint, *(m.issuer for m in item.materials if m.issuer)}
    names = {
        slug or "": name
        for slug, name in Party.objects.filter(kind=Party.DEPARTMENT, slug__in=slugs).values_list(
            "slug", "name"
        )
    }
    kin = Q(pk=None)
    if item.person_themes:
        kin |= Q(person_themes__overlap=list(item.person_themes))
    if item.entity_themes:
        kin |= Q(entity_themes__overlap=list(item.entity_themes))
    near = public(viewer).filter(kin).exclude(code=code).order_by("-hot", "code")[:5]
    return ItemPage(
        item,
        given,
        narrowing.asked(item, given, holds),
        narrowing.notice(item, given, holds),
        names,
        lines(near),
    )


@dataclass(frozen=True)
class Town:
    """A town or street with its villages."""

    code: str
    name: str
    villages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class County:
    """A county with its towns."""

    code: str
    name: str
    towns: tuple[Town, ...]

    @property
    def villages(self) -> int:
        """How many villages its towns have."""
        return sum(len(t.villages) for t in self.towns)


@cache
def counties() -> tuple[County, ...]:
    """The city's counties, towns and villages as core's divisions list them."""
    city = str(packs.mapping("core", "city.yaml").get("division", ""))[:4]
    names = {
        row["code"]: row["name"]
        for row in packs.table("core", "codes/divisions.csv")
        if not row.get("valid_to")
    }
    villages: dict[str, list[tuple[str, str]]] = {}
    for row in packs.table("core", "codes/villages.csv"):
        villages.setdefault(row["code"][:9], []).append((row["code"], row["name"]))
    towns: dict[str, list[Town]] = {}
    for row in packs.table("core", "codes/towns.csv"):
        code = row["code"]
        if code.startswith(city):
            towns.setdefault(code[:6], []).append(
                Town(code, row["name"], tuple(villages.get(code[:9], ())))
            )
    return tuple(
        County(code, names.get(code, code), tuple(found)) for code, found in sorted(towns.items())
    )


def towns(viewer: Actor) -> tuple[County, ...]:
    """Counties, towns and villages; they are public."""
    return counties()


@dataclass(frozen=True)
class Coverage:
    """How far the hall reaches: items that may be asked for at towns and at villages."""

    town: int
    village: int
    town_lines: list[Line]
    village_lines: list[Line]


def coverage(viewer: Actor) -> Coverage:
    """Counts and the most asked items of towns and villages."""
    rows = public(viewer)
    town, village = rows.filter(reach__contains=["town"]), rows.filter(reach__contains=["village"])
    return Coverage(
        town.count(),
        village.count(),
        lines(town.order_by("-hot", "code")[:60]),
        lines(village.order_by("-hot", "code")[:60]),
    )
