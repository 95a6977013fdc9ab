"""Sources: registered places of departments' data, and who may run and edit them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from lianyun.kernel import case as kernel_case
from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.kernel.models import Batch, Party, Resource

from .. import adapters
from ..models import Source

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


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


def department_run(slug: str, viewer: Actor) -> Party:
    """A department for which the viewer may register datasets; raises UserError."""
    found = departments_run(viewer).filter(slug=slug).first()
    if found is None:
        raise UserError("您不能为这个部门登记数据集")
    return found
