"""Looking: what the sources of an application are, and what their answers make of each material."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.licences import api as licences
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Event, Grant, Party

from ..adapters import sources
from ..models import Application, MaterialState
from ..rules import asked as asking
from ..rules import grounds

GRANT = "hall"


@dataclass(frozen=True)
class Offered:
    """One source as the consent page lists it."""

    key: str
    title: str
    provider: str
    columns: tuple[str, ...]
    fills: tuple[str, ...]
    frees: tuple[str, ...]
    agreed: bool | None = None

    @property
    def purpose(self) -> str:
        """What it is asked for, in words."""
        return asking.purpose_of(self.fills, self.frees)


def materials_of(viewer: Actor, application: Application) -> tuple[Any, ...]:
    """The item's materials that the answers ask for."""
    item = items.find(application.item, application.item_version)
    return items.materials(item, application.answers) if item else ()


def form_fields(code: str) -> list[tuple[str, str, tuple[forms.Source, ...]]]:
    """The fields of a form that the city may know: (name, title, sources in the order to be tried)."""
    if not code:
        return []
    form = forms.form(code)
    return [(name, form.field(name).title, found) for name, found in form.sources().items()]


def asked(viewer: Actor, item: Any, answers: Mapping[str, str], person: bool) -> list[asking.Asked]:
    """The sources for an item under these answers that know this kind of applicant."""
    found = asking.asked(
        [(title, found) for _, title, found in form_fields(item.form)],
        items.materials(item, answers),
    )
    return [one for one in found if _fits(one, person)]


def _fits(one: asking.Asked, person: bool) -> bool:
    """Whether a source can know the applicant: a person by the citizen number, a firm by its code."""
    if one.kind == asking.LIBRARY:
        return _asked_by(one.name) == ("citizen_number" if person else "credit_code")
    if one.kind == asking.LICENCE:
        kind = licences.find_kind(one.name)
        return kind is not None and ("person" if person else "legal_entity") in kind.holders
    return True


def own_key(dataset: str, person: bool) -> str:
    """The column by which a register knows an applicant as its holder; empty where it has none."""
    known = sources.dataset_titles(dataset)
    first = "citizen_number" if person else "credit_code"
    return next((c for c in (first, "owner_number", "holder_number") if c in known), "")


def _asked_by(library: str) -> str:
    try:
        return str(libraries.rule(library).asked_by)
    except UserError:
        return ""


def offered(viewer: Actor, application: Application) -> list[Offered]:
    """The sources with their titles and what was said of them so far."""
    told = application.consented_at is not None
    agreed = set(in_force(viewer, application))
    return [
        Offered(
            key=f"{one['kind']}:{one['name']}",
            agreed=(f"{one['kind']}:{one['name']}" in agreed) if told else None,
            fills=tuple(one["fills"]),
            frees=tuple(one["frees"]),
            **_described(one),
        )
        for one in application.asked
    ]


def _described(one: Mapping[str, Any]) -> dict[str, Any]:
    kind, name, columns = one["kind"], one["name"], list(one["columns"])
    if kind == asking.LICENCE:
        declared = licences.find_kind(name)
        if declared is None:
            return {"title": name, "provider": "", "columns": ()}
        titles = {i.name: i.title for i in declared.items}
        title, provider = declared.title, sources.department_name(declared.issuer)
        columns = columns or [declared.number]
    elif kind == asking.LIBRARY:
        titles = sources.KEY_TITLES | {f.name: f.title for f in libraries.rule(name).fields}
        title, provider = sources.library_title(name), "市级基础库"
    elif kind == asking.DATASET:
        told = sources.dataset(name)
        titles = sources.dataset_titles(name)
        title = str(told.get("title") or name)
        provider = sources.department_name(str(told.get("provider") or ""))
    else:
        return {"title": "您以前提交的材料", "provider": "政务服务大厅", "columns": ()}
    return {
        "title": title,
        "provider": provider,
        "columns": tuple(titles.get(c, c) for c in columns),
    }


def in_force(viewer: Actor, application: Application) -> dict[str, Grant]:
    """The consents in force of an application, by source."""
    rows = Grant.objects.filter(
        kind=GRANT, grantor=application.applicant, terms__application=application.code
    )
    return {str(g.terms["source"]): g for g in rows if g.in_force()}


# ---- what was found ------------------------------------------------------------------------


@dataclass
class Look:
    """One look-up: which source, how many rows, how long (µs); failed: what the person is told."""

    key: str
    rows: int
    micros: int
    failed: str = ""


@dataclass
class Book:
    """What the sources said in one go; nothing of it outlives the request but what is kept on purpose."""

    key: str = ""
    licences: list[tuple[grounds.Held, dict[str, str]]] = field(default_factory=list)
    rows: dict[str, tuple[grounds.Row | None, dict[str, str], dict[str, str]]] = field(
        default_factory=dict
    )
    down: dict[str, str] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)


def number_of(applicant: Party) -> str:
    """The number by which sources know an applicant, in plain; empty where none is proven."""
    if applicant.kind == Party.LEGAL_ENTITY:
        return applicant.code or ""
    return identity.number_of(applicant)


def read(viewer: Actor, application: Application, keys: Iterable[str]) -> Book:
    """Ask licences and libraries under the consents in force. No transaction is open meanwhile."""
    book = Book(number_of(application.applicant))
    wanted = list(keys)
    kinds = [k.partition(":")[2] for k in wanted if k.startswith(f"{asking.LICENCE}:")]
    if kinds:
        began = time.perf_counter_ns()
        book.licences = sources.held(application.applicant, kinds)
        took = (time.perf_counter_ns() - began) // 1000
        for kind in kinds:
            n = sum(1 for h, _ in book.licences if h.kind == kind)
            book.looks.append(Look(f"{asking.LICENCE}:{kind}", n, took // len(kinds)))
    filled = {
        origin
        for _, _, found in form_fields(item_form(application))
        for s in found
        if (origin := asking.origin_of(s))
    }
    for key in wanted:
        kind = key.partition(":")[0]
        if kind == asking.LIBRARY or (kind == asking.DATASET and key in filled):
            _read_row(book, key, application.applicant.kind == Party.PERSON)
    return book


def _read_row(book: Book, key: str, person: bool) -> None:
    began = time.perf_counter_ns()
    kind, _, name = key.partition(":")
    look = Look(key, 0, 0)
    if not book.key:
        book.down[key] = look.failed = "您的账号没有经过核验的证件号码，无法查询"
    else:
        try:
            if kind == asking.LIBRARY:
                book.rows[key] = sources.library(name, book.key)
            elif column := own_key(name, person):
                rows = sources.register(name, {column: book.key})
                book.rows[key] = (rows[0] if rows else None, {}, sources.dataset_titles(name))
            else:
                return
            look.rows = int(book.rows[key][0] is not None)
        except sources.Down as down:
            book.down[key] = look.failed = str(down)
    look.micros = (time.perf_counter_ns() - began) // 1000
    book.looks.append(look)


def item_form(application: Application) -> str:
    """The code of the item's form; empty where the item is no longer published."""
    item = items.find(application.item, application.item_version)
    return item.form if item else ""


@dataclass(frozen=True)
class Judged:
    """What became of one material: every ground's finding, and the values to be kept for the officer."""

    material: Any
    findings: tuple[grounds.Finding, ...]

    @property
    def chosen(self) -> grounds.Finding | None:
        """The ground that frees it."""
        return grounds.judge(self.findings)


def judged(
    viewer: Actor,
    application: Application,
    book: Book,
    agreed: Mapping[str, Any],
    promised: Mapping[str, dt.datetime],
) -> list[Judged]:
    """Each material of an application under what the sources said; verifications wait for the form."""
    return [
        Judged(
            m,
            tuple(_finding(viewer, application, g, m, book, agreed, promised) for g in m.grounds),
        )
        for m in materials_of(viewer, application)
    ]


def _finding(
    viewer: Actor,
    application: Application,
    ground: Any,
    material: Any,
    book: Book,
    agreed: Mapping[str, Any],
    promised: Mapping[str, dt.datetime],
) -> grounds.Finding:
    key = asking.source_of(ground)
    person = application.applicant.kind == Party.PERSON
    if ground.by == grounds.PROMISE:
        return grounds.by_promise(ground.text, promised.get(material.id))
    if key not in {f"{a['kind']}:{a['name']}" for a in application.asked}:
        return grounds.Finding(
            ground.by, grounds.NO, "这一来源不适用于" + ("个人" if person else "单位") + "申请"
        )
    if key not in agreed:
        return grounds.Finding(ground.by, grounds.REFUSED, "您没有同意查询这一来源")
    if key in book.down:
        return grounds.Finding(ground.by, grounds.DOWN, f"{book.down[key]}，可稍后重试或直接上传")
    match ground.by:
        case grounds.LICENCE:
            kind = licences.find_kind(ground.type)
            return grounds.by_licence(
                ground.type,
                kind.title if kind else ground.type,
                [h for h, _ in book.licences],
                sources.terms()["grades"],
            )
        case grounds.LIBRARY:
            row, masked, titles = book.rows[key]
            return grounds.by_row(
                row, ground.need, titles, masked, sources.library_title(ground.library)
            )
        case grounds.EARLIER:
            days = int(sources.terms()["earlier_days"])
            before = earlier(viewer, application, ground.material)
            return grounds.by_earlier(before, days, timezone.localdate())
        case _:
            title = str(sources.dataset(ground.source).get("title") or ground.source)
            return grounds.Finding(grounds.SERVICE, grounds.WAITS, f"填完表单后与{title}核验")


def earlier(viewer: Actor, application: Application, material: str) -> grounds.Before | None:
    """The newest upload of this material by the same applicant in another filed case that stands.

    What was handed in for a case that was refused or withdrawn is not relied on.
    """
    row = (
        MaterialState.objects.filter(
            material=material,
            ground=grounds.UPLOAD,
            met=True,
            application__applicant=application.applicant,
        )
        .exclude(application=application)
        .exclude(application__case=None)
        .exclude(application__case__outcome__in=["refused", "not_accepted", "withdrawn"])
        .select_related("application__case")
        .order_by("-met_at")
        .first()
    )
    if row is None or row.met_at is None or row.application.case is None:
        return None
    return grounds.Before(
        row.application.case.code,
        row.application.item_name,
        row.name,
        timezone.localtime(row.met_at).date(),
        row.ref,
        row.digest,
    )


def verified_today(viewer: Actor) -> int:
    """How often the viewer has had a form compared with registers today."""
    start = timezone.make_aware(dt.datetime.combine(timezone.localdate(), dt.time()))
    return Event.objects.filter(kind="application.verified", by=viewer.ref, at__gte=start).count()


@dataclass(frozen=True)
class Comparison:
    """What a verification asks of a register: rows by `match`, whose columns must say `need`."""

    material: str
    source: str
    match: dict[str, str]
    need: dict[str, str]

    @property
    def digest(self) -> str:
        """A mark of the values: the same ones are not looked up twice."""
        return grounds.digest({"source": self.source, **self.match, **self.need})


def comparisons(
    viewer: Actor, application: Application, answers: Mapping[str, Any]
) -> list[Comparison]:
    """The verifications that the form's values (and the applicant's identity) make possible.

    A column that the form does not ask for is compared with the applicant's own number or name; one
    that neither knows only has to be filled.
    """
    own = _own(application.applicant)
    out = []
    for material in materials_of(viewer, application):
        for ground in material.grounds:
            if ground.by != grounds.SERVICE:
                continue
            match = {c: _value(answers, own, f) for c, f in ground.match.items()}
            need = {
                c: v
                for c in ground.need
                if (v := _value(answers, own, c)) or c in own or c in answers
            }
            out.append(Comparison(material.id, ground.source, match, need))
    return out


def _own(applicant: Party) -> dict[str, str]:
    number = number_of(applicant)
    if applicant.kind == Party.LEGAL_ENTITY:
        names = ("entity_name", "unit_name", "holder_name", "owner_name", "owner")
        numbers = ("credit_code", "holder_number", "owner_number")
    else:
        names = ("name", "person_name", "holder_name", "owner_name", "owner")
        numbers = ("citizen_number", "holder_number", "owner_number")
    return {**dict.fromkeys(names, applicant.name), **dict.fromkeys(numbers, number)}


def _value(answers: Mapping[str, Any], own: Mapping[str, str], name: str) -> str:
    value = answers.get(name)
    if isinstance(value, list | tuple | dict):
        return ""
    return str(value).strip() if value not in (None, "") else own.get(name, "")


__all__ = [
    "GRANT",
    "Book",
    "Comparison",
    "Judged",
    "Look",
    "Offered",
    "asked",
    "comparisons",
    "earlier",
    "form_fields",
    "in_force",
    "item_form",
    "judged",
    "materials_of",
    "number_of",
    "offered",
    "own_key",
    "read",
    "verified_today",
]
