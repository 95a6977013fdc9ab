"""Comparing: two contents of a service side by side, as a reviewer reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lianyun.capabilities.flows import api as flows
from lianyun.kernel.access import Actor
from lianyun.kernel.path import current_decision

from ..rules import content as parts
from ..rules import telling, text
from ..rules.meeting import chosen
from .checking import bpmn_of, form_of, known_facts, licence_names, path_facts, table_told
from .world import lists

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One part of a service in two contents: what differs in words, in tables, in the drawing, as text."""

    part: str
    title: str
    rows: list[telling.Told]
    tables: list[flows.TableChange] = field(default_factory=list)
    drawn: bool = False
    marks: Mapping[str, list[str]] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many things differ: places in words, and rows of tables."""
        rows = [r for t in self.tables for r in t.rows if r.word]
        return len(self.rows) + len(rows) + sum(len(t.words) for t in self.tables)


@dataclass(frozen=True)
class Choice:
    """One place of which two said something else: how it differs, and the tables in it."""

    number: int
    words: str
    rows: list[telling.Told]
    tables: list[flows.TableChange] = field(default_factory=list)


def words_of(part: str, content: Content, code: str, slug: str, viewer: Actor) -> dict[str, Any]:
    """The choices that a part's pages offer, with the titles of the service's own questions."""
    out: dict[str, Any] = {}
    for page, (_, told, _) in parts.PAGES.items():
        if told == part:
            out |= lists(viewer, page)
    if part == parts.ITEM:
        form = form_of(content, code)
        out["fields"] = [(f.id, f.title) for _, f in form.plain_fields()] if form else []
        out["result_elements"] = licence_names(content, code, slug)
    if part in (parts.ITEM, parts.FORM, parts.PATH):
        ask = path_facts if part == parts.PATH else known_facts
        found = ask(content, code, slug, viewer)
        out["facts"] = [(f.name, f.title, f.kind, f.choices) for f in found]
    return out


def dmn_of(content: Content, code: str, viewer: Actor) -> str:
    """The DMN text of the decision that a service asks; empty where there is none or it is unreadable."""
    told = content.get(parts.DECISION) or {}
    if parts.USE in told:
        row = current_decision(str(told[parts.USE]))
        return row.dmn if row is not None else ""
    found = table_told(content, code, viewer)
    return found.made if found is not None else ""


def differences(
    before: Content, now: Content, code: str, slug: str, viewer: Actor
) -> list[Difference]:
    """Every part in which two contents differ, in the order of the pages; `before` may be empty."""
    out = []
    for part in parts.changed(before, now):
        old, new = before.get(part) or {}, now.get(part) or {}
        words = words_of(part, now, code, slug, viewer)
        marks: Mapping[str, list[str]] = {}
        tables: list[flows.TableChange] = []
        drawn = False
        if part == parts.PATH:
            bpmn = [bpmn_of(c, code, viewer)[1] if c else "" for c in (before, now)]
            drawn = bool(bpmn[1]) and bpmn[0] != bpmn[1]
            marks = flows.step_marks(*bpmn) if bpmn[0] and bpmn[1] else {}
        if part == parts.DECISION:
            tables = flows.table_changes(
                *(dmn_of(c, code, viewer) if c else "" for c in (before, now))
            )
        out.append(
            Difference(
                part,
                parts.PARTS[part],
                telling.told(part, old, new, words),
                tables,
                drawn,
                marks,
                text.difference(old, new),
            )
        )
    return out


def choices(
    now: Content,
    aside: Content,
    part: str,
    places: list[list[str]],
    where: tuple[str, str],
    viewer: Actor,
) -> list[Choice]:
    """The places of a clash, each with what would change if the words laid aside were taken.

    `where` is the service's code and its department's slug.
    """  # fmt: skip
    code, slug = where
    old, mine = now.get(part) or {}, aside.get(part) or {}
    words = words_of(part, now, code, slug, viewer)
    stood = dmn_of(now, code, viewer) if part == parts.DECISION else ""
    out = []
    for number, listed in enumerate(places):
        place = tuple(map(str, listed))
        new = chosen(old, mine, [place])
        tables: list[flows.TableChange] = []
        if part == parts.DECISION:
            tables = flows.table_changes(stood, dmn_of({**now, part: new}, code, viewer))
        rows = telling.told(part, old, new, words)
        out.append(Choice(number, telling.place_words(part, place), rows, tables))
    return out


__all__ = ["Choice", "Difference", "choices", "differences", "dmn_of", "words_of"]
