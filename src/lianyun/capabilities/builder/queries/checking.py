"""Checking: each part read by its own capability's checks, then what the parts say of each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lianyun.capabilities.flows import api as flows
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences
from lianyun.decision import BadTable, Model, compile_decision, load
from lianyun.decision.way import steps_of
from lianyun.kernel.access import Actor
from lianyun.kernel.path import BadPath, current, current_decision

from ..rules import checks, text
from ..rules import content as parts
from ..rules.checks import Finding


@dataclass
class Checked:
    """All findings of a service, by page, the errors first."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def wrong(self) -> list[Finding]:
        """What keeps it from being published."""
        return [f for f in self.findings if f.wrong]

    @property
    def warnings(self) -> list[Finding]:
        """What should be looked at."""
        return [f for f in self.findings if not f.wrong]

    def of(self, page: str) -> list[Finding]:
        """The findings of one page."""
        return [f for f in self.findings if f.page == page]

    def by_page(self) -> list[tuple[str, str, list[Finding]]]:
        """(page, its title, its findings) in the pages' order, those without findings left out."""
        told = [(name, title, self.of(name)) for name, (title, _, _) in parts.PAGES.items()]
        return [entry for entry in told if entry[2]]


def path_of(content: Mapping[str, Any], code: str, viewer: Actor) -> flows.Reading | None:
    """The service's own path as flows reads it; None where it uses one that exists."""
    if not parts.own(content, parts.PATH):
        return None
    told = content[parts.PATH]
    return flows.check_path(code, str(told["bpmn"]) if "bpmn" in told else text.write(told), viewer)


def table_told(content: Mapping[str, Any], code: str, viewer: Actor) -> flows.Reading | None:
    """The service's own decision as flows reads it; None where there is none of its own."""
    if not parts.own(content, parts.DECISION):
        return None
    told = content[parts.DECISION]
    return flows.check_decision(
        code, str(told["dmn"]) if "dmn" in told else text.write(told), viewer
    )


def bpmn_of(content: Mapping[str, Any], code: str, viewer: Actor) -> tuple[str, str]:
    """(key, BPMN text) of the path that a service takes; the text is empty where it cannot be read."""
    own = path_of(content, code, viewer)
    if own is not None:
        return code, own.made
    key = str((content.get(parts.PATH) or {}).get(parts.USE) or "")
    try:
        return key, current(key).bpmn
    except BadPath:
        return key, ""


def decision_of(content: Mapping[str, Any], code: str) -> Model | None:
    """The decision that a service asks; None where it has none or it cannot be read."""
    told = content.get(parts.DECISION) or {}
    if parts.USE in told:
        found = current_decision(str(told[parts.USE]))
        return found.model if found else None
    if not told:
        return None
    try:
        return load(str(told["dmn"]) if "dmn" in told else compile_decision(code, told))
    except (BadTable, KeyError, TypeError, AttributeError, ValueError):
        return None


def item_of(content: Mapping[str, Any], code: str, department: str) -> items.Item | None:
    """The item as it would be read; None where it cannot be read."""
    declared = parts.assembled(content, code, department)[parts.ITEM]
    try:
        return items.read(declared)
    except (items.BadItem, KeyError, TypeError, ValueError, AttributeError):
        return None


def form_of(content: Mapping[str, Any], code: str) -> forms.Form | None:
    """The form that a service asks; None where it cannot be read."""
    told = content.get(parts.FORM) or {}
    try:
        if parts.USE in told:
            return forms.form(str(told[parts.USE]))
        return forms.rehearsal({"code": code, **told}).form if told else None
    except Exception:  # whatever a half-written declaration makes of itself is told by faults_of
        return None


def _licence(content: Mapping[str, Any], code: str, department: str) -> checks.Licence | None:
    told = content.get(parts.LICENCE) or {}
    if not told:
        return None
    try:
        if parts.USE in told:
            kind = licences.find_kind(str(told[parts.USE]))
        else:
            kind = licences.read_type({"name": code, "issuer": department, **told})
    except (licences.BadType, KeyError, TypeError, ValueError, AttributeError):
        return None
    if kind is None:
        return None
    return checks.Licence(
        kind.title,
        tuple(checks.Element(i.name, i.title, i.required) for i in kind.items),
        kind.number,
        (kind.holder_name, kind.holder_number),
        (kind.issued, kind.begins, kind.ends),
        bool(kind.numbering),
        kind.holders,
    )


def _around(content: Mapping[str, Any], code: str, department: str, viewer: Actor) -> checks.Around:
    form = form_of(content, code)
    model = decision_of(content, code)
    _, bpmn = bpmn_of(content, code, viewer)
    steps: tuple[Mapping[str, Any], ...] | None = None
    if bpmn:
        steps = tuple({"id": s.id, "decide": s.decide} for s in steps_of(bpmn).values())
    asked = None
    if model is not None:
        titles = {c.expression: c.title for t in model.tables for c in t.inputs}
        asked = tuple((name, titles.get(name, name)) for name in model.inputs)
    return checks.Around(
        questions=None
        if form is None
        else tuple(
            checks.Question(
                f.id,
                f.title,
                f.kind,
                f.personal or f.mask != "none",
                f.required,
                tuple((str(k), str(v)) for k, v in f.options[:60]),
            )
            for _, f in form.plain_fields()
        ),
        repeated=frozenset(p.id for p in form.parts if p.repeat) if form else frozenset(),
        steps=steps,
        asked=asked,
        answers=tuple(o.name for t in model.tables for o in t.outputs) if model else (),
        licence=_licence(content, code, department),
    )


def known_facts(
    content: Mapping[str, Any], code: str, department: str, viewer: Actor
) -> list[checks.Fact]:
    """What tables and conditions may ask of a case of this service."""
    around = _around(content, code, department, viewer)
    return checks.told_facts(content.get(parts.ITEM) or {}, around)


def path_facts(
    content: Mapping[str, Any], code: str, department: str, viewer: Actor
) -> list[checks.Fact]:
    """What the conditions of a path may ask: what the table said first, then the case's facts."""
    item = content.get(parts.ITEM) or {}
    own = {str(s.get("id")) for s in item.get("situations") or []} | {"promised_days", "legal_days"}
    out = []
    model = decision_of(content, code)
    for output in (o for t in model.tables for o in t.outputs) if model is not None else ():
        words = flows.RESULTS if output.name == "result" else {}
        values = [v.strip('"') for v in output.values]
        choices = tuple((v, words.get(v, v)) for v in values)
        title = f"决策表的{output.title or output.name}"
        kind = "choice" if choices else "text"
        out.append(checks.Fact(f"verdict.{output.name}", title, kind, choices))
    for fact in known_facts(content, code, department, viewer):
        name = fact.name if fact.name in own else f"facts.{fact.name}"
        out.append(checks.Fact(name, fact.title, fact.kind, fact.choices))
    return out


_KEYS = re.compile(r"（[a-z_:， 或=]+）")
"""Keys of the text that a finding names for whoever writes text; the pages have words for them."""


def _placed(page: str, fault: flows.Fault, declared: Mapping[str, Any]) -> Finding:
    """A fault of a path or a table with its place on the page, in the page's own words."""
    words = _KEYS.sub("", fault.words)
    place = "basis" if fault.rule == "basis" and fault.where == declared.get("title") else ""
    for at, step in enumerate(declared.get("steps") or []):
        if fault.where and fault.where in (step.get("title"), step.get("id")):
            place = f"steps.{at}.basis" if fault.rule == "basis" else f"steps.{at}"
        elif page == parts.PATH and str(step.get("id") or "") and f" {step.get('id')}" in words:
            place = f"steps.{at}"
            words = words.replace(f"步骤 {step['id']}", f"“{step.get('title') or step['id']}”")
    where = "" if fault.where in ("", "文件", "流程") else f"{fault.where}："
    return Finding(page, place, f"{where}{words}", fault.severity)


def check(content: Mapping[str, Any], code: str, department: str, viewer: Actor) -> Checked:
    """Everything that is wrong with a service, by the checks that packs go through and its own."""
    declared = parts.assembled(content, code, department)
    found: list[Finding] = []
    item = declared[parts.ITEM]
    own = {
        kind: frozenset([code]) if parts.own(content, part) else frozenset[str]()
        for kind, part in (
            ("forms", parts.FORM),
            ("paths", parts.PATH),
            ("decisions", parts.DECISION),
            ("licences", parts.LICENCE),
        )
    }
    if items.declared_by_pack(code):
        words = f"标识 {code} 的事项由行业包声明，请在行业包里修改或换一个标识"
        found.append(Finding("item", "name", words))
    found += [
        checks.placed(f.field, f.message, f.severity, item) for f in items.faults_of(item, more=own)
    ]
    if parts.FORM in declared:
        if code in forms.titles():
            found.append(Finding("form", "", f"表单 {code} 由行业包声明，请换一个标识"))
        found += [Finding("form", "", w) for w in forms.faults_of(code, declared[parts.FORM])]
    for page, reading in (
        ("path", path_of(content, code, viewer)),
        ("decision", table_told(content, code, viewer)),
    ):
        if reading is not None:
            found += [_placed(page, f, declared.get(page) or {}) for f in reading.faults]
    if parts.LICENCE in declared:
        found += [Finding("licence", "", w) for w in licences.faults_of(declared[parts.LICENCE])]
    found += checks.between(content, _around(content, code, department, viewer))
    unique = list(dict.fromkeys(found))
    return Checked(sorted(unique, key=lambda f: (not f.wrong, list(parts.PAGES).index(f.page))))


def licence_names(content: Mapping[str, Any], code: str, department: str) -> list[tuple[str, str]]:
    """The elements of the result's licence as (name, title); empty where there is none."""
    kind = _licence(content, code, department)
    return [(e.name, e.title) for e in kind.elements] if kind else []
