"""Told: what the law has a department hear: a notice, an answer, a day that comes, wrong rows set right.

Each is an event that names in `to` whom it concerns; who carries it there (inbox, mail, telephone)
listens to the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Grant, WorkItem
from lianyun.kernel.packs import declarations

from .. import queries, rules
from .terms import waiting


def tell_step(item: WorkItem, outcome: str, note: str, done: Case, by: Actor) -> None:
    """What a step means for the other side: what is to be added once, the answer, a term to keep."""
    case = done
    if case.applicant is None:
        return
    to, path = case.applicant.ref, case.path.key
    if path == "share_request" and outcome == "supplement":
        record(
            "share.supplement_asked",
            case,
            by=by,
            case=case,
            data={
                "to": to,
                "title": case.title,
                "note": note.strip()[:500],
                "provider": str(case.department or ""),
            },
        )
    word = rules.answer_word(item.step, outcome, case.outcome) if path == "share_request" else ""
    if word:
        record(
            "share.answered",
            case,
            by=by,
            case=case,
            data={
                "to": to,
                "title": case.title,
                "word": word,
                "reason": note.strip()[:500],
            },
        )
    rectify = waiting(case, "rectify") if path == "misuse" else None
    if rectify is not None:
        record(
            "misuse.rectify",
            case,
            by=by,
            case=case,
            data={
                "to": to,
                "title": case.title,
                "note": note.strip()[:500],
                "due_on": rectify.due_on.isoformat() if rectify.due_on else "",
            },
        )


@action("sharing.supervise")
def tell_days(*, by: Actor) -> dict[str, int]:
    """Every morning: whose legal day comes near or has passed is told, once for each step.

    Returns how many of each. A day that was moved is told anew.
    """
    told = {"due_soon": 0, "overdue": 0}
    for item in queries.waiting_with_a_day(by):
        left = item.days_left
        if left is None or item.department is None or item.due_on is None:
            continue
        if left > rules.near(item.declared.days):
            continue
        kind = "overdue" if left < 0 else "due_soon"
        mark = f"{item.pk}:{item.due_on.isoformat()}"
        if Event.objects.filter(
            subject=item.case.ref, kind=f"share.{kind}", data__mark=mark
        ).exists():
            continue
        data = {
            "to": item.department.ref,
            "title": item.case.title,
            "step": item.title,
            "due_on": item.due_on.isoformat(),
            "days": abs(left),
            "mark": mark,
        }
        if left < 0:
            record("share.overdue", item.case, by=by, case=item.case, data=data)
        else:
            record("share.due_soon", item.case, by=by, case=item.case, data=data)
        told[kind] += 1
    record("share.days_checked", "system:sharing", by=by, data=told)
    return told


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
