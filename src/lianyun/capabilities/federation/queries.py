"""Queries: tables that can be asked at call time, their columns, the services made of them, their health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils import timezone

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import bureau
from lianyun.kernel.models import Event, Grant, Party, Resource
from lianyun.lake.land import match_columns

from . import adapters, rules


@dataclass(frozen=True)
class Table:
    """A table that a federated service can ask: `ref` is ``source:<name>`` or ``served:<library>``."""

    ref: str
    title: str
    owner: str
    resource: Resource
    kind: str

    @property
    def forbidden(self) -> bool:
        """Whether the law keeps it from being shared."""
        share = self.resource.terms.get("share") or {}
        return int(share.get("type") or 0) == rules.FORBIDDEN


def tables(viewer: Actor) -> list[Table]:
    """What the viewer may draw on: database sources of its departments; libraries for the bureau."""
    viewer.require("federation.design")
    scope = viewer.departments("federation.design")
    out = [
        Table(f"source:{s.name}", s.resource.title, str(s.resource.owner), s.resource, "部门数据库")
        for s in collection.databases(viewer)
        if scope is None or s.resource.owner_id in scope
    ]
    if scope is None:
        libraries = Resource.objects.filter(kind=Resource.LIBRARY, state=Resource.PUBLISHED)
        for found in libraries.exclude(data__has_key="federated").select_related("owner"):
            out.append(
                Table(f"served:{found.name}", found.title, str(found.owner), found, "中心库")
            )
    return [t for t in out if not t.forbidden]


def chosen(viewer: Actor, refs: list[str]) -> list[Table]:
    """The tables with these refs, in this order; raises UserError where one may not be used."""
    known = {t.ref: t for t in tables(viewer)}
    if missing := [r for r in refs if r not in known]:
        raise UserError(f"不能使用这些表：{'、'.join(missing)}")
    return [known[r] for r in dict.fromkeys(refs)]


def columns(viewer: Actor, table: Table) -> list[rules.Column]:
    """A table's columns that the catalogue knows, with what it says of them. Raises UserError.

    A department's table is asked for its columns; they are matched by name, title or alias as when
    it is collected.
    """
    fields = {f.name: f for f in services.fields(viewer, table.resource)}
    keys = set(services.key_of(viewer, table.resource))
    if table.kind == "中心库":
        places = {name: name for name in fields}
    else:
        source, url = collection.reach(table.ref.partition(":")[2], viewer)
        have = adapters.columns(source.ref, table.title, url, str(source.options["table"]))
        items = collection.dataset_spec(table.resource).items
        places = {name: have[at] for at, name in match_columns(have, items).items()}
    return [
        rules.Column(
            f.name, f.title, places[f.name], f.check, f.element, f.type, f.name in keys,
            f.personal, f.mask,
        )
        for f in fields.values()
        if f.name in places
    ]  # fmt: skip


def provider_of(tables: Sequence[Table]) -> Party:
    """Who answers for a service over these tables: the department that owns them all, else the bureau."""
    owners = {t.resource.owner_id: t.resource.owner for t in tables}
    return next(iter(owners.values())) if len(owners) == 1 else bureau()


def consent(
    viewer: Actor, provider: Party, resource: Resource, items: Sequence[str] = ()
) -> Grant | None:
    """The newest grant in force by which a resource's owner lets `provider` give these items of it by
    federated query; None where there is none."""
    now = timezone.now()
    rows = Grant.objects.filter(
        kind="data", grantee=provider, resource=resource, state=Grant.ACTIVE, valid_from__lte=now
    ).filter(Q(valid_to=None) | Q(valid_to__gt=now))
    return next(
        (
            g
            for g in rows.order_by("-id")
            if "federated" in services.operations_of(g.terms)
            and set(items) <= set(g.terms.get("fields") or ())
        ),
        None,
    )


def others(provider: Party, tables: Sequence[Table]) -> list[tuple[int, Table]]:
    """The tables, with their numbers, whose owner is not the provider: each of them must consent."""
    return [(n, t) for n, t in enumerate(tables) if t.resource.owner_id != provider.pk]


def unconsented(
    viewer: Actor, provider: Party, drawing: rules.Drawing, tables: Sequence[Table]
) -> list[str]:
    """Which providers have not consented to what a drawing asks of them, in Chinese."""
    out = []
    for number, table in others(provider, tables):
        items = rules.asked_of(drawing, number)
        if consent(viewer, provider, table.resource, items) is None:
            titles = {f.name: f.title for f in services.fields(viewer, table.resource)}
            listed = "、".join(titles.get(i, i) for i in items)
            out.append(f"{table.owner}尚未同意提供“{table.title}”的{listed}用于联邦查询")
    return out


@dataclass(frozen=True)
class Agreed:
    """Whether one provider has consented: whose table, and the grant if there is one."""

    name: str
    title: str
    grant: Grant | None


def agreed(viewer: Actor, tables: Sequence[Table]) -> list[Agreed]:
    """How the consents for these tables stand, before anything is chosen of them."""
    provider = provider_of(tables)
    return [
        Agreed(t.resource.name, f"{t.owner}·{t.title}", consent(viewer, provider, t.resource))
        for _, t in others(provider, tables)
    ]


def agreed_for(viewer: Actor, resource: Resource, service: services.Service) -> list[Agreed]:
    """How the consents that a service rests on stand now."""
    viewer.require("federation.read")
    wanted = service.design.get("consents", ())
    known = Resource.objects.in_bulk([c["resource"] for c in wanted])
    return [
        Agreed(
            known[c["resource"]].name,
            c["title"],
            consent(viewer, resource.owner, known[c["resource"]], c["fields"]),
        )
        for c in wanted
    ]


@dataclass(frozen=True)
class Standing:
    """How a source stands by the ledger: when it last failed or came back."""

    well: bool
    words: str
    since: Any = None


def standing(viewer: Actor, ref: str) -> Standing:
    """The last word about a source: answers, or does not since when and why."""
    viewer.require("federation.read")
    last = (
        Event.objects.filter(subject=ref, kind__in=("source.unreachable", "source.recovered"))
        .order_by("-id")
        .first()
    )
    if last is None or last.kind == "source.recovered":
        return Standing(True, "正常", last.at if last else None)
    return Standing(False, f"不可用：{last.data.get('reason') or '连不上'}", last.at)


@dataclass(frozen=True)
class Made:
    """A federated service with the state of each of its parts."""

    resource: Resource
    service: services.Service
    parts: list[tuple[str, str, Standing]]

    @property
    def title(self) -> str:
        """Its name."""
        return self.resource.title

    @property
    def name(self) -> str:
        """Its identifier."""
        return self.resource.name

    @property
    def owner(self) -> str:
        """Who answers for it."""
        return str(self.resource.owner)

    @property
    def down(self) -> int:
        """How many of its sources do not answer."""
        return sum(not s.well for _, _, s in self.parts)


def made(viewer: Actor) -> list[Made]:
    """All federated services that the viewer may see."""
    viewer.require("federation.read")
    scope = viewer.departments("federation.read")
    rows = Resource.objects.filter(kind=Resource.LIBRARY, data__has_key="federated")
    if scope is not None:
        rows = rows.filter(owner_id__in=scope)
    out = []
    for resource in rows.select_related("owner").order_by("-changed_at"):
        for service in services.services_of(viewer, resource):
            parts = [
                (
                    str(p["title"]),
                    "中心库" if p["place"].startswith("served:") else "部门数据库",
                    standing(viewer, p["place"]),
                )
                for p in service.design.get("parts", ())
            ]
            out.append(Made(resource, service, parts))
    return out


def one(viewer: Actor, name: str) -> Made | None:
    """The federated service with this identifier."""
    return next((m for m in made(viewer) if m.name == name), None)


def next_serial(viewer: Actor) -> str:
    """A serial number for a new logical library."""
    count = Resource.objects.filter(kind=Resource.LIBRARY, data__has_key="federated").count()
    return f"L{count + 1:05d}"
