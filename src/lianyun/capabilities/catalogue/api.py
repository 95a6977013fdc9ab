"""Api: what sibling capabilities may use of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor
from lianyun.kernel.element import ElementSpec
from lianyun.kernel.models import Element, Party, Resource

from . import queries
from .actions import (
    ImportReport,
    SyncReport,
    adopt_entry,
    declare_library,
    draft_resource,
    edit_resource,
    import_catalogue,
    new_version,
    origin_of,
    register_dataset,
    retire_entry,
    submit_entry,
    sync_declared,
    withdraw_resource,
)
from .actions import register_lineage as _register_lineage
from .adapters import workbook, yaml_text
from .models import Edge, Item
from .queries import Filters, Graph, Page, public_search, search
from .queries.overlaps import Pair, overlaps
from .rules import words

__all__ = [
    "Filters",
    "Graph",
    "ImportReport",
    "ItemSpec",
    "Page",
    "Pair",
    "SyncReport",
    "adopt_entry",
    "dataset_spec",
    "declare_library",
    "draft_resource",
    "edit_resource",
    "export_catalogue",
    "import_catalogue",
    "items_of",
    "lineage",
    "new_version",
    "origin_of",
    "overlaps",
    "public_departments",
    "public_entry",
    "public_search",
    "public_totals",
    "register_dataset",
    "register_lineage",
    "resource_of",
    "retire_entry",
    "search",
    "submit_entry",
    "sync_declared",
    "visible",
    "withdraw_resource",
    "words",
]


@dataclass(frozen=True)
class ItemSpec:
    """One item of a dataset: a column, with the element from which its checks are made.

    `spec` is the data element under the item's own name and title; an item without an element has
    one made from its own type and format.
    """

    position: int
    name: str
    title: str
    element: str
    type: str
    format: str
    required: bool
    key: bool
    note: str
    spec: ElementSpec


def _specs(rows: Iterable[Item]) -> list[ItemSpec]:
    listed = list(rows)
    known = {
        e.code: e.spec
        for e in Element.objects.filter(code__in={i.element for i in listed if i.element})
    }
    out = []
    for i in listed:
        e = known.get(i.element)
        spec = ElementSpec(
            code=i.name,
            title=i.title,
            type=i.type,
            format=i.format,
            domain=e.domain if e else None,
            check=e.check if e else None,
            mask=e.mask if e else "none",
            personal=e.personal if e else False,
            sensitive=e.sensitive if e else False,
            unit=e.unit if e else "",
            definition=e.definition if e else "",
            identifier=e.identifier if e else "",
        )
        out.append(
            ItemSpec(
                i.position,
                i.name,
                i.title,
                i.element,
                i.type,
                i.format,
                i.required,
                i.key,
                i.note,
                spec,
            )
        )
    return out


def items_of(resource: Resource) -> list[ItemSpec]:
    """The items of a resource in their order; two queries."""
    return _specs(Item.objects.filter(resource=resource).order_by("position"))


def resource_of(name: str, *, viewer: Actor = SYSTEM) -> Resource:
    """A catalogued resource by its name or code; raises UserError where the viewer has none such."""
    return queries.look_up(viewer, name)


def visible(viewer: Actor) -> Any:
    """A queryset of the resources that this viewer may know of."""
    return queries.visible(viewer)


def dataset_spec(resource: Resource) -> dict[str, Any]:
    """A dataset in the shape of packs/*/datasets/*.yaml, whether declared by a pack or registered.

    Keys: name, title, provider, class, serial, code, summary, format, share, open, cycle, level,
    key, contract, items (name, title, element, type, format, required, key, note), rules.
    """
    row = resource if hasattr(resource, "entry") else Resource.objects.get(pk=resource.pk)
    content = queries.contents(SYSTEM, [row])[0]
    return {
        **content,
        "open": {**content["open"], "open": content["open"]["type"] > 0},
        "serial": row.data.get("serial", ""),
        "key": row.data.get("key", []),
        "contract": row.data.get("contract", "evolve"),
        "rules": row.data.get("rules", []),
    }


def register_lineage(
    *, origin: str, edges: Iterable[tuple[str, str, str, str, str]], by: Actor = SYSTEM
) -> int:
    """Tell where data come from; replaces what the same `origin` told before, returns the count.

    An edge is (source ref, source title, target ref, target title, note), e.g.
    ("source:ga_db.residents", "公安户政库", "dataset:ga_residents", "户籍人口信息", "每日全量").
    Nothing is written where nothing changed.
    """
    wanted = list(edges)
    have = set(
        Edge.objects.filter(origin=origin).values_list(
            "source", "source_title", "target", "target_title", "note"
        )
    )
    if have == {(s, st[:300], t, tt[:300], n[:500]) for s, st, t, tt, n in wanted}:
        return len(have)
    return _register_lineage(origin=origin, edges=wanted, by=by)


def lineage(viewer: Actor, ref: str, title: str = "") -> Graph:
    """The lineage around a ref such as `library:population`: nodes with their places, and links."""
    return queries.lineage(viewer, ref, title)


def public_entry(name: str) -> dict[str, Any]:
    """One entry as the portal shows it to anybody: content, provider, class path, item titles.

    Raises UserError where it is not public.
    """
    found = queries.detail(ANONYMOUS, name)
    return {
        "resource": found.resource,
        "content": found.content,
        "provider": found.resource.owner,
        "classes": found.category_path,
        "items": found.items,
        "versions": [(v.number, v.at) for v in found.versions],
    }


def public_totals() -> dict[str, Any]:
    """Counts for the portal's home: resources, items, departments, by share type and class."""
    return queries.overview(ANONYMOUS)


def public_departments() -> list[tuple[Party, int]]:
    """Departments with how many public entries each has, the largest first; none are left out."""
    counts = {row["owner__slug"]: row["n"] for row in queries.overview(ANONYMOUS)["table"]}
    parties = Party.objects.filter(kind=Party.DEPARTMENT, active=True)
    return sorted(((p, counts.get(p.slug, 0)) for p in parties), key=lambda e: (-e[1], e[0].pk))


def export_catalogue(*, viewer: Actor, filters: Filters | None = None, form: str = "xlsx") -> bytes:
    """The visible catalogue as a file that an import reads: `xlsx` or `yaml`."""
    entries = queries.export_entries(viewer, filters)
    if form == "yaml":
        return yaml_text(entries)
    parties = Party.objects.filter(kind=Party.DEPARTMENT)
    return workbook(entries, {p.slug or "": (p.code or "", p.name) for p in parties})
