"""Known: rules in force, the rights they read under, one party's facts with their sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max
from django.utils import timezone

from lianyun.capabilities.items import api as items
from lianyun.capabilities.libraries import api as libraries
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.case import bureau
from lianyun.kernel.element import domain_choices, mask_value
from lianyun.kernel.models import Batch, Element, Grant, Party, Resource

from .. import adapters
from ..models import Rule
from ..rules import declared
from ..rules.facts import ENTITY, PERSON, Fact, Sheet

GRANT = "offers"
APPLY = "apply"


def settings() -> dict[str, Any]:
    """Words and days as packs/core/offers.yaml declares them."""
    return adapters.settings()


def sheet_of(subject: str) -> Sheet:
    """The declared facts of persons or of firms."""
    return adapters.all_facts()[subject]


def subject_of(party: Party) -> str:
    """Whether a party is asked as a person or as a firm."""
    return PERSON if party.kind == Party.PERSON else ENTITY


def content_of(rule: Rule) -> declared.Declared:
    """A kept version as it was declared."""
    return declared.read(rule.kind, rule.content, adapters.all_facts())


def speaking(viewer: Actor, kind: str, subject: str = "") -> list[tuple[Rule, declared.Declared]]:
    """Rules (or policies) in force, each as it was approved."""
    rows = Rule.objects.filter(kind=kind, approved_at__isnull=False, stopped_at=None)
    told = [(r, content_of(r)) for r in rows.select_related("department")]
    return [(r, d) for r, d in told if not subject or d.subject == subject]


def rule_of(viewer: Actor, code: str) -> Rule | None:
    """The version of a rule that speaks."""
    return (
        Rule.objects.filter(code=code, approved_at__isnull=False, stopped_at=None)
        .select_related("department")
        .first()
    )


# ---- sources -------------------------------------------------------------------------------


def source_title(viewer: Actor, source: str) -> tuple[str, str]:
    """What `library.x` or `trusted.y` is called and who provides it."""
    schema, _, name = source.partition(".")
    if schema == "library":
        return libraries.rule(name).title, "市级基础库"
    found = Resource.objects.filter(name=name).select_related("owner").first()
    if found is not None:
        return found.title, str(found.owner)
    told = packs.declaration("datasets", name).data
    return str(told["title"]), str(told["provider"])


def providers(code: declared.Declared) -> list[str]:
    """Departments (slugs) whose registers a rule reads, beside its own and the bureau's."""
    own = {code.department, bureau().slug}
    out: dict[str, None] = {}
    for source in sheet_of(code.subject).tables(code.facts):
        schema, _, name = source.partition(".")
        if schema == "trusted":
            slug = str(packs.declaration("datasets", name).data["provider"])
            if slug not in own:
                out[slug] = None
    return list(out)


def granted(viewer: Actor, rule: Rule) -> list[Grant]:
    """The rights under which a rule reads, those in force."""
    rows = Grant.objects.filter(kind=GRANT, terms__rule=rule.code, terms__version=rule.version)
    return [g for g in rows.select_related("resource", "grantor") if g.in_force()]


def may_read(viewer: Actor, rules: Iterable[Rule]) -> set[tuple[str, int]]:
    """Which of these (code, version) have every right that they need, in one query."""
    listed = {(r.code, r.version): r for r in rules}
    held: dict[tuple[str, int], set[str]] = {}
    for grant in Grant.objects.filter(
        kind=GRANT, state=Grant.ACTIVE, terms__rule__in=[c for c, _ in listed]
    ):
        if grant.in_force():
            key = (str(grant.terms["rule"]), int(grant.terms["version"]))
            held.setdefault(key, set()).add(str(grant.terms["source"]))
    out = set()
    for key, rule in listed.items():
        told = content_of(rule)
        if set(sheet_of(told.subject).tables(told.facts)) <= held.get(key, set()):
            out.add(key)
    return out


# ---- showing facts -------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """One fact as the person concerned sees it: what, its value, whose record says so, as of when."""

    name: str
    title: str
    words: str
    source: str
    provider: str
    as_of: str
    known: bool
    made: str = ""
    disputable: bool = True

    @property
    def shown(self) -> str:
        """The value; for what is made of a date, the date and what it makes."""
        return f"{self.words}（{self.made}）" if self.made else self.words

    @property
    def where_from(self) -> str:
        """The source in one line."""
        return "，".join(x for x in (self.provider, self.source, self.as_of) if x)


def _domain(sheet: Sheet, fact: Fact) -> str:
    if fact.domain or not fact.field:
        return fact.domain
    field = next((f for f in libraries.rule(sheet.library).fields if f.name == fact.field), None)
    found = Element.objects.filter(code=field.element).first() if field else None
    return found.domain or "" if found else ""


def shown(sheet: Sheet, name: str, value: Any) -> str:
    """A fact's value in words."""
    fact = sheet.facts[name]
    if value is None:
        return "没有记录"
    if domain := _domain(sheet, fact):
        return dict(domain_choices(domain)).get(str(value), str(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,} {fact.unit}".strip()
    text = str(value)
    if len(text) >= 10 and text[4:5] == "-" and text[7:8] == "-":
        year, month, day = text[:10].split("-")
        return f"{int(year)}年{int(month)}月{int(day)}日"
    return text


def told_facts(
    viewer: Actor, sheet: Sheet, names: Iterable[str], key: str, values: Mapping[str, Any]
) -> dict[str, Told]:
    """Facts with their sources, for whom they are about (the caller has checked that)."""
    wanted = sheet.wanted(names)
    base = libraries.plain(SYSTEM, sheet.library, key)
    tables = {f.table for f in wanted.values() if f.source and f.schema == "trusted"}
    titles = {
        r.name: (r.title, str(r.owner))
        for r in Resource.objects.filter(name__in=tables).select_related("owner")
    }
    newest = dict(
        Batch.objects.filter(resource__name__in=tables, state=Batch.SUCCEEDED)
        .values_list("resource__name")
        .annotate(Max("finished_at"))
    )
    out = {}
    for name in names:
        fact = wanted[name]
        root = wanted[fact.of] if fact.of else fact
        if root.source and root.schema == "trusted":
            title, provider = titles.get(root.table, (root.table, ""))
            at = newest.get(root.table)
            day = f"数据更新至 {timezone.localtime(at):%Y-%m-%d}" if at else ""
        elif root.source:
            title, provider = source_title(viewer, root.source)
            day = ""
        else:
            said = base.origins.get(root.field) if base else None
            title = libraries.rule(sheet.library).title
            provider, day = (f"{said[1]} {said[0]}", said[2]) if said else ("", "")
        value = values.get(name)
        made = f"{fact.title} {shown(sheet, name, value)}" if fact.of and value is not None else ""
        words = shown(sheet, root.name, values.get(root.name))
        out[name] = Told(
            name, root.title, words, title, provider, day, value is not None, made,
            # A number of rows is nobody's single entry; there is no one cell to be put right.
            disputable=value is not None and not (root.source and not root.column),
        )  # fmt: skip
    return out


def item_title(code: str) -> str:
    """What an item is called; its code where it is published no more."""
    found = items.find(code) if code else None
    return found.name if found else code


def masked_name(party: Party) -> str:
    """A person's name as officers see it, a firm's whole."""
    return str(mask_value("name", party.name)) if party.kind == Party.PERSON else party.name
