"""Looking: sources are asked under the consents in force, on record before anything is shown."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.forms import api as forms
from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant, Party

from ..adapters import sources
from ..models import Application, MaterialState
from ..queries import looking
from ..rules import asked as asking
from ..rules import grounds
from .beginning import allowed, confirmed, unfiled
from .materials import draft_for

SLUG = "hall"


def _hall() -> Party:
    """The party that looks things up: people see it beside the department on 谁看过我的数据."""
    found = Party.objects.filter(slug=SLUG).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return Party.objects.create(
                kind=Party.SYSTEM,
                slug=SLUG,
                name="政务服务大厅（经本人同意）",
                short="政务服务大厅",
            )
    except IntegrityError:  # two began at the same moment
        return Party.objects.get(slug=SLUG)


def _note(
    application: Application,
    looks: Iterable[looking.Look],
    consents: Mapping[str, Grant],
    number: str,
) -> None:
    """Each look-up on record: under which consent, for which application, how many rows."""
    reader = Actor(party=_hall(), department=application.department)
    for look in looks:
        kind, _, name = look.key.partition(":")
        audit.record_exchange(
            channel="hall",
            grant_code=consents[look.key].code,
            resource=name if kind != asking.LICENCE else f"licence.{name}",
            operation="verify" if kind == asking.DATASET else "query",
            version=0,
            by=reader,
            people=[number] if number else [],
            purpose=f"办理“{application.item_name}”：预填表单、核验并免交材料",
            case_code=application.code,
            request=look.key.encode(),
            response_digest=hashlib.sha256(f"{look.key}:{look.rows}".encode()).digest(),
            rows=look.rows,
            micros=look.micros,
            outcome="failed" if look.failed else ("ok" if look.rows else "empty"),
        )


def look_up(application: Application, *, by: Actor) -> looking.Book:
    """Ask the sources consented to, note it, judge each material, and fill the form.

    The sources are read before the transaction; a source that is down leaves its materials asked
    for, which the applicant reads beside them. May be repeated.
    """
    allowed(application, by)
    confirmed(application)
    consents = looking.in_force(by, application)
    book = looking.read(by, application, consents)
    _keep(application, book, consents, by=by)
    return book


@action(None)
def _keep(
    application: Application, book: looking.Book, consents: Mapping[str, Grant], *, by: Actor
) -> None:
    row = unfiled(application)
    fields = looking.form_fields(looking.item_form(row))
    draft = draft_for(row, by=by)
    forms.fill(draft, filled(row, fields, book), by=by)
    there = {s.material: s for s in row.materials.all()}
    promised = {m: s.promised_at for m, s in there.items() if s.promised_at}
    for place, one in enumerate(looking.judged(by, row, book, consents, promised)):
        _put(row, one, place, there.get(one.material.id), book)
    free = row.materials.filter(met=True).count()
    record(
        "application.looked_up",
        row,
        by=by,
        data={
            "sources": {k.key: "down" if k.failed else k.rows for k in book.looks},
            "free": free,
        },
    )
    _note(row, book.looks, consents, book.key)


def _put(
    application: Application,
    one: looking.Judged,
    place: int,
    state: MaterialState | None,
    book: looking.Book | None = None,
) -> None:
    """Write what became of one material; an upload stays where no ground frees it."""
    chosen, material = one.chosen, one.material
    row = state or MaterialState(application=application, material=material.id)
    row.name, row.place, row.required = material.name[:200], place, material.required
    row.tried = [
        {"by": f.by, "how": f.how, "words": f.words} for f in one.findings if f.how != grounds.FREE
    ]
    if chosen is not None and chosen.evidence is not None:
        keys = [asking.source_of(g) for g in material.grounds if g.by == chosen.by]
        found = chosen.evidence
        row.met, row.ground, row.words, row.look = True, chosen.by, chosen.words, chosen.look
        row.evidence = {
            "what": found.what,
            "source": found.source,
            "ref": found.ref,
            "as_of": found.as_of,
            "shown": [list(pair) for pair in found.shown],
            "grade": found.grade,
            "key": keys[0] if keys else "",
        }
        row.digest, row.met_at = found.digest, timezone.now()
        row.sealed = sources.seal(chosen.plain) if chosen.plain else ""
    elif row.ground != grounds.UPLOAD:
        row.met, row.ground, row.evidence, row.digest, row.sealed = False, "", {}, "", ""
        row.look, row.met_at = False, None
        row.words = _why(one.findings)
    row.save()


def _why(findings: Iterable[grounds.Finding]) -> str:
    """What the applicant reads where nothing frees a material: the first thing worth knowing."""
    told = list(findings)
    for how in (grounds.DOWN, grounds.WAITS, grounds.CHOICE, grounds.NO, grounds.REFUSED):
        for one in told:
            if one.how == how:
                return one.words[:300]
    return "请上传这份材料"


def filled(application: Application, fields: Iterable[Any], book: looking.Book) -> dict[str, Any]:
    """The fields (name, title, sources) that a source answers, each with where from and as of when."""
    best: dict[str, tuple[grounds.Held, dict[str, str]]] = {}
    for held, elements in book.licences:
        if held.valid and (held.kind not in best or held.issued_on > best[held.kind][0].issued_on):
            best[held.kind] = (held, elements)
    out: dict[str, forms.Filled] = {}
    for name, _, origins in fields:
        for source in origins:
            if (known := _known(application, source, best, book)) is not None:
                out[name] = known
                break
    # Forms that serve both ask for whom; here it is known.
    kind = "person" if application.applicant.kind == Party.PERSON else "entity"
    out["applicant_kind"] = forms.Filled(kind, "本次办理的身份")
    return out


def _known(
    application: Application,
    source: forms.Source,
    best: Mapping[str, tuple[grounds.Held, dict[str, str]]],
    book: looking.Book,
) -> forms.Filled | None:
    """What one source says of a field; None where it says nothing."""
    key = asking.origin_of(source)
    if not key:
        value = _own(application, source)
        return forms.Filled(value, "实名认证信息") if value else None
    if source.kind == asking.LICENCE:
        held, elements = best.get(source.name, (None, {}))
        if held is None or not elements.get(source.item):
            return None
        told = f"{held.issuer} {held.title}".strip()
        ref = f"licence:{held.identifier}"
        return forms.Filled(elements[source.item], told, held.issued_on.isoformat(), ref)
    row = book.rows[key][0] if key in book.rows else None
    found = row.values.get(source.item) if row is not None else None
    if row is None or found in (None, ""):
        return None
    who, day = row.origins.get(source.item, (f"{row.provider} {row.title}", row.as_of))
    text = found.isoformat() if isinstance(found, dt.date) else str(found)
    return forms.Filled(text, who, day, row.source)


def _own(application: Application, source: forms.Source) -> str:
    """What identity itself knows: of the person who applies (or acts for a firm), or of the firm."""
    who: Party | None = application.applicant
    if source.kind == "entity":
        who = who if application.applicant.kind == Party.LEGAL_ENTITY else None
    elif application.applicant.kind == Party.LEGAL_ENTITY:
        who = application.by
    if who is None:
        return ""
    if source.item == "name":
        return who.name
    return looking.number_of(who) if source.item in ("number", "code") else ""


def verify(application: Application, *, by: Actor, again: bool = False) -> int:
    """Compare what the form says with departments' registers; returns how many look-ups were made.

    The same values are not looked up twice, unless the source was down or `again` is asked.
    """
    allowed(application, by)
    if application.filed or not application.draft:
        return 0
    answers = forms.answers(forms.draft_of(application.draft, by), by)
    consents = looking.in_force(by, application)
    states = {s.material: s for s in application.materials.all()}
    found: list[tuple[looking.Comparison, grounds.Finding]] = []
    looks: list[looking.Look] = []
    weary = looking.verified_today(by) >= int(sources.terms()["verifications"])
    for one in looking.comparisons(by, application, answers):
        state, key = states.get(one.material), f"{asking.DATASET}:{one.source}"
        if (
            state is None
            or key not in consents
            or state.ground not in ("", grounds.SERVICE, grounds.UPLOAD, grounds.PROMISE)
        ):
            continue
        if state.compared == one.digest and not again:
            continue
        finding, look = _weary() if weary else _compare(one, key)
        found.append((one, finding))
        if look is not None:
            looks.append(look)
    if found:
        _keep_compared(application, found, looks, consents, by=by)
    return len(looks)


def _weary() -> tuple[grounds.Finding, None]:
    """No more answers today: what a register says of others must not be found by trying."""
    words = "今天核验的次数已经用完，请上传材料或明天再试"
    return grounds.Finding(grounds.SERVICE, grounds.DOWN, words), None


def _compare(one: looking.Comparison, key: str) -> tuple[grounds.Finding, looking.Look | None]:
    titles = sources.dataset_titles(one.source)
    source = str(sources.dataset(one.source).get("title") or one.source)
    if any(not v for v in (*one.match.values(), *one.need.values())):
        return grounds.by_verification([], one.match, one.need, titles, source), None
    began = time.perf_counter_ns()
    look = looking.Look(key, 0, 0)
    try:
        rows = sources.register(one.source, one.match)
        look.rows = len(rows)
        finding = grounds.by_verification(rows, one.match, one.need, titles, source)
    except sources.Down as down:
        look.failed = str(down)
        finding = grounds.Finding(grounds.SERVICE, grounds.DOWN, f"{down}，可稍后重试或直接上传")
    look.micros = (time.perf_counter_ns() - began) // 1000
    return finding, look


@action(None)
def _keep_compared(
    application: Application,
    found: list[tuple[looking.Comparison, grounds.Finding]],
    looks: list[looking.Look],
    consents: Mapping[str, Grant],
    *,
    by: Actor,
) -> None:
    row = unfiled(application)
    materials = {m.id: (p, m) for p, m in enumerate(looking.materials_of(by, row))}
    for one, finding in found:
        state = row.materials.filter(material=one.material).first()
        if state is None or one.material not in materials:
            continue
        place, material = materials[one.material]
        others = [
            grounds.Finding(t["by"], t["how"], t["words"])
            for t in state.tried
            if t["by"] != grounds.SERVICE
        ]
        if state.ground == grounds.SERVICE:
            state.ground = ""
        _put(row, looking.Judged(material, (finding, *others)), place, state)
        state.compared = "" if finding.how == grounds.DOWN else one.digest
        state.save(update_fields=["compared"])
    record(
        "application.verified",
        row,
        by=by,
        data={"sources": {k.key: "down" if k.failed else k.rows for k in looks}},
    )
    _note(row, looks, consents, looking.number_of(row.applicant))


def masked_number(applicant: Party) -> str:
    """An applicant's number as it may be shown."""
    number = looking.number_of(applicant)
    mask = "citizen_number" if applicant.kind == Party.PERSON else "none"
    return str(mask_value(mask, number)) if number else ""


__all__ = ["filled", "look_up", "masked_number", "verify"]
