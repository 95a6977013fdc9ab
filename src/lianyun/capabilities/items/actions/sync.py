"""Sync: the items that packs declare come onto the list at install; what is so already is left alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lianyun.kernel import packs
from lianyun.kernel.action import action
from lianyun.kernel.event import record, record_many

from .. import queries
from ..models import Listing
from ..queries.around import around
from ..rules.checks import ERROR, check
from ..rules.content import digest, spelled
from ..rules.item import BadItem, read
from . import store

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Party


@dataclass
class SyncReport:
    """What packs brought: published, unchanged, and what is wrong by item."""

    published: int = 0
    unchanged: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)


def sync_declared(*, by: Actor) -> SyncReport:
    """Publish every declared item that changed since; one with errors stays a draft, with its faults.

    Raises BadItem where a declaration cannot be read at all.
    """
    parties = queries.departments(by)
    lean = around(parties)
    known = queries.known(by, parties)
    done = SyncReport()
    found = []
    for d in packs.declarations("items"):
        if d.data.get("code") != d.file.stem:
            raise BadItem(f"{d.pack}/items/{d.file.name}：code 应与文件同名")
        content = spelled(d.data, lean)
        found.append((d.pack, content, digest(content)))
    stands = dict(
        Listing.objects.filter(code__in=[c["code"] for _, c, _ in found]).values_list(
            "code", "declared"
        )
    )
    good: list[store.Ready] = []
    bad: list[store.Ready] = []
    for pack, content, mark in found:
        if stands.get(content["code"]) == mark:
            done.unchanged += 1
            continue
        item = read(content, lean)
        wrong = check(item, known)
        errors = [f.text for f in wrong if f.severity == ERROR]
        if wrong:
            done.findings[item.code] = [f.text for f in wrong]
        ready = store.Ready(item, content, pack, mark, len(errors))
        (bad if errors else good).append(ready)
    if good or bad:
        _keep(good=good, bad=bad, parties=parties, by=by)
    done.published = len(good)
    return done


@action(None)
def _keep(
    *, good: list[store.Ready], bad: list[store.Ready], parties: dict[str, Party], by: Actor
) -> None:
    store.lock()
    rows = store.put(good, publish=True, by=by, parties=parties, note="按标准包声明发布")
    told = "按标准包声明发布"
    record_many("item.published", [(r, {"title": told, "version": r.version}) for r in rows], by=by)
    store.put(bad, publish=False, by=by, parties=parties)
    record(
        "items.synced",
        "system:items",
        by=by,
        data={"published": len(good), "drafts": len(bad)},
    )
