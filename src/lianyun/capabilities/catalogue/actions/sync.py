"""Sync: what the packs declare (classes, datasets, libraries' fields) becomes the catalogue."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Resource

from ..models import CatalogueClass, Edge
from ..queries import world
from ..rules.entries import ERROR, Finding, check
from ..rules.sheets import from_declared
from . import store

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Party

LIBRARIES = "packs:libraries"


@dataclass
class SyncReport:
    """How many declared things were new or changed, and what the rules find wrong with them."""

    classes: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    items: int = 0
    edges: int = 0
    findings: dict[str, list[Finding]] = field(default_factory=dict)


def sync_classes() -> int:
    """Bring packs/core/classes.csv (code, name, level, parent) into the table; returns changes."""
    known = {c.code: c for c in CatalogueClass.objects.all()}
    before = {c.code: (c.name, c.level) for c in known.values()}
    changed = 0
    rows = sorted(packs.table("core", "classes.csv"), key=lambda r: len(r["code"]))
    for length in sorted({len(r["code"]) for r in rows}):
        wave = []
        for row in (r for r in rows if len(r["code"]) == length):
            if before.get(row["code"]) == (row["name"], row["level"]):
                continue
            parent = known.get(row.get("parent") or "")
            wave.append(
                CatalogueClass(
                    code=row["code"], name=row["name"], level=row["level"], parent=parent
                )
            )
        CatalogueClass.objects.bulk_create(
            wave,
            update_conflicts=True,
            unique_fields=["code"],
            update_fields=["name", "level", "parent"],
        )
        known.update({c.code: c for c in wave})
        changed += len(wave)
    return changed


def _digest(data: dict[str, Any]) -> str:
    body = json.dumps(data, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _library_edges() -> dict[tuple[str, str], Edge]:
    titles = {d.name: str(d.data.get("title") or d.name) for d in packs.declarations("datasets")}
    fields: dict[tuple[str, str], list[str]] = {}
    library_titles: dict[str, str] = {}
    for lib in packs.declarations("libraries"):
        library_titles[lib.name] = str(lib.data.get("title") or lib.name)
        for one in lib.data.get("fields") or []:
            for source in one.get("sources") or []:
                fields.setdefault((str(source["dataset"]), lib.name), []).append(str(one["title"]))
        named = {str(f["name"]): str(f["title"]) for f in lib.data.get("fields") or []}
        for row in lib.data.get("rows") or []:
            told = [named.get(str(c), str(c)) for c in row.get("columns") or {}]
            fields.setdefault((str(row["dataset"]), lib.name), []).extend(told)
    return {
        (f"dataset:{d}", f"library:{lib}"): Edge(
            origin=LIBRARIES,
            source=f"dataset:{d}",
            source_title=titles.get(d, d),
            target=f"library:{lib}",
            target_title=library_titles[lib],
            note="、".join(names)[:500],
        )
        for (d, lib), names in fields.items()
    }


def _sync_edges() -> int:
    wanted = _library_edges()
    have = {
        (e.source, e.target): (e.source_title, e.target_title, e.note)
        for e in Edge.objects.filter(origin=LIBRARIES)
    }
    if have == {k: (e.source_title, e.target_title, e.note) for k, e in wanted.items()}:
        return 0
    Edge.objects.filter(origin=LIBRARIES).delete()
    Edge.objects.bulk_create(wanted.values())
    return len(wanted)


def declare_library(
    *, owner: Party, content: dict[str, Any], extra: dict[str, Any], by: Actor
) -> bool:
    """Bring a declared library into the catalogue, published; returns whether anything changed.

    `content` has the keys of an entry (see `draft_resource`); `extra` is added to the resource's
    data. Nothing is written where nothing changed. Raises UserError where the rules find an error.
    """
    if not CatalogueClass.objects.filter(code=content["class"]).exists():
        sync_classes()
    around = world(by)
    full = {**from_declared({**content, "provider": owner.slug}, around), "kind": Resource.LIBRARY}
    digest = _digest({"content": full, "extra": extra})
    old = Resource.objects.filter(kind=Resource.LIBRARY, name=full["name"]).first()
    if old is not None and old.data.get("declared") == digest:
        return False
    wrong = [f for f in check(full, around) if f.severity == ERROR]
    if wrong:
        raise UserError(f"库“{full['title']}”：" + "；".join(f.text for f in wrong[:5]))
    _declare_library(full=full, extra={**extra, "declared": digest}, by=by)
    return True


@action("catalogue.import")
def _declare_library(*, full: dict[str, Any], extra: dict[str, Any], by: Actor) -> None:
    store.lock()
    old = Resource.objects.filter(kind=Resource.LIBRARY, name=full["name"]).first()
    if old is not None and old.code != full["code"]:
        Resource.objects.filter(pk=old.pk).update(code=full["code"])
    row = store.put(
        [full], publish=True, by=by, note="按标准包声明发布", extra={full["code"]: extra}
    )[0]
    _sync_edges()
    record("library.catalogued", row, by=by, data={"title": row.title, "code": row.code})


@action("catalogue.import")
def sync_declared(*, by: Actor) -> SyncReport:
    """Bring every pack's datasets into the catalogue, published as declared; unchanged ones stay.

    A declaration counts as changed when its own text changed: a version that an officer published
    since is not overwritten at every start. Findings of the rules are reported, not enforced:
    a pack is code under review, and a city must see what its packs lack.
    """
    store.lock()
    done = SyncReport(classes=sync_classes())
    around = world(by)
    declared = []
    for d in packs.declarations("datasets"):
        content = from_declared(d.data, around)
        extra = {
            "pack": d.pack,
            "declared": _digest(d.data),
            "contract": str(d.data.get("contract") or "evolve"),
            "rules": d.data.get("rules") or [],
            "items": d.data.get("items") or [],
            "key": d.data.get("key") or [],
        }
        declared.append((content, extra))
        wrong = [f for f in check(content, around) if f.severity == ERROR]
        if wrong:
            done.findings[d.name] = wrong
    known = dict(
        Resource.objects.filter(code__in=[c["code"] for c, _ in declared]).values_list(
            "code", "data__declared"
        )
    )
    changed = [(c, e) for c, e in declared if known.get(c["code"]) != e["declared"]]
    store.put(
        [c for c, _ in changed],
        publish=True,
        by=by,
        note="按标准包声明发布",
        extra={c["code"]: e for c, e in changed},
    )
    done.created = sum(c["code"] not in known for c, _ in changed)
    done.updated = len(changed) - done.created
    done.unchanged = len(declared) - len(changed)
    done.items = sum(len(c["items"]) for c, _ in changed)
    done.edges = _sync_edges()
    record(
        "catalogue.synced",
        "system:catalogue",
        by=by,
        data={
            "classes": done.classes,
            "created": done.created,
            "updated": done.updated,
            "unchanged": done.unchanged,
            "findings": {k: [f.text for f in v] for k, v in done.findings.items()},
        },
    )
    return done
