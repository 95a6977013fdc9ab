"""Standards: data elements, code lists with their dates, classes, and the overview of departments."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Code, CodeList, Element, Party, Resource

from ..models import CatalogueClass, Item
from ..rules.entries import LEVELS, OPEN, SHARE
from .entries import ItemRow, item_rows, visible


def class_options(viewer: Actor) -> list[CatalogueClass]:
    """The classes that an entry may choose: 目 and 细目, with their parents at hand."""
    return list(
        CatalogueClass.objects.filter(level__in=[CatalogueClass.ORDER, CatalogueClass.DETAIL])
        .select_related("parent__parent__parent")
        .order_by("code")
    )


@dataclass(frozen=True)
class Listing:
    """One page of a plain list."""

    rows: list[Any]
    total: int
    page: int
    size: int

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(-(-self.total // self.size), 1)


def _page(rows: QuerySet[Any], page: int, size: int) -> Listing:
    total = rows.count()
    page = min(max(page, 1), max(-(-total // size), 1))
    return Listing(list(rows[(page - 1) * size : page * size]), total, page, size)


def elements(viewer: Actor) -> QuerySet[Element]:
    """All data elements; `used` counts the visible resources whose items are drawn from each."""
    uses = (
        Item.objects.filter(element=OuterRef("code"), resource__in=visible(viewer).values("pk"))
        .order_by()
        .values("element")
        .annotate(n=Count("resource", distinct=True))
        .values("n")
    )
    return Element.objects.annotate(used=Coalesce(Subquery(uses), 0))


def element_options(viewer: Actor) -> list[tuple[str, str]]:
    """(code, title) of every data element, for a form's choices."""
    return list(Element.objects.order_by("title").values_list("code", "title"))


def filled_item(viewer: Actor, item: dict[str, Any]) -> ItemRow:
    """A grid row in which what is empty is taken from the chosen data element."""
    found = Element.objects.filter(code=item.get("element", "")).first()
    content = {
        **item,
        "required": item.get("required") == "1",
        "key": item.get("key") == "1",
    }
    if found is not None:
        content["title"] = item.get("title") or found.title
        content["name"] = item.get("name") or found.code
        content["type"], content["format"] = found.type, found.format
    return item_rows(viewer, [content])[0]


def own_departments(viewer: Actor) -> list[Party]:
    """Departments for which the viewer may draw up entries, the own one first."""
    scope = viewer.departments("catalogue.edit")
    rows = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")
    if scope is not None:
        rows = rows.filter(pk__in=scope)
    home = viewer.department.pk if viewer.department else None
    return sorted(rows, key=lambda p: p.pk != home)


def element(viewer: Actor, code: str) -> dict[str, Any]:
    """One data element, its code list, and the visible resources whose items use it."""
    found = Element.objects.filter(code=code).first()
    if found is None:
        raise UserError(f"没有名为“{code}”的数据元")
    used = (
        Item.objects.filter(element=code, resource__in=visible(viewer).values("pk"))
        .select_related("resource__owner")
        .order_by("resource__code")
    )
    return {
        "element": found,
        "code_list": CodeList.objects.filter(name=found.domain).first() if found.domain else None,
        "uses": list(used[:200]),
        "use_count": used.count(),
    }


def code_lists(viewer: Actor, text: str = "") -> list[Any]:
    """Code lists with how many codes they hold and how many elements use them."""
    rows = CodeList.objects.annotate(
        n=Count("codes"), retired=Count("codes", filter=Q(codes__valid_to__lt=timezone.localdate()))
    )
    if text:
        rows = rows.filter(
            Q(title__icontains=text) | Q(name__icontains=text) | Q(source__icontains=text)
        )
    used = dict(Element.objects.exclude(domain="").values_list("domain").annotate(n=Count("pk")))
    out: list[Any] = list(rows.order_by("name"))
    for row in out:
        row.used = used.get(row.name, 0)
    return out


def _valid(rows: QuerySet[Code], day: dt.date) -> QuerySet[Code]:
    return rows.exclude(valid_from__gt=day).exclude(valid_to__lt=day)


def code_list(
    viewer: Actor,
    name: str,
    *,
    day: dt.date | None = None,
    since: dt.date | None = None,
    text: str = "",
    page: int = 1,
    size: int = 50,
) -> dict[str, Any]:
    """One code list as it stood on `day` (today), and what came and went since another day."""
    found = CodeList.objects.filter(name=name).first()
    if found is None:
        raise UserError(f"没有名为“{name}”的代码表")
    on = day or timezone.localdate()
    rows = _valid(found.codes.all(), on)
    if text:
        rows = rows.filter(Q(code__startswith=text) | Q(name__icontains=text))
    out: dict[str, Any] = {
        "list": found,
        "day": on,
        "listing": _page(rows.order_by("code", "id"), page, size),
        "elements": list(Element.objects.filter(domain=name)),
        "changes": sorted(
            {
                d
                for pair in found.codes.values_list("valid_from", "valid_to")
                for d in pair
                if d is not None
            },
            reverse=True,
        ),
    }
    if since is not None:
        before = {c.code: c.name for c in _valid(found.codes.all(), since)}
        after = {c.code: c.name for c in _valid(found.codes.all(), on)}
        out["since"] = since
        out["added"] = sorted((c, n) for c, n in after.items() if c not in before)
        out["retired"] = sorted((c, n) for c, n in before.items() if c not in after)
        out["renamed"] = sorted(
            (c, before[c], n) for c, n in after.items() if c in before and before[c] != n
        )
    return out


def overview(viewer: Actor) -> dict[str, Any]:
    """Counts of the visible catalogue: by department, share type, open attribute, level and class."""
    rows = visible(viewer).order_by()
    totals = rows.aggregate(
        resources=Count("pk"),
        items=Sum("entry__item_count"),
        published=Count("pk", filter=Q(state=Resource.PUBLISHED)),
        departments=Count("owner", distinct=True),
    )
    share = dict(rows.values_list("entry__share_type").annotate(n=Count("pk")))
    opened = dict(rows.values_list("entry__open_type").annotate(n=Count("pk")))
    level = dict(rows.values_list("level").annotate(n=Count("pk")))
    cycle = dict(rows.values_list("entry__cycle").annotate(n=Count("pk")))
    classes: dict[str, int] = {}
    for code, n in rows.values_list("entry__category__code").annotate(n=Count("pk")):
        classes[code[:3]] = classes.get(code[:3], 0) + n
    names = dict(CatalogueClass.objects.filter(code__in=classes).values_list("code", "name"))
    table = list(
        rows.values("owner__slug", "owner__short", "owner__name")  # type: ignore[no-redef]
        .annotate(
            n=Count("pk"),
            items=Sum("entry__item_count"),
            published=Count("pk", filter=Q(state=Resource.PUBLISHED)),
            free=Count("pk", filter=Q(entry__share_type=1)),
            conditional=Count("pk", filter=Q(entry__share_type=2)),
            refused=Count("pk", filter=Q(entry__share_type=3)),
        )
        .order_by("-n", "owner__slug")
    )
    return {
        **{k: v or 0 for k, v in totals.items()},
        "share": [(SHARE[k], share.get(k, 0), k) for k in SHARE],
        "open": [(OPEN[k], opened.get(k, 0), k) for k in OPEN],
        "level": [(LEVELS[k], level.get(k, 0), k) for k in LEVELS],
        "cycle": sorted(cycle.items(), key=lambda e: -e[1]),
        "classes": [
            (c, names.get(c, c), n) for c, n in sorted(classes.items(), key=lambda e: -e[1])
        ],
        "table": table,
    }
