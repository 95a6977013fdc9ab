"""Actions: bring declared libraries into the catalogue, build them, read a record, send back conflicts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.quality import api as quality
from lianyun.kernel import case as cases
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.case import bureau
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Resource

from . import adapters, queries, rules
from .models import Merging

RUN = "lianyun.run"
WAIT_SECONDS = 20
"""How long a refresh waits for further batches of the same night."""

SHARE = {
    "type": 2,
    "conditions": "限行政机关履行法定职责且确有必要时使用，按批准的数据项、用途和期限提供",
    "basis": "《政务数据共享条例》第十四条、第十五条",
    "method": "服务接口",
}


@action("libraries.run")
def sync_libraries(*, by: Actor) -> int:
    """Bring every library that a pack declares into the catalogue, published by the bureau."""
    owner, count = bureau(), 0
    for found in packs.declarations("libraries"):
        one = queries.rule(found.name)
        share = {**SHARE, **(found.data.get("share") or {})}
        datasets = [packs.declaration("datasets", d).data for d in one.datasets]
        keys = found.data["key"] if isinstance(found.data["key"], list) else [found.data["key"]]
        items = [
            {
                "name": f["name"],
                "title": f.get("title") or "",
                "element": f.get("element") or "",
                "type": f.get("type") or "",
                "format": f.get("format") or "",
                "required": f["name"] in keys,
            }
            for f in found.data["fields"]
        ]
        if one.form == "golden" and keys[0] not in {f["name"] for f in found.data["fields"]}:
            items.insert(0, {"name": keys[0], "element": keys[0], "required": True})
        changed = catalogue.declare_library(
            owner=owner,
            content={
                "name": one.name,
                "title": one.title,
                "class": str(found.data["class"]),
                "serial": str(found.data["serial"]),
                "summary": one.summary,
                "format": "数据库",
                "cycle": str(found.data.get("cycle") or "每日"),
                "level": int(found.data.get("level") or 3),
                "share": share,
                "open": {"type": 0},
                "key": keys,
                "related": [f"{d['class']}/{d['serial']}" for d in datasets],
                "items": items,
            },
            extra={"datasets": list(one.datasets), "form": one.form},
            by=SYSTEM,  # what a pack declares is no officer's entry
        )
        count += changed
    record("libraries.declared", "system:libraries", by=by, data={"changed": count})
    return count


def on_packs_installed(event: Event) -> None:
    """The packs were installed: the libraries they declare exist from now on."""
    sync_libraries(by=SYSTEM)


def on_batch_finished(event: Event) -> None:
    """A source has new rows: refresh the libraries that draw on it, once for many batches."""
    name = str(event.data.get("resource", ""))
    for library in queries.rule_names():
        built = Merging.objects.filter(library__name=library).exclude(finished_at=None).exists()
        if built and name in queries.rule(library).datasets:
            _enqueue(library, WAIT_SECONDS)


def _enqueue(library: str, wait: int = 0) -> bool:
    """Queue a building; one that waits already takes ours along."""
    task = app.configure_task(
        RUN,
        queue="jobs",
        queueing_lock=f"library:{library}",
        lock=f"library:{library}",
        schedule_in={"seconds": wait} if wait else None,
    )
    try:
        with transaction.atomic():
            task.defer(
                path="lianyun.capabilities.libraries.jobs.build", arguments={"name": library}
            )
    except exceptions.AlreadyEnqueued:
        return False
    return True


@action("libraries.run")
def queue_build(*, name: str, by: Actor) -> bool:
    """Ask for a building in the background; returns False where one waits already."""
    queued = _enqueue(name)
    record("library.queued", f"library:{name}", by=by, data={"queued": queued})
    return queued


def build_library(*, name: str, by: Actor, whole: bool = False) -> Merging:
    """Merge a library's sources into golden records: what changed since last time, or all.

    The merge is its own transaction in the lake; a run that dies leaves the library as it was.
    Raises UserError and Denied; a failure is on record either way.
    """
    by.require("libraries.run")
    library = Resource.objects.filter(kind=Resource.LIBRARY, name=name).first()
    if library is None:
        sync_libraries(by=by)
        library = Resource.objects.get(kind=Resource.LIBRARY, name=name)
    since = None if whole else queries.new_batches(name)
    code = f"l{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(3)}"
    run = _begin(library=library, code=code, whole=since is None, by=by)
    try:
        made = adapters.merge(queries.rule(name), code, since)
    except Exception as error:
        _fail(run=run, error=str(error), by=by)
        raise
    _finish(run=run, counts=vars(made), by=by)
    return run


@action("libraries.run")
def _begin(*, library: Resource, code: str, whole: bool, by: Actor) -> Merging:
    run = Merging.objects.create(code=code, library=library, whole=whole)
    record("library.started", library, by=by, data={"merging": code, "whole": whole})
    return run


@action("libraries.run")
def _finish(*, run: Merging, counts: dict[str, Any], by: Actor) -> None:
    fields = ("entities", "inserted", "updated", "deleted", "unchanged", "conflicts")
    for name in fields:
        setattr(run, name, counts[name])
    run.whole, run.touched = counts["whole"], counts["touched"]
    run.counts = {name: counts[name] for name in ("fields", "freshness", "extra")}
    run.finished_at = timezone.now()
    run.save()
    record(
        "library.built",
        run.library,
        by=by,
        data={
            "resource": run.library.name,
            "merging": run.code,
            **{name: counts[name] for name in fields},
        },
    )


@action("libraries.run")
def _fail(*, run: Merging, error: str, by: Actor) -> None:
    run.error = error[:2000] or "失败"
    run.finished_at = timezone.now()
    run.save()
    record(
        "library.failed", run.library, by=by, data={"merging": run.code, "error": run.error[:500]}
    )


@action("libraries.look_up")
def look_up(
    *, name: str, key: str, purpose: str, by: Actor, reveal: bool = False
) -> list[queries.Value] | None:
    """Read one record for a purpose; the reading is on record before anything is shown.

    The person sees it on 谁看过我的数据. In clear only with `libraries.reveal`.
    """
    plain = _asked(name, key, purpose)
    found = queries.record(by, name, plain, reveal=reveal)
    _read(name, plain, purpose, 1 if found else 0, reveal, by)
    return found


@action("libraries.look_up")
def look_up_rows(
    *, name: str, key: str, purpose: str, by: Actor, reveal: bool = False
) -> list[queries.Fact]:
    """Read a list's rows of one holder for a purpose; on record like `look_up`."""
    plain = _asked(name, key, purpose)
    found = queries.rows_of(by, name, plain, reveal=reveal)
    _read(name, plain, purpose, len(found), reveal, by)
    return found


def _asked(name: str, key: str, purpose: str) -> str:
    if len(purpose.strip()) < 2:
        raise UserError("请写明查阅的用途，将记入调用记录并向本人公开")
    return queries.checked_key(name, key)


def _read(name: str, key: str, purpose: str, rows: int, reveal: bool, by: Actor) -> None:
    audit.record_reading(
        by=by,
        resource=name,
        people=[key],
        purpose=f"{purpose.strip()}（明文）" if reveal else purpose.strip(),
        rows=rows,
    )
    record(
        "record.read",
        f"library:{name}",
        by=by,
        data={"key": audit.keyed_hash(key), "reveal": reveal, "found": rows > 0},
    )


@action("libraries.resolve")
def send_back(*, name: str, tokens: Sequence[str], by: Actor, dataset: str = "") -> list[Case]:
    """Send contradictions back to the departments whose value lost, as correction cases (art. 26).

    `tokens` are places in the list of contradictions (narrowed to `dataset` if given). The same
    value is not sent twice while its case is open. Returns the cases, old and new.
    """
    one, known = queries.rule(name), queries.titles(by)
    made: list[Case] = []
    for token in tokens[:200]:
        place = token.partition("-")[0]
        if not place.isdecimal():
            raise UserError("请选择要退回的冲突")
        for quarrel in adapters.quarrels(one, dataset=dataset or None, offset=int(place), limit=1):
            if queries.token(quarrel, int(place)) != token:
                raise UserError("列表在此期间已更新，请刷新后重新选择")
            made += _send_one(one, quarrel, known, by)
    if not made:
        raise UserError("所选冲突已不存在，或没有可退回的部门")
    record(
        "conflicts.returned",
        f"library:{name}",
        by=by,
        data={"cases": [c.code for c in made][:200]},
    )
    return made


def _send_one(
    one: rules.LibraryRule,
    quarrel: dict[str, object],
    known: dict[str, tuple[str, str]],
    by: Actor,
) -> list[Case]:
    values, chosen = quarrel["values"], quarrel["chosen"]
    assert isinstance(values, dict)
    field = next(f for f in one.fields if f.name == quarrel["field"])
    winners = [known.get(d, (d, d))[1] for d, v in values.items() if v == chosen]
    out = []
    for dataset in rules.losers(values, chosen):
        resource = Resource.objects.select_related("owner").filter(name=dataset).first()
        source = next(s for s in field.sources if s.dataset == dataset)
        if resource is None:
            continue
        told = rules.complaint(field.title, one.title, str(values[dataset]), str(chosen), winners)
        if catalogue_key(resource) == [source.key]:
            case = quality.report_error(
                dataset=dataset,
                key={source.key: quarrel["entity"]},
                item=source.column,
                told=told,
                by=by,
            )
        else:
            word = audit.keyed_hash(f"{one.name}:{field.name}:{dataset}:{quarrel['entity']}")
            case = cases.open_case(
                "correction",
                title=f"{resource.title}：{field.title}与其他部门不一致",
                subject=resource,
                applicant=by.department,
                department=resource.owner,
                data={
                    "dataset": dataset,
                    "rule": f"conflict.{source.column}",
                    "entity": str(quarrel["entity"]),
                    "told": told,
                },
                once=f"conflict:{word}",
                by=by,
            )
        out.append(case)
    return out


def catalogue_key(resource: Resource) -> list[str]:
    """The key items of a dataset."""
    return [i.name for i in catalogue.items_of(resource) if i.key] or list(
        resource.data.get("key") or []
    )
