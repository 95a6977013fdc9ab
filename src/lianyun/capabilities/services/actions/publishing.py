"""Publishing: make a service from a dataset or library, change it, bring its rows up to date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import resource as resources
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import citizen_check_digit, credit_check_digit
from lianyun.kernel.event import record
from lianyun.kernel.models import Batch, Event, Resource

from .. import adapters, queries, rules
from ..models import Service

SHORTEST_SUNSET = 30
"""Days that an older version stays callable after its end was told."""
MOST_PER_DAY, MOST_PER_SECOND = 10_000_000, 10_000


@action(None)
def open_service(*, source: Resource, by: Actor) -> Service:
    """The query service of a dataset or library by its key: made where there is none, else refreshed.

    Called by the action that delivers a grant, which has asked for the permission. Raises UserError
    where there is nothing to publish yet.
    """
    adapters.lock(source.name)
    remote = Service.objects.filter(source=source, kind="federated").first()
    if remote is not None:
        # Its rows stay where they are: there is nothing to publish.
        record("service.confirmed", remote.resource, by=by, data={"source": source.ref})
        return remote
    have = Service.objects.filter(source=source, kind="query").order_by("version").first()
    if have is not None:
        _bring_up_to_date(source, by)
        have.refresh_from_db()
        return have
    fields = queries.fields(by, source)
    lookups = rules.lookups_of(queries.key_of(by, source), fields)
    if not lookups:
        raise UserError(f"“{source.title}”没有声明主键，无法生成查询服务")
    design = rules.Design(lookups=tuple(tuple(way) for way in lookups))
    return _make(source, "query", 1, fields, design, 0, 0, by, declared=True)


@action("services.design")
def design_service(
    *,
    source: Resource,
    kind: str,
    fields: Sequence[str],
    design: rules.Design,
    calls_per_day: int = 0,
    calls_per_second: int = 0,
    new_version: bool = False,
    by: Actor,
) -> Service:
    """Make a service as a data officer drew it up, or change it.

    A service in use may only be given more (look-ups, ranges, fields); what takes away becomes a
    new version beside the old one (`new_version`). Raises UserError with everything that is wrong.
    """
    if not by.may("services.manage"):
        by.require("services.design", source.owner)
    if source.kind not in (Resource.DATASET, Resource.LIBRARY):
        raise UserError("只能由数据集或基础库生成数据服务")
    known = queries.fields(by, source)
    chosen = [f for f in known if f.name in set(fields)]
    wrong = rules.problems(kind, design, chosen)
    if kind not in rules.DESIGNED:
        wrong["kind"] = "服务类型有误"
    if not chosen:
        wrong["fields"] = "请至少选择一个数据项"
    if not 0 <= calls_per_day <= MOST_PER_DAY:
        wrong["calls_per_day"] = f"每日次数上限应为 0 至 {MOST_PER_DAY:,}"
    if not 0 <= calls_per_second <= MOST_PER_SECOND:
        wrong["calls_per_second"] = f"每秒次数上限应为 0 至 {MOST_PER_SECOND:,}"
    if wrong:
        raise UserError("；".join(wrong.values()))
    adapters.lock(source.name)
    last = Service.objects.filter(source=source, kind=kind).order_by("-version").first()
    if last is None:
        return _make(source, kind, 1, chosen, design, calls_per_day, calls_per_second, by)
    if new_version:
        return _make(
            source, kind, last.version + 1, chosen, design, calls_per_day, calls_per_second, by
        )
    if lost := rules.taken_away(
        kind, last.columns, last.lookups, last.design, [f.name for f in chosen], design
    ):
        raise UserError(
            f"正在提供的服务只能增加内容（缺少：{'、'.join(lost)}）；要减少，请发布为新版本"
        )
    return _make(source, kind, last.version, chosen, design, calls_per_day, calls_per_second, by)


@action("services.design")
def end_version(*, service: Service, on: dt.date, by: Actor) -> None:
    """Tell callers of an older version on which day it stops; a newer one must stand beside it.

    To end a service altogether is a matter between the departments (Order 809 art. 27) and done on
    the grants.
    """
    if not by.may("services.manage"):
        by.require("services.design", service.source.owner)
    newer = Service.objects.filter(
        source=service.source, kind=service.kind, version__gt=service.version
    )
    if not newer.exists():
        raise UserError(
            "没有更新的版本，不能停止：停止共享须与使用部门协商并备案（条例第二十七条）"
        )
    if on < timezone.localdate() + dt.timedelta(days=SHORTEST_SUNSET):
        raise UserError(f"停止日期应在 {SHORTEST_SUNSET} 天以后，以便调用方切换")
    row = Service.objects.get(pk=service.pk)
    row.sunset_on = on
    row.save(update_fields=["sunset_on"])
    record("version.ending", row.resource, by=by, data={"on": on.isoformat()})


def _make(
    source: Resource,
    kind: str,
    version: int,
    fields: Sequence[rules.Field],
    design: rules.Design,
    calls_per_day: int,
    calls_per_second: int,
    by: Actor,
    *,
    declared: bool = False,
) -> Service:
    """Write a service, with its table where none stands yet.

    A `declared` one is drawn from the declaration alone, has no design, and follows it.
    """
    lookups = [list(way) for way in design.lookups]
    other = _placed(source).first()
    wanted = {f.name for f in fields} | {c for way in lookups for c in way}
    placed = adapters.placed(source.name) if other is not None else ()
    if other is not None and wanted <= set(placed):
        state = {"table": other.table, "rows": other.rows, "batch": other.batch}
        state["published_at"] = other.published_at
        columns = placed
        adapters.add_indexes(source.name, _indexes(source, by, [(lookups, design.ranges)]))
    else:
        published = _publish(source, by, [(lookups, design.ranges)])
        state = {"table": published.table, "rows": published.rows, "batch": published.batch}
        state["published_at"] = timezone.now()
        columns = published.columns
        _placed(source).update(**state)
    title = f"{source.title}{rules.KINDS[kind]}"
    tail = "" if version == 1 else f"_v{version}"
    code = f"SV/{source.code}" if kind == "query" else f"SV/{kind}/{source.code}"
    made, _ = resources.register(
        code=f"{code[: 80 - len(tail)]}{tail}",
        name=f"{source.name[: 62 - len(kind) - len(tail)]}_{kind}{tail}",
        kind=Resource.SERVICE,
        title=title if version == 1 else f"{title}（第 {version} 版）",
        owner=source.owner,
        level=source.level,
        terms=source.terms,
        data={"source": source.ref, "lookups": lookups, "kind": kind, "version": version},
    )
    kept = [asdict(f) for f in fields if f.name in columns]
    service, _ = Service.objects.update_or_create(
        source=source,
        kind=kind,
        version=version,
        defaults={
            "resource": made,
            "lookups": [way for way in lookups if set(way) <= set(columns)],
            "columns": kept,
            "design": {} if declared else design.data(kind),
            "calls_per_day": calls_per_day,
            "calls_per_second": calls_per_second,
            **state,
        },
    )
    snapshot = {"columns": kept, "lookups": lookups, "design": service.design}
    last = made.versions.order_by("-number").first()
    if last is None or last.snapshot != snapshot:
        resources.publish(made, snapshot, by=by)
    _simulate(source, by)
    catalogue.register_lineage(
        origin=made.ref,
        edges=[(source.ref, source.title, made.ref, made.title, rules.KINDS[kind])],
        by=by,
    )
    record("service.published", made, by=by, data={"source": source.ref, "rows": service.rows})
    return service


def _placed(source: Resource) -> QuerySet[Service]:
    """The services of a source that read its served table."""
    return Service.objects.filter(source=source, kind__in=rules.DESIGNED).exclude(table="")


def _indexes(
    source: Resource, by: Actor, more: Sequence[tuple[Sequence[Sequence[str]], Sequence[str]]] = ()
) -> list[list[str]]:
    """The indexes that all services of a source need: each condition, then the key for the pages."""
    key = queries.key_of(by, source)
    wanted = [
        *((s.lookups, s.design.get("ranges", ())) for s in _placed(source)),
        *more,
    ]
    out: list[list[str]] = []
    for lookups, ranges in wanted:
        for way in [*lookups, *([c] for c in ranges)]:
            index = list(dict.fromkeys([*way, *key]))
            if list(way) != key and index not in out:
                out.append(index)
    return out


def _publish(
    source: Resource,
    by: Actor,
    more: Sequence[tuple[Sequence[Sequence[str]], Sequence[str]]] = (),
) -> adapters.Published:
    """Copy the whole source anew."""
    fields = queries.fields(by, source)
    key = queries.key_of(by, source)
    if not key:
        found = rules.lookups_of(key, fields)
        key = found[0] if found else []
    return adapters.publish(
        source.kind, source.name, [f.name for f in fields], key, _indexes(source, by, more)
    )


def _bring_up_to_date(source: Resource, by: Actor) -> None:
    """Apply what has changed since the last time, or copy anew where that is not possible."""
    services = list(_placed(source).select_related("resource"))
    fields = queries.fields(by, source)
    key = queries.key_of(by, source)
    first = services[0]
    followed = adapters.follow(
        source.kind, source.name, [f.name for f in fields], key, first.batch, first.rows
    )
    published = followed or _publish(source, by)
    by_name = {f.name: asdict(f) for f in fields}
    for service in services:
        columns = [
            by_name.get(c["name"], c) for c in service.columns if c["name"] in published.columns
        ]
        if not service.design:
            # It follows the declaration: a new column is given as well.
            columns = [by_name[f.name] for f in fields if f.name in published.columns]
        service.table, service.rows = published.table, published.rows
        service.batch, service.columns = published.batch, columns
        service.published_at = timezone.now()
        service.save(update_fields=["table", "rows", "batch", "columns", "published_at"])
    if not followed:
        _simulate(source, by)
    record(
        "service.published",
        first.resource,
        by=by,
        data={
            "source": source.ref,
            "rows": published.rows,
            "way": "changes" if followed else "whole",
        },
    )


def _simulate(source: Resource, by: Actor) -> None:
    """Fill the test environment's table with invented rows, where its columns are not right already."""
    fields = queries.fields(by, source)
    key = queries.key_of(by, source)
    codes = queries.codes_of(by, fields)
    rows: list[dict[str, Any]] = rules.invented_rows(
        fields, key, codes, {"citizen": citizen_check_digit, "credit": credit_check_digit}
    )
    adapters.simulate(source.name, rows, key)


@action("services.manage")
def refresh_service(*, service: Service, by: Actor) -> Service:
    """Publish a service's data anew by hand, whole."""
    source = service.source
    adapters.lock(source.name)
    _placed(source).update(batch="")
    _bring_up_to_date(source, by)
    service.refresh_from_db()
    return service


def on_batch_finished(event: Event) -> None:
    """A dataset has new rows: bring its service's table up to date. A second call changes nothing."""
    batch = Batch.objects.filter(code=event.subject.removeprefix("batch:")).first()
    if batch is not None and not any(
        batch.outcome.get(k, 1) for k in ("inserted", "updated", "deleted")
    ):
        return
    _refresh(str(event.data.get("resource", "")))


def on_library_built(event: Event) -> None:
    """A library was merged anew: bring its service's table up to date."""
    _refresh(str(event.data.get("resource", "")))


def _refresh(name: str) -> None:
    source = Resource.objects.filter(name=name).first()
    if source is not None and _placed(source).exists():
        renew(source=source, by=SYSTEM)


@action(None)
def renew(*, source: Resource, by: Actor) -> None:
    """Bring all services of a source up to date after a load or a building."""
    adapters.lock(source.name)
    _bring_up_to_date(source, by)
