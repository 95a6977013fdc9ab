"""Told: who read wrong rows hears when they are right."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Event, Grant
from lianyun.kernel.packs import declarations

from .. import queries


def on_corrected(event: Event) -> None:
    """Wrong rows were set right at their source: tell every department that had read them."""
    tell_receivers(told=event.data, by=SYSTEM)


@action("sharing.supervise")
def tell_receivers(*, told: Mapping[str, Any], by: Actor) -> int:
    """Tell the holders of grants who read wrong rows; returns how many were told.

    `told` is the data of a `quality.corrected` event. Its `key_hashes` are the wrong rows as call
    records name them: who called only for others is not troubled. Without them (too many rows, or
    no key) everybody who called meanwhile is told. A library that draws on the dataset carried
    the wrong rows as well, so its readers are told too. A second call tells nobody twice.
    """
    dataset = str(told["dataset"])
    names = [dataset, *(d.name for d in declarations("libraries") if _draws(d.data, dataset))]
    since = dt.datetime.fromisoformat(str(told["since"]))
    calls = audit.readers_since(by, names, since, told.get("key_hashes"))
    holders = Grant.objects.filter(code__in=calls).select_related("resource")
    count = 0
    for grant in holders:
        if queries.told_of(by, grant, str(told["case"])):
            continue
        called, exact = calls[grant.code]
        how = (
            f"查询过其中的记录 {exact} 次"
            if exact and told.get("key_hashes") is not None
            else f"调用过 {called} 次"
        )
        record(
            "receiver.told",
            grant,
            by=by,
            case=grant.case_id,
            data={
                "title": f"所用数据已更正：{grant.resource}",
                "note": f"校核件 {told['case']} 更正了 {told['rows']} 行；"
                f"更正前本授权{how}，请重新获取并复核据此作出的决定",
                "correction": str(told["case"]),
                "batch": told.get("batch"),
                "keys_hash": told.get("keys_hash"),
            },
        )
        count += 1
    record("receivers.checked", f"dataset:{dataset}", by=by, data={"told": count})
    return count


def _draws(library: Any, dataset: str) -> bool:
    """Whether a library's declaration names this dataset as a source, wherever in it."""
    if isinstance(library, Mapping):
        return library.get("dataset") == dataset or any(
            _draws(value, dataset) for value in library.values()
        )
    return isinstance(library, list) and any(_draws(value, dataset) for value in library)
