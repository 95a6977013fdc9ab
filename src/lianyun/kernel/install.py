"""Install: brings what the packs declare (departments, elements, codes, paths) into the tables."""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from pathlib import Path as File
from typing import TYPE_CHECKING

from django.db import transaction

from lianyun.decision import compile_decision, load
from lianyun.decision.way import title_of

from . import packs
from .element import Code, CodeList, Element, ElementSpec, domain_choices
from .event import record
from .party import Party
from .path import Decision, compile_path, declare, declare_decision

if TYPE_CHECKING:
    from .access import Actor


@dataclass
class Installed:
    """How many declared things were new or changed."""

    departments: int = 0
    elements: int = 0
    codes: int = 0
    paths: int = 0
    decisions: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.departments + self.elements + self.codes + self.paths + self.decisions


def _departments() -> int:
    known = {p.slug: p for p in Party.objects.filter(kind=Party.DEPARTMENT)}
    changed = 0
    for row in packs.table("core", "departments.csv"):
        party = known.get(row["slug"]) or Party(kind=Party.DEPARTMENT, slug=row["slug"])
        before = (party.code, party.name, party.short)
        party.code, party.name = row["code"], row["name"]
        party.short = row.get("short") or row["name"]
        if before != (party.code, party.name, party.short) or party.pk is None:
            party.save()
            changed += 1
    return changed


def _elements() -> int:
    rows = []
    fields = ("identifier", "title", "type", "format", "mask", "personal", "sensitive", "unit")
    known = {e.code: e for e in Element.objects.all()}
    for entry in packs.lists("elements.yaml"):
        spec = ElementSpec.of(entry)
        row = Element(
            code=spec.code,
            domain=spec.domain or "",
            check_kind=spec.check or "",
            definition=spec.definition,
            pack=entry["pack"],
            **{name: getattr(spec, name) for name in fields},
        )
        old = known.get(spec.code)
        if old is None or old.spec != row.spec or old.pack != row.pack:
            rows.append(row)
    Element.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=[*fields, "domain", "check_kind", "definition", "pack"],
    )
    return len(rows)


def _day(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _codes(name: str, file: File) -> int:
    pack = file.parent.parent.name
    listing, _ = CodeList.objects.get_or_create(name=name, defaults={"title": name, "pack": pack})
    with file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(line for line in handle if not line.startswith("#"))
        rows = [
            (
                r["code"],
                r["name"],
                _day(r.get("valid_from")),
                _day(r.get("valid_to")),
                r.get("note") or "",
            )
            for r in reader
        ]
    titles = packs.lists("codes.yaml")
    told = next((t for t in titles if t["name"] == name), None)
    if told and (listing.title, listing.source) != (told["title"], told.get("source", "")):
        listing.title, listing.source = told["title"], told.get("source", "")
        listing.save()
    have = set(listing.codes.values_list("code", "name", "valid_from", "valid_to", "note"))
    if have == set(rows):
        return 0
    listing.codes.all().delete()
    Code.objects.bulk_create(
        (
            Code(list=listing, code=c, name=n, valid_from=f, valid_to=t, note=note)
            for c, n, f, t, note in rows
        ),
        batch_size=5000,
    )
    return len(set(rows) ^ have)


def _paths() -> int:
    changed = 0
    found = packs.declarations("paths")
    others = {d.name: d.data for d in found}
    for declared in found:
        title = declared.data["title"]
        bpmn = compile_path(declared.name, title, declared.data["steps"], others)
        rest = {k: v for k, v in declared.data.items() if k not in ("steps", "key", "title")}
        path = declare(declared.name, title, bpmn, rest)
        changed += path.version if path.cases.count() == 0 else 0
    for file in packs.files("paths", "bpmn"):
        text = file.read_text("utf-8")
        path = declare(file.stem, title_of(text, file.stem), text, {"pack": file.parts[-3]})
        changed += path.version if path.cases.count() == 0 else 0
    return changed


def _decisions() -> int:
    before = Decision.objects.count()
    for declared in packs.declarations("decisions"):
        wanted = ("basis", "summary", "also_running")
        rest = {k: v for k, v in declared.data.items() if k in wanted}
        text = compile_decision(declared.name, declared.data)
        declare_decision(declared.name, str(declared.data["title"]), text, rest)
    for file in packs.files("decisions", "dmn"):
        text = file.read_text("utf-8")
        declare_decision(file.stem, load(text).title, text, {"pack": file.parts[-3]})
    return Decision.objects.count() - before


@transaction.atomic
def install(*, by: Actor) -> Installed:
    """Bring all packs' declarations into the tables; what is already so is left alone."""
    done = Installed(
        departments=_departments(),
        elements=_elements(),
        codes=sum(_codes(name, file) for name, file in packs.code_files()),
        paths=_paths(),
        decisions=_decisions(),
    )
    domain_choices.cache_clear()
    if done.total:
        record("packs.installed", "system:packs", by=by, data=vars(done))
    return done
