"""Entry queries: lists, facets, search, one resource with its versions, the review desk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.contrib.postgres.search import TrigramWordSimilarity
from django.db.models import BooleanField, Count, F, IntegerField, Q, QuerySet, Window
from django.db.models.expressions import RawSQL

from lianyun.kernel.access import ANONYMOUS, Actor, UserError
from lianyun.kernel.case import work_items
from lianyun.kernel.element import TYPES, BadFormat, Format
from lianyun.kernel.models import Case, Element, Event, Grant, Party, Resource, WorkItem

from ..models import CatalogueClass, Import, Item
from ..rules import entries as rules
from ..rules import words
from ..rules.compare import Comparison, compare
from ..rules.entries import ElementFacts, Finding, World

FOUND_AT_ONCE = 20
SORTS = {
    "code": ("code",),
    "title": ("title",),
    "changed": ("-changed_at", "code"),
    "items": ("-entry__item_count", "code"),
}
_EDITORS = ("catalogue.edit", "catalogue.sign")
_UNTOLD = ("case.opened", "case.closed", "resource.settled")
_REVIEWERS = ("catalogue.review_register", "catalogue.review_publish")
_LEVEL_LENGTHS = (1, 3, 6, 8)
_HELD = '"kernel_resource"."search" @@ %s::tsquery'
_HEADING = '"catalogue_entry"."heading"'
_TEXT = '"catalogue_entry"."text"'


@lru_cache(maxsize=4096)
def _format_problem(text: str) -> str | None:
    try:
        Format.parse(text)
    except BadFormat as error:
        return str(error)
    return None


def world(viewer: Actor = ANONYMOUS) -> World:
    """What entries are checked against: classes, elements, departments, levels of resources.

    It holds no draft's content, so it is the same for every viewer.
    """
    parties = list(Party.objects.filter(kind=Party.DEPARTMENT, active=True))
    providers: dict[str, str] = {}
    for p in parties:
        for known in (p.slug, p.code, p.name, p.short):
            if known:
                providers[known] = p.slug or ""
    elements, names = {}, {}
    for e in Element.objects.all():
        identifying = e.sensitive or e.mask == "name" or e.check_kind == "citizen_number"
        elements[e.code] = ElementFacts(
            e.title, e.type, e.format, e.personal, e.domain, identifying
        )
        for known in (e.title, e.identifier, e.code):
            if known:
                names[known] = e.code
    return World(
        classes=dict(CatalogueClass.objects.values_list("code", "name")),
        elements=elements,
        departments={p.slug or "": p.name for p in parties},
        levels=dict(Resource.objects.filter(kind=Resource.DATASET).values_list("code", "level")),
        types=TYPES,
        providers=providers,
        element_names=names,
        format_problem=_format_problem,
    )


def _seen(viewer: Actor) -> Q:
    if viewer.everything:
        return Q()
    if not viewer.may("catalogue.read"):
        return Q(state=Resource.PUBLISHED, level__lt=4) & ~Q(entry__share_type=3)
    seen = Q(state=Resource.PUBLISHED)
    for permission in _EDITORS:
        scope = viewer.departments(permission)
        if scope is None:
            return Q()
        seen |= Q(owner_id__in=scope)
    if any(viewer.may(p) for p in _REVIEWERS):
        seen |= Q(
            state__in=[Resource.REGISTERING, Resource.REGISTERED, Resource.PUBLISHING],
        )
    return seen


def visible(viewer: Actor) -> QuerySet[Resource]:
    """Catalogued resources that this viewer may know of.

    Published ones for everybody who may read the catalogue; drafts and entries under review for
    their own department and the reviewers; a visitor sees published ones below level 4 that are
    not excluded from sharing.
    """
    return Resource.objects.filter(_seen(viewer), entry__isnull=False)


def may_see_draft(viewer: Actor, resource: Resource) -> bool:
    """Whether the copy in work of this resource is this viewer's business."""
    if any(viewer.may(p, resource.owner) for p in _EDITORS):
        return True
    return resource.entry.case_id is not None and any(viewer.may(p) for p in _REVIEWERS)


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed by; empty means everything."""

    q: str = ""
    department: str = ""
    category: str = ""
    share: str = ""
    opened: str = ""
    cycle: str = ""
    level: str = ""
    state: str = ""

    @property
    def active(self) -> dict[str, str]:
        """The filters that are set."""
        return {k: v for k, v in vars(self).items() if v}


def _narrow(rows: QuerySet[Resource], f: Filters) -> QuerySet[Resource]:
    if f.department:
        rows = rows.filter(owner__slug=f.department)
    if f.category:
        rows = rows.filter(entry__category__code__startswith=f.category)
    for value, column in (
        (f.share, "entry__share_type"),
        (f.opened, "entry__open_type"),
        (f.level, "level"),
    ):
        if value:
            rows = rows.filter(**{column: int(value)}) if value.isdigit() else rows.none()
    if f.cycle:
        rows = rows.filter(entry__cycle=f.cycle)
    if f.state:
        rows = rows.filter(state=f.state)
    return rows


def _matching(rows: QuerySet[Resource], text: str) -> QuerySet[Resource]:
    query = words.query(text)
    if query is None:
        return rows.none()
    return rows.filter(RawSQL(_HELD, [query], output_field=BooleanField()))


def _ranked(rows: QuerySet[Resource], text: str) -> QuerySet[Resource]:
    """Best first: the words as written in the name, then by where each stands in the entry's text.

    That text begins with the name, then code, department and class, then the items, so that an
    earlier place is a better match.
    """
    whole = RawSQL(f"(strpos({_HEADING}, %s) > 0)", [words.fold(text)], BooleanField())
    pieces = words.pieces(text)[:6]
    each = f"COALESCE(NULLIF(strpos({_TEXT}, %s), 0), 9999)"
    place = RawSQL(" + ".join([each] * len(pieces)), pieces, IntegerField())
    return rows.order_by(whole.desc(), place.asc(), "code")


def _similar(rows: QuerySet[Resource], text: str) -> QuerySet[Resource]:
    """Entries that hold the text as written, or some of its words, or a name that resembles it."""
    folded = words.fold(text)[:80]
    some = words.query(text, every=False) or "''"
    held = RawSQL(_HELD, [some], output_field=BooleanField())
    return rows.annotate(near=TrigramWordSimilarity(folded, "entry__heading")).filter(
        Q(entry__text__contains=folded) | Q(near__gt=0.34) | Q(held)
    )


def _likest(rows: QuerySet[Resource], text: str) -> QuerySet[Resource]:
    pieces = words.pieces(text)[:6]
    each = f"(strpos({_TEXT}, %s) > 0)::int"
    hits = RawSQL(" + ".join(["0", *[each] * len(pieces)]), pieces, IntegerField())
    return rows.order_by(hits.desc(), "-near", "code")  # type: ignore[misc]


@dataclass(frozen=True)
class Page:
    """One page of a list: rows, how many in all, and whether they only resemble what was asked."""

    rows: list[Resource]
    total: int
    page: int = 1
    size: int = FOUND_AT_ONCE
    loose: bool = False

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(-(-self.total // self.size), 1)


def _loose(viewer: Actor, text: str) -> bool:
    """Whether nothing at all holds every word of the text, so that resemblance must do."""
    if len(words.fold(text)) < 3:
        return False
    return not _matching(visible(viewer), text).exists()


def _found(rows: QuerySet[Resource], text: str, loose: bool) -> QuerySet[Resource]:
    """Those of the rows that the words find, unordered."""
    if not text.strip():
        return rows
    return _similar(rows, text) if loose else _matching(rows, text)


def _ordered(rows: QuerySet[Resource], text: str, loose: bool, sort: str) -> QuerySet[Resource]:
    if sort in SORTS:
        return rows.order_by(*SORTS[sort])
    if not text.strip():
        return rows.order_by("code")
    return _likest(rows, text) if loose else _ranked(rows, text)


def _slice(rows: QuerySet[Resource], page: int, size: int) -> tuple[list[int], int]:
    """Ids of one page and the number of all rows, in one narrow query."""
    start = (page - 1) * size
    # The join is needed even where no filter names it, because the order reads its text.
    counted = rows.filter(entry__isnull=False).annotate(total=Window(Count("pk")))
    got = list(counted.values_list("pk", "total")[start : start + size])
    if got or start == 0:
        return [pk for pk, _ in got], got[0][1] if got else 0
    return [], rows.order_by().count()


def search(
    viewer: Actor,
    filters: Filters | None = None,
    *,
    sort: str = "",
    page: int = 1,
    size: int = FOUND_AT_ONCE,
) -> Page:
    """A page of the catalogue, best matches first where words are given, else by code.

    婚姻 and 婚姻登記 both find; names, codes, items, departments, classes and pinyin initials match.
    """
    f = filters or Filters()
    base, loose, page = _narrow(visible(viewer), f), False, max(page, 1)
    ids, total = _slice(_ordered(_found(base, f.q, False), f.q, False, sort), page, size)
    if not total and f.q.strip() and _loose(viewer, f.q):
        loose = True
        ids, total = _slice(_ordered(_found(base, f.q, True), f.q, True, sort), page, size)
    last = max(-(-total // size), 1)
    if page > last:
        page = last
        ids, _ = _slice(_ordered(_found(base, f.q, loose), f.q, loose, sort), page, size)
    shown = (
        Resource.objects.filter(pk__in=ids)
        .annotate(brief=F("data__summary"))
        .select_related("owner", "entry__category")
        .defer("search", "entry__text", "entry__draft", "data")
    )
    by_id = {r.pk: r for r in shown}
    return Page([by_id[pk] for pk in ids if pk in by_id], total, page, size, loose)


def public_search(
    text: str = "",
    *,
    department: str = "",
    category: str = "",
    share: str = "",
    page: int = 1,
    size: int = FOUND_AT_ONCE,
    viewer: Actor = ANONYMOUS,
) -> Page:
    """What the portal shows anybody: published entries below level 4 that may be shared."""
    f = Filters(q=text, department=department, category=category, share=share)
    return search(viewer, f, page=page, size=size)


@dataclass(frozen=True)
class Choice:
    """One value of a facet and how many rows choosing it gives."""

    value: str
    label: str
    count: int
    chosen: bool = False


@dataclass(frozen=True)
class Facet:
    """One dimension with its values; `key` is the filter's name in the address."""

    key: str
    title: str
    choices: list[Choice]

    @property
    def chosen(self) -> Choice | None:
        """The value that is set, if any."""
        return next((c for c in self.choices if c.chosen), None)


_DIMENSIONS = {
    "category": "entry__category__code",
    "department": "owner__slug",
    "share": "entry__share_type",
    "opened": "entry__open_type",
    "cycle": "entry__cycle",
    "level": "level",
    "state": "state",
}


def facets(
    viewer: Actor, filters: Filters | None = None, *, loose: bool | None = None
) -> list[Facet]:
    """For each dimension the values and their counts under all other filters.

    A count is the length of the list that choosing the value gives. `loose` is what the search
    found out about its words; without it this asks for itself.
    """
    f = filters or Filters()
    if loose is None:
        loose = bool(f.q.strip()) and _loose(viewer, f.q)
    rows = _found(visible(viewer), f.q, loose).order_by().values_list(*_DIMENSIONS.values())
    chosen = [getattr(f, key) for key in _DIMENSIONS]
    counts: dict[str, dict[Any, int]] = {key: {} for key in _DIMENSIONS}
    for row in rows:
        # A row that fails one filter only counts in that filter's own dimension.
        fails = [
            at
            for at, wanted in enumerate(chosen)
            if wanted
            and not (str(row[at]).startswith(wanted) if at == 0 else str(row[at]) == wanted)
        ]
        if len(fails) > 1:
            continue
        for at, key in enumerate(_DIMENSIONS):
            if not fails or fails[0] == at:
                got = counts[key]
                got[row[at]] = got.get(row[at], 0) + 1
    shorts = dict(Party.objects.filter(kind=Party.DEPARTMENT).values_list("slug", "short"))
    largest = sorted(counts["department"].items(), key=lambda e: (-e[1], e[0]))
    named = {slug: shorts.get(slug, slug) for slug, _ in largest}
    if f.department and f.department not in named:
        named[f.department] = shorts.get(f.department, f.department)
    labels: dict[str, tuple[str, Mapping[Any, str]]] = {
        "department": ("提供部门", named),
        "share": ("共享类型", rules.SHARE),
        "opened": ("开放属性", rules.OPEN),
        "cycle": ("更新周期", {c: c for c in rules.CYCLES}),
        "level": ("安全分级", rules.LEVELS),
        "state": ("状态", dict(Resource.STATES)),
    }
    out = [_class_facet(counts["category"], f)]
    for key, (title, values) in labels.items():
        wanted = getattr(f, key)
        choices = [
            Choice(str(v), label, counts[key].get(v, 0), str(v) == wanted)
            for v, label in values.items()
            if counts[key].get(v) or str(v) == wanted
        ]
        out.append(Facet(key, title, choices))
    return out


def _class_facet(found: Mapping[str, int], f: Filters) -> Facet:
    """The chosen class's line of ancestors and its children, each with its count."""
    counts: dict[str, int] = {}
    for code, n in found.items():
        for length in _LEVEL_LENGTHS:
            if length <= len(code):
                counts[code[:length]] = counts.get(code[:length], 0) + n
    here = len(f.category)
    line = [f.category[:n] for n in _LEVEL_LENGTHS if n < here]
    if f.category:
        line.append(f.category)
    below = next((n for n in _LEVEL_LENGTHS if n > here), 0)
    shown = line + sorted(c for c in counts if len(c) == below and c.startswith(f.category))
    names = dict(CatalogueClass.objects.filter(code__in=shown).values_list("code", "name"))
    choices = [Choice(c, names.get(c, c), counts.get(c, 0), c == f.category) for c in shown]
    return Facet("category", "目录分类", choices)


def suggestions(viewer: Actor, text: str, limit: int = 8) -> list[Resource]:
    """Resources to offer while somebody types."""
    return search(viewer, Filters(q=text), size=limit).rows if text.strip() else []


def item_content(item: Item) -> dict[str, Any]:
    """An item as versions and files hold it."""
    return {
        "name": item.name,
        "title": item.title,
        "element": item.element,
        "type": item.type,
        "format": item.format,
        "required": item.required,
        "key": item.key,
        "note": item.note,
    }


def contents(viewer: Actor, resources: Iterable[Resource]) -> list[dict[str, Any]]:
    """The entries of several resources as plain content, two queries in all.

    The caller has chosen the resources among those the viewer may see.
    """
    chosen = list(resources)
    items: dict[int, list[dict[str, Any]]] = {r.pk: [] for r in chosen}
    for item in Item.objects.filter(resource__in=chosen).order_by("resource", "position"):
        items[item.resource_id].append(item_content(item))
    return [_content(r, items[r.pk]) for r in chosen]


def _content(r: Resource, items: list[dict[str, Any]]) -> dict[str, Any]:
    entry = r.entry
    share, opened = r.terms.get("share") or {}, r.terms.get("open") or {}
    return {
        "code": r.code,
        "name": r.name,
        "title": r.title,
        "provider": r.owner.slug,
        "summary": r.data.get("summary", ""),
        "class": entry.category.code,
        "format": entry.format,
        "share": {
            "type": entry.share_type,
            "conditions": share.get("conditions", ""),
            "basis": share.get("basis", ""),
            "method": share.get("method", ""),
        },
        "open": {"type": entry.open_type, "conditions": opened.get("conditions", "")},
        "cycle": entry.cycle,
        "level": r.level,
        "published_on": entry.published_on.isoformat() if entry.published_on else "",
        "related": r.data.get("related", []),
        "items": items,
    }


_WITH_ENTRY = ("owner", "entry__category", "entry__case")


def look_up(viewer: Actor, wanted: str) -> Resource:
    """A visible resource by its name (标识) or code; raises UserError where there is none."""
    rows = visible(viewer).select_related(*_WITH_ENTRY)
    found = rows.filter(Q(name=wanted) | Q(code=wanted)).first()
    if found is None:
        raise UserError(f"目录中没有“{wanted}”，或者您不能查看它")
    return found


def entry_for(viewer: Actor, resource: Resource) -> dict[str, Any]:
    """What the viewer may edit or review: the copy in work if there is one, else the entry itself."""
    if resource.entry.draft is not None and may_see_draft(viewer, resource):
        return dict(resource.entry.draft)
    return contents(viewer, [resource])[0]


def findings(viewer: Actor, content: Mapping[str, Any]) -> list[Finding]:
    """What the rules find wrong with an entry."""
    return rules.check(content, world(viewer))


@dataclass
class ItemRow:
    """An item with what its data element says."""

    content: dict[str, Any]
    element_title: str = ""
    domain: str = ""
    personal: bool = False
    sensitive: bool = False
    type_title: str = ""


@dataclass
class Detail:
    """Everything one resource page shows, and what this viewer may do with it."""

    resource: Resource
    content: dict[str, Any]
    items: list[ItemRow]
    versions: list[Any]
    category_path: list[CatalogueClass]
    related: list[Resource]
    draft: dict[str, Any] | None = None
    case: Case | None = None
    waiting: WorkItem | None = None
    returned: str = ""
    events: list[Event] = field(default_factory=list)
    may_edit: bool = False
    may_submit: bool = False
    may_revise: bool = False
    may_withdraw: bool = False
    own: bool = False


def item_rows(viewer: Actor, items: Iterable[Mapping[str, Any]]) -> list[ItemRow]:
    """Items with their elements' titles, domains and personal marks."""
    listed = [dict(i) for i in items]
    known = {
        e.code: e
        for e in Element.objects.filter(code__in=[i["element"] for i in listed if i["element"]])
    }
    out = []
    for item in listed:
        e = known.get(item["element"])
        out.append(
            ItemRow(
                item,
                e.title if e else "",
                e.domain if e else "",
                bool(e and e.personal),
                bool(e and e.sensitive),
                TYPES.get(item["type"], item["type"]),
            )
        )
    return out


def detail(viewer: Actor, wanted: str) -> Detail:
    """One resource for its page; raises UserError where the viewer may not know of it."""
    r = look_up(viewer, wanted)
    content = contents(viewer, [r])[0]
    inside = may_see_draft(viewer, r)
    codes = [r.entry.category.code[:n] for n in _LEVEL_LENGTHS if n < len(r.entry.category.code)]
    path = [*CatalogueClass.objects.filter(code__in=codes), r.entry.category]
    related = list(visible(viewer).filter(code__in=content["related"]))
    case = r.entry.case if inside else None
    running = case is not None and case.state != Case.CLOSED
    waiting = (
        case.items.filter(done_at=None).select_related("department").first()
        if case is not None and running
        else None
    )
    editor = viewer.may("catalogue.edit", r.owner)
    out = Detail(
        resource=r,
        content=content,
        items=item_rows(viewer, content["items"]),
        versions=list(r.versions.select_related("by")),
        category_path=path,
        related=related,
        draft=r.entry.draft if inside else None,
        case=case,
        waiting=waiting,
        own=viewer.department is not None and viewer.department.pk == r.owner_id,
    )
    if inside:
        reviews = Case.objects.filter(subject=r.ref, path__key="catalogue_entry")
        told = Q(subject=r.ref) | Q(case_id_ref__in=reviews.values("pk"))
        out.events = list(Event.objects.filter(told).exclude(kind__in=_UNTOLD).order_by("id")[:200])
        if case is not None and case.outcome == "returned":
            last = case.items.filter(outcome="return").order_by("-id").first()
            out.returned = f"{last.title}：{last.note}" if last else ""
    published = r.state == Resource.PUBLISHED
    free = editor and not running
    out.may_edit = free and (r.state == Resource.DRAFT or out.draft is not None)
    out.may_submit = out.may_edit
    out.may_revise = free and (published or r.state == Resource.WITHDRAWN) and out.draft is None
    out.may_withdraw = published and not running and viewer.may("catalogue.withdraw", r.owner)
    return out


def version(viewer: Actor, wanted: str, number: int) -> dict[str, Any]:
    """A published version's content; raises UserError where there is none."""
    r = look_up(viewer, wanted)
    found = r.versions.filter(number=number).first()
    if found is None:
        raise UserError(f"“{r.title}”没有第 {number} 版")
    return dict(found.snapshot)


def latest(viewer: Actor, resource: Resource) -> dict[str, Any] | None:
    """The newest published version's content, if the resource was ever published."""
    found = resource.versions.order_by("-number").first()
    return dict(found.snapshot) if found else None


@dataclass
class Review:
    """One work item of the review: the entry as submitted, what is wrong, what has changed."""

    item: WorkItem
    resource: Resource
    content: dict[str, Any]
    items: list[ItemRow]
    findings: list[Finding]
    changes: Comparison | None
    history: list[WorkItem]


def review_desk(viewer: Actor) -> list[tuple[WorkItem, Resource]]:
    """Open review steps that this viewer may do, the most urgent first, with their resources."""
    waiting = list(work_items(viewer).filter(case__path__key="catalogue_entry"))
    found = {
        r.entry.case_id: r
        for r in Resource.objects.filter(
            entry__case_id__in=[w.case_id for w in waiting]
        ).select_related("owner", "entry__category")
    }
    return [(w, found[w.case_id]) for w in waiting if w.case_id in found]


def review(viewer: Actor, number: int) -> Review:
    """One review step by its number; raises UserError where it is not the viewer's to do."""
    item = work_items(viewer).filter(pk=number, case__path__key="catalogue_entry").first()
    if item is None:
        raise UserError("这一审核环节已经办理，或者不由您办理；请回到审核列表查看")
    resource = Resource.objects.select_related(*_WITH_ENTRY).get(entry__case_id=item.case_id)
    content = dict(resource.entry.draft or contents(viewer, [resource])[0])
    before = latest(viewer, resource)
    return Review(
        item,
        resource,
        content,
        item_rows(viewer, content["items"]),
        rules.check(content, world(viewer)),
        compare(before, content) if before else None,
        list(item.case.items.exclude(done_at=None).select_related("by").order_by("id")),
    )


def under_way(viewer: Actor) -> list[tuple[WorkItem, Resource]]:
    """Entries of the viewer's departments that are in review, with the step they wait at."""
    scope = viewer.departments("catalogue.edit")
    sign = viewer.departments("catalogue.sign")
    rows = Resource.objects.filter(entry__case__state__in=[Case.OPEN, Case.SUSPENDED])
    if scope is not None and sign is not None:
        rows = rows.filter(owner_id__in=scope | sign)
    found = {
        r.entry.case_id: r
        for r in rows.select_related("owner", "entry__category")
        if r.entry.case_id is not None
    }
    waiting = (
        WorkItem.objects.filter(case_id__in=found, done_at=None)
        .select_related("case__path", "department")
        .order_by(F("due_on").asc(nulls_last=True), "id")
    )
    return [(w, found[w.case_id]) for w in waiting]


def place_of_case(viewer: Actor, code: str) -> tuple[int | None, str]:
    """For a review case: the step that is the viewer's to do (or None), and the resource's name."""
    item = work_items(viewer).filter(case__code=code, case__path__key="catalogue_entry").first()
    case = Case.objects.filter(code=code, path__key="catalogue_entry").first()
    if case is None:
        raise UserError(f"没有编号为 {code} 的目录办件")
    return (item.pk if item else None), case.subject.partition(":")[2]


def name_of(viewer: Actor, resource: Resource) -> str:
    """The name (标识) that a resource has now, after an edit may have changed it."""
    return visible(viewer).values_list("name", flat=True).get(pk=resource.pk)


def grants(viewer: Actor, resource: Resource) -> list[Grant]:
    """Rights given on a resource: all for its own department and the bureau, else the viewer's own."""
    rows = Grant.objects.filter(resource=resource).select_related("grantee")
    if not may_see_draft(viewer, resource) and not viewer.may("sharing.supervise"):
        mine = viewer.department.pk if viewer.department else None
        rows = rows.filter(grantee_id=mine)
    return list(rows.order_by("-id")[:100])


def matched_items(viewer: Actor, rows: Iterable[Resource], text: str) -> dict[int, list[str]]:
    """For each resource of a page the items whose titles hold one of the words looked for."""
    pieces = [p for p in words.pieces(text) if len(p) > 1 or len(words.fold(text)) == 1]
    if not pieces:
        return {}
    wanted = Q()
    for piece in pieces[:8]:
        wanted |= Q(title__contains=piece) | Q(name__startswith=piece)
    out: dict[int, list[str]] = {}
    found = Item.objects.filter(wanted, resource__in=list(rows)).order_by("position")
    for pk, title in found.values_list("resource_id", "title"):
        out.setdefault(pk, []).append(title)
    return out


def export_entries(viewer: Actor, filters: Filters | None = None) -> list[dict[str, Any]]:
    """The content of every entry of a list, in the order of codes."""
    f = filters or Filters()
    loose = bool(f.q.strip()) and _loose(viewer, f.q)
    rows = _found(_narrow(visible(viewer), f), f.q, loose)
    return contents(viewer, rows.select_related("owner", "entry__category").order_by("code"))


def imports(viewer: Actor, limit: int = 20) -> list[Import]:
    """Imports that this viewer may see: their department's own; the bureau's all."""
    scope = viewer.departments("catalogue.edit")
    rows = Import.objects.select_related("by", "department").defer("content", "report")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    return list(rows[:limit])


def import_of(viewer: Actor, code: str) -> Import:
    """One import by its code; raises UserError where the viewer may not see it."""
    scope = viewer.departments("catalogue.edit")
    rows = Import.objects.select_related("by", "department").defer("content")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    found = rows.filter(code=code).first()
    if found is None:
        raise UserError("没有这次导入，或者您不能查看它")
    return found
