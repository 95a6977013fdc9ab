"""Search: items found by what people type: everyday words, traditional characters, pinyin, codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from django.contrib.postgres.search import TrigramWordSimilarity
from django.db.models import BooleanField, IntegerField, QuerySet
from django.db.models.expressions import RawSQL

from lianyun.capabilities.catalogue.api import words
from lianyun.kernel import packs
from lianyun.kernel.access import Actor

from ..models import Listing
from ..rules import everyday
from ..rules.item import ENTITY, KINDS, PERSON

PAGE = 20
_HELD = '"items_listing"."search" @@ %s::tsquery'
_COLUMNS = (
    "code", "name", "department__slug", "department__name", "department__short", "kind",
    "promised_days", "legal_days", "visits", "online", "objects_served", "generated", "type",
)  # fmt: skip


_FIELDS = (
    "code", "name", "department", "department_name", "department_short", "kind",
    "promised_days", "legal_days", "visits", "online", "objects", "generated", "type",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One item in a list."""

    code: str
    name: str
    department: str
    department_name: str
    department_short: str
    kind: str
    promised_days: int
    legal_days: int
    visits: int
    online: bool
    objects: tuple[str, ...]
    generated: bool
    type: str

    @property
    def kind_title(self) -> str:
        """即办件 or 承诺件."""
        return KINDS.get(self.kind, self.kind)

    @property
    def time(self) -> str:
        """The promised time in words."""
        return f"{self.promised_days} 个工作日" if self.promised_days else "当场办结"


@dataclass(frozen=True)
class Narrow:
    """What a list of items is narrowed by; empty means everything."""

    audience: str = ""
    department: str = ""
    theme: str = ""
    life: str = ""
    reach: str = ""
    kind: str = ""
    online: str = ""

    @property
    def active(self) -> dict[str, str]:
        """The filters that are set."""
        return {k: v for k, v in vars(self).items() if v}


@dataclass(frozen=True)
class Found:
    """One page of items: lines, how many in all, whether they only resemble, what was understood."""

    lines: list[Line]
    total: int
    page: int = 1
    loose: bool = False
    also: tuple[str, ...] = field(default_factory=tuple)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // PAGE))


@cache
def synonyms() -> dict[str, list[str]]:
    """Everyday phrase → official words (packs' synonyms.yaml)."""
    return everyday.expanded([e for e in packs.lists("synonyms.yaml") if "say" in e], words.fold)


@cache
def fillers() -> tuple[str, ...]:
    """Words that say nothing about what is looked for (我想, 怎么办)."""
    return tuple(
        words.fold(str(w)) for e in packs.lists("synonyms.yaml") for w in e.get("fillers") or ()
    )


def public(viewer: Actor) -> QuerySet[Listing]:
    """The items that everybody may see and ask for."""
    return Listing.objects.filter(version__gt=0, retired_on=None)


def narrowed(rows: QuerySet[Listing], by: Narrow) -> QuerySet[Listing]:
    """The rows that fit the filters."""
    if by.audience in (PERSON, ENTITY):
        rows = rows.filter(objects_served__contains=[by.audience])
    if by.department:
        rows = rows.filter(department__slug=by.department)
    if by.theme:
        column = "entity_themes" if by.audience == ENTITY else "person_themes"
        rows = rows.filter(**{f"{column}__contains": [by.theme]})
    if by.life:
        rows = rows.filter(life__contains=[by.life])
    if by.reach:
        rows = rows.filter(reach__contains=[by.reach])
    if by.kind:
        rows = rows.filter(kind=by.kind)
    if by.online == "1":
        rows = rows.filter(online=True, visits=0)
    return rows


def lines(rows: QuerySet[Listing]) -> list[Line]:
    """Rows as lines, without their content."""
    out = []
    for row in rows.values_list(*_COLUMNS):
        told = dict(zip(_FIELDS, row, strict=True))
        told["objects"] = tuple(told["objects"])
        told["department"] = told["department"] or ""
        out.append(Line(**told))
    return out


def _held(query: str) -> RawSQL:
    return RawSQL(_HELD, [query], output_field=BooleanField())


def _ranked(rows: QuerySet[Listing], asked: everyday.Asked, folded: str) -> QuerySet[Listing]:
    """Best first: the words as written in the name, then as many of the words as stand in the name."""
    whole = RawSQL('(strpos("items_listing"."heading", %s) > 0)::int', [folded], IntegerField())
    pieces = list(dict.fromkeys([p for g in asked.groups for p in g] + words.pieces(asked.rest)))[
        :12
    ]
    each = '(strpos("items_listing"."heading", %s) > 0)::int'
    hits = RawSQL(" + ".join(["0", *[each] * len(pieces)]), pieces, IntegerField())
    return rows.annotate(whole=whole, hits=hits).order_by("-whole", "-hits", "-hot", "code")


def search(
    viewer: Actor, text: str = "", narrow: Narrow = Narrow(), page: int = 1, size: int = PAGE
) -> Found:
    """Items for what somebody typed and chose; without words all that fit, the most asked for first."""
    rows = narrowed(public(viewer), narrow)
    folded = words.fold(text)[:80]
    asked = everyday.understand(folded, synonyms(), fillers())
    also = tuple(dict.fromkeys(w for g in asked.groups for w in g[1:]))
    loose = False
    if not folded:
        rows = rows.order_by("-hot", "code")
    elif any(c.isdigit() for c in folded) and len(folded) >= 10 and folded.isascii():
        rows = rows.filter(implementing_code__icontains=folded).order_by("code")
    else:
        query = everyday.tsquery(asked, words.pieces)
        held = rows.filter(_held(query)) if query else rows.none()
        if not held.exists():
            loose = True
            some = everyday.tsquery(asked, words.pieces, every=False)
            held = rows.filter(_held(some)) if some else rows.none()
            if not held.exists():
                # Only what shares no word with any item is looked for by its likeness.
                near = TrigramWordSimilarity(folded, "heading")
                held = rows.annotate(near=near).filter(near__gt=0.3)
        rows = _ranked(held, asked, folded)
    total = rows.count()
    page = max(1, min(page, max(1, -(-total // size))))
    found = lines(rows[(page - 1) * size : page * size])
    return Found(found, total, page, loose and total > 0, also)
