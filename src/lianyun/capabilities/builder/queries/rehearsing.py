"""Rehearsing: a service tried by an invented person: nothing is read of anybody, nothing is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404
from django.utils import timezone

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.path import BadPath

from ..rules import content as parts
from ..rules import invented, walking
from . import checking

UPLOAD = "upload"


@dataclass
class World:
    """A service as the invented applicant meets it."""

    content: dict[str, Any]
    code: str
    item: items.Item
    form: forms.Rehearsal | None
    inside: dict[str, Any]
    key: str
    bpmn: str

    @property
    def situations(self) -> dict[str, str]:
        """The answers to the situations."""
        return items.answers_of(self.item, self.inside.get("situations") or {})

    @property
    def walk(self) -> walking.Walk | None:
        """Where the path stands, once filed."""
        told = self.inside.get("walk")
        return walking.Walk(**told) if told else None


@dataclass
class Stage:
    """Everything the page of a rehearsal shows."""

    world: World
    questions: list[tuple[Any, str]]
    parts: list[tuple[Any, bool]]
    page: Any
    sources: list[tuple[str, str, str, list[tuple[str, str]]]]
    judged: list[tuple[Any, Any, bool]]
    facts: dict[str, Any]
    lacking: list[str]
    waiting: list[walking.Waiting]
    verdict: dict[str, Any]


def began(content: Mapping[str, Any], code: str, department: str, inside: dict[str, Any], viewer: Actor) -> World:  # fmt: skip
    """The service to be tried; raises UserError where it cannot be tried yet."""
    item = checking.item_of(content, code, department)
    if item is None:
        raise UserError("事项要素还没有填全，先到“检查”看看缺什么")
    told = content.get(parts.FORM) or {}
    try:
        declared = {"code": code, **told} if parts.own(content, parts.FORM) else None
        form = forms.rehearsal(declared) if declared else None
        if form is None and told.get(parts.USE):
            form = forms.rehearsal_of(str(told[parts.USE]))
    except (forms.BadForm, UserError, TypeError, ValueError, AttributeError, KeyError) as wrong:
        raise UserError(f"申请表还不能用：{wrong}") from wrong
    if form is not None:
        form.content.answers.update(inside.get("answers") or {})
    key, bpmn = checking.bpmn_of(content, code, viewer)
    return World(dict(content), code, item, form, inside, key, bpmn)


def facts_of(viewer: Actor, world: World, judged: list[hall.Judged]) -> dict[str, Any]:
    """What a case of this applicant would hold for tables and paths; nothing of it is personal."""
    viewer.require("builder.read")
    answers = world.form.answers() if world.form else {}
    fields = list(world.form.form.plain_fields()) if world.form else []
    free = {
        f.id: answers[f.id]
        for _, f in fields
        if f.id in answers and not f.personal and f.mask == "none"
        and f.kind in ("choice", "multi", "number", "money", "date", "moment", "text")
    }  # fmt: skip
    grounds = {f"m_{j.material.id}": (j.chosen.by if j.chosen else UPLOAD) for j in judged}
    person = "person" in world.item.objects
    item = world.item
    return {
        "item": item.code,
        "item_name": item.name,
        "situations": world.situations,
        **world.situations,
        "departments": [item.department, *(d for d in item.joint if d != item.department)],
        "decision": item.decision,
        "promised_days": item.promised_days,
        "legal_days": item.legal_days,
        "helped": False,
        "facts": {
            **free,
            **world.situations,
            **grounds,
            "materials_freed": sum(g != UPLOAD for g in grounds.values()),
            "materials_uploaded": sum(g == UPLOAD for g in grounds.values()),
            "applicant_age": int(world.inside.get("age") or 36) if person else None,
            "applicant_kind": "person" if person else "entity",
        },
    }


def judged_in(world: World) -> list[hall.Judged]:
    """Each material in the invented world."""
    values = world.form.answers() if world.form else {}
    promised = frozenset(world.inside.get("promised") or ())
    return hall.rehearse(
        world.item, world.situations, values, world.inside.get("world") or {}, promised
    )


def stage_of(world: World, part: str, viewer: Actor, page: Any = None) -> Stage:
    """What the page shows; `page` is a form's page that was judged just now."""
    viewer.require("builder.read")
    given = world.situations
    shown: list[tuple[Any, bool]] = []
    if world.form is not None:
        lacking = world.form.lacking()
        shown = [(p, p.id not in lacking) for p in world.form.opened().parts]
        names = [p.id for p, _ in shown]
        if page is None and names:
            first = next((p.id for p, done in shown if not done), names[0])
            try:
                page = world.form.page(part if part in names else first)
            except Http404:
                page = None
    judged = judged_in(world)
    sources = [
        (key, title, (world.inside.get("world") or {}).get(key, "yes"), list(hall.REHEARSED[kind].items()))
        for key, kind, title in hall.rehearsed_sources(world.item, given)
    ]  # fmt: skip
    missing = [q.question for q in items.open_questions(world.item, given)]
    missing += [f"申请表：{p.title}" for p, done in shown if not done]
    walk = world.walk
    try:
        waiting = walking.waiting(world.bpmn, world.key, walk) if walk and world.bpmn else []
    except (BadPath, KeyError, ValueError):
        waiting = []
    return Stage(
        world,
        [(q, given.get(q.id, "")) for q in items.questions(world.item, given)],
        shown,
        page,
        sources,
        [(j.material, j.chosen, any(f.by == "promise" for f in j.findings)) for j in judged],
        facts_of(viewer, world, judged),
        missing,
        waiting,
        (walk.data.get("verdict") or {}) if walk else {},
    )


def invented_answers(world: World) -> None:
    """Fill the whole form in as the invented applicant would."""
    if world.form is None:
        return
    for _ in range(3):  # an answer may make another part be asked
        for part in world.form.opened().parts:
            posted: dict[str, list[str]] = {}
            rows = range(max(part.repeat.low, 1)) if part.repeat else (None,)
            for row in rows:
                if row is not None:
                    posted[f"{part.id}-{row}-_id"] = [f"row{row:03d}"]
                for asked in part.fields:
                    name = forms.input_name(part, asked, row)
                    told = invented.answer(
                        asked,
                        forms.options_of(asked, world.form.means),
                        timezone.localdate(),
                        lambda text, asked=asked: forms.takes(asked, text, world.form.means),  # type: ignore[misc]
                    )
                    if told and told[0]:
                        posted[name] = told
            world.form.judge(part.id, posted)


def specimen_values(viewer: Actor, world: World) -> dict[str, Any]:
    """What the licence would say for this applicant, by element; invented where nobody answered."""
    answers = world.form.answers() if world.form else {}
    return {
        **facts_of(viewer, world, [])["facts"],
        **{k: v for k, v in answers.items() if isinstance(v, str | int | float)},
        "applicant_name": invented.NAME if "person" in world.item.objects else invented.ENTITY,
        "applicant_number": invented.NUMBER if "person" in world.item.objects else invented.CREDIT,
    }
