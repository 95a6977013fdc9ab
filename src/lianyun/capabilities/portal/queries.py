"""Queries: the public catalogue's figures, lists and entries, as any visitor may see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.items import api as items
from lianyun.kernel import packs
from lianyun.kernel.access import ANONYMOUS, Actor
from lianyun.ui.charts import Chart, one
from lianyun.ui.context import address_of
from lianyun.ui.maps import Choropleth, counties

from . import rules

if TYPE_CHECKING:
    from lianyun.kernel.models import Party, Resource

SHOWN = 6
SHARE = {"1": "无条件共享", "2": "有条件共享"}


@dataclass(frozen=True)
class Tile:
    """A door on the home page: a life event with its items, or a class of the catalogue."""

    name: str
    url: str
    icon: str
    told: str


@dataclass(frozen=True)
class Home:
    """What the home page shows: doors to what people come to do, then what the city publishes."""

    totals: dict[str, Any]
    hall: items.Home
    doors: list[Tile]
    tiles: list[Tile]
    departments: Chart
    shares: Chart
    towns: Choropleth
    latest: list[Resource]


@cache
def _towns() -> dict[str, int]:
    """Towns and streets in each county, from the core pack's divisions."""
    counted = {c.code: 0 for c in counties()[0]}
    for row in packs.table("core", "codes/towns.csv"):
        if not row.get("valid_to") and row["code"][:6] in counted:
            counted[row["code"][:6]] += 1
    return {code: n for code, n in counted.items() if n}


def _search_url(**params: str) -> str:
    return f"{address_of('portal:search')}?{urlencode(params)}"


def home(viewer: Actor) -> Home:
    """Figures, doors and charts of the home page; the same for every viewer."""
    totals = catalogue.public_totals()
    tiles = [
        Tile(rules.short_name(name), _search_url(category=code), rules.icon_of(code), f"{n} 条")
        for code, name, n in totals["classes"][:8]
    ]
    rows = totals["table"][:12]
    departments = one(
        "bar",
        "各部门公开目录",
        [(r["owner__short"] or r["owner__name"], r["n"]) for r in rows],
        "条",
        links=[_search_url(department=r["owner__slug"]) for r in rows],
        first_column="部门",
    )
    shares = one(
        "donut",
        "共享类型",
        [(title, n) for title, n, _ in totals["share"] if n],
        "条",
        first_column="类型",
    )
    latest = catalogue.search(_visitor(), catalogue.Filters(), sort="changed", size=SHOWN).rows
    towns = Choropleth("各区县乡镇（街道）数", _towns(), "个")
    return Home(totals, items.home(), _doors(), tiles, departments, shares, towns, latest)


def _doors() -> list[Tile]:
    """What most people come for, then what they hold and what the city opens."""
    persons, firms = items.home().life, items.home(items.ENTITY).life
    search = address_of("items:search")
    doors = [
        Tile(t.name, f"{search}?for={who}&life={t.code}", t.icon, f"{t.count} 项")
        for who, tiles, most in (("person", persons, 4), ("entity", firms, 1))
        for t in sorted(tiles, key=lambda t: -t.count)[:most]
    ]
    fixed = (
        ("我的办件", "hall:cases", "inbox", "查进度"),
        ("我的证照", "licences:wallet", "card", "亮证、授权"),
        ("数据开放", "open_data:home", "globe", "下载、调用"),
    )
    return doors + [Tile(t, address_of(n), i, told) for t, n, i, told in fixed if address_of(n)]


def matters(viewer: Actor, text: str) -> items.Found:
    """The items that somebody may mean who searches the portal with these words."""
    return items.search(text, viewer=viewer)


def _visitor() -> Actor:
    # The portal shows officers what it shows everybody: what they may see more stands in the
    # workbench.
    return ANONYMOUS


def found(
    viewer: Actor, text: str, *, department: str, category: str, share: str, page: int
) -> catalogue.Page:
    """A page of the public catalogue."""
    return catalogue.public_search(
        text, department=department, category=category, share=share, page=page
    )


def entry(viewer: Actor, name: str) -> dict[str, Any]:
    """One public entry; raises UserError where there is none."""
    return catalogue.public_entry(name)


def departments(viewer: Actor) -> list[tuple[Party, int]]:
    """All departments with their public entries, the largest first."""
    return catalogue.public_departments()


def classes(viewer: Actor) -> list[tuple[str, str]]:
    """The classes that have public entries, as (code, name)."""
    return [(code, name) for code, name, _ in sorted(catalogue.public_totals()["classes"])]
