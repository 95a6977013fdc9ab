"""Actions: every write of collection: sources, loads, corrections, uses, and the sweep of dead loads.

A load is three steps, for it may last long: `begin` (an action: permission, Batch, event), then the
lake's own transaction, then `close` or `give_up` (actions again). Between them nothing is visible.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import batch as kernel_batch
from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.indicator import measure
from lianyun.kernel.models import Batch, Indicator, Party, Resource
from lianyun.lake import history, land, merge
from lianyun.lake.infer import ascii_name
from lianyun.lake.shelves import LakeError

from . import adapters, queries, rules
from .models import Correction, Source, Use

if TYPE_CHECKING:
    import pyarrow as pa

    from lianyun.kernel.access import Actor

log = logging.getLogger("lianyun.collection")

RUN = "lianyun.run"
RUN_BATCH = "lianyun.capabilities.collection.jobs.run_batch"
GRACE = dt.timedelta(seconds=30)
"""How long a fresh batch may be without a sign of life before it counts as dead."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,79}")
Opener = Callable[[], land.Source]


# ---- sources -----------------------------------------------------------------------------


def _owner(*, dataset: str, **_: Any) -> Party:
    return queries.dataset(dataset).owner


def _owner_of_source(*, source: Source, **_: Any) -> Party:
    return source.resource.owner


def _owner_of_batch(*, batch: Batch, **_: Any) -> Party:
    return batch.resource.owner


def _checked(
    kind: str,
    location: str,
    options: Mapping[str, Any],
    mode: str,
    watermark: str,
    schedule: str,
    vouched: bool,
) -> None:
    if kind not in rules.KINDS:
        raise UserError(f"不支持的来源类型“{kind}”")
    if mode not in rules.MODES:
        raise UserError(f"不支持的归集方式“{mode}”")
    if not location.strip():
        raise UserError("请填写来源地址")
    if kind in ("postgresql", "mysql", "sqlite") and not (
        options.get("table") or options.get("query")
    ):
        raise UserError("数据库来源需要填写表名")
    if kind in (*rules.DATABASE_KINDS, "http"):
        adapters.checked_host(location, vouched)
    if "@" in location and ":" in location.split("@")[0].split("//")[-1]:
        raise UserError("请不要把密码写在地址里，密码请填写在“密码”一栏，将加密保存")
    if watermark and kind not in ("postgresql", "mysql", "sqlite", "http"):
        raise UserError("只有数据库和接口来源可以指定增量字段；文件的增量由系统与上次内容比对得出")
    if schedule:
        _next_run(schedule)


def _next_run(schedule: str) -> dt.datetime:
    try:
        return rules.next_run(schedule, timezone.localtime())
    except rules.BadSchedule as error:
        raise UserError(str(error)) from error


@action("collection.edit", department=_owner)
def register_source(
    *,
    dataset: str,
    name: str,
    title: str = "",
    kind: str,
    location: str,
    options: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str] | None = None,
    mode: str = "full",
    watermark: str = "",
    schedule: str = "",
    enabled: bool = True,
    replace: bool = False,
    by: Actor,
) -> Source:
    """Register a source of a dataset; with `replace` an existing one of this name is changed.

    Credentials (`user`, `password`, `token`) are stored encrypted; without new ones the old stay.
    Raises UserError with what is wrong.
    """
    resource = queries.dataset(dataset)
    if not _NAME.fullmatch(name):
        raise UserError("来源标识以小写字母开头，只能用小写字母、数字、下划线和连字符")
    old = Source.objects.select_for_update().filter(name=name).first()
    if old is not None and (not replace or old.resource_id != resource.pk):
        raise UserError(f"已有名为“{name}”的数据源，请换一个标识")
    vouched = by.everything
    _checked(kind, location, options or {}, mode, watermark, schedule, vouched)
    row = old or Source(name=name, resource=resource)
    moved = old is not None and (old.kind, old.location) != (kind, location.strip())
    if old is not None and (old.mode, old.watermark, old.kind, old.location) != (
        mode,
        watermark,
        kind,
        location.strip(),
    ):
        row.last_watermark = ""
    row.title = title or f"{resource.title}（{rules.KINDS[kind]}）"
    row.kind, row.location, row.options = kind, location.strip(), dict(options or {})
    row.mode, row.watermark, row.schedule = mode, watermark, schedule
    row.enabled, row.vouched = enabled, vouched
    row.due_at = _next_run(schedule) if schedule else None
    if credentials and any(credentials.values()):
        row.secret = adapters.encrypt(dict(credentials), row.ref)
    elif moved:
        # Somebody who points a source elsewhere must not carry the old place's password there.
        row.secret = ""
    row.save()
    record(
        "source.changed" if old else "source.registered",
        row,
        by=by,
        data={"dataset": resource.name, "kind": kind, "mode": mode, "schedule": schedule},
    )
    return row


@action("collection.edit", department=_owner_of_source)
def enable_source(*, source: Source, enabled: bool, by: Actor) -> None:
    """Let a source run by its schedule, or stop it."""
    source.enabled = enabled
    source.due_at = _next_run(source.schedule) if enabled and source.schedule else None
    source.save(update_fields=["enabled", "due_at"])
    record("source.enabled" if enabled else "source.disabled", source, by=by)


@action("collection.edit", department=_owner_of_source)
def remove_source(*, source: Source, by: Actor) -> None:
    """Forget a source and its credentials; what it brought stays."""
    if queries.running(source, by) is not None:
        raise UserError("该来源正在归集，完成后才能移除")
    record("source.removed", source, by=by, data={"dataset": source.resource.name})
    source.delete()


@action("collection.edit", department=_owner_of_source)
def test_source(*, source: Source, by: Actor) -> dict[str, Any]:
    """Connect and read the head: `{"ok", "message", "columns", "matched", "missing"}` in Chinese."""
    try:
        opened = adapters.open_source(
            source.kind,
            source.location,
            source.options,
            adapters.decrypt(source.secret, source.ref),
            vouched=source.vouched,
        )
        spec = queries.dataset_spec(source.resource)
        found = set(land.match_columns(opened.columns, spec.items).values())
        missing = [i.title for i in spec.items if i.required and i.name not in found]
        result = {
            "ok": not missing,
            "message": (
                f"连接成功，共 {len(opened.columns)} 列，对应上 {len(found)} 个数据项"
                + (f"；缺少必填项：{'、'.join(missing)}" if missing else "")
            ),
            "columns": list(opened.columns),
            "matched": sorted(found),
            "missing": missing,
        }
    except (UserError, LakeError) as error:
        result = {"ok": False, "message": str(error), "columns": [], "matched": [], "missing": []}
    record("source.tested", source, by=by, data={"ok": result["ok"], "message": result["message"]})
    return result


# ---- a load ------------------------------------------------------------------------------


def _enqueue(batch: Batch) -> None:
    """Queue the load of a batch; the job exists only if the caller's transaction commits."""
    app.configure_task(RUN, queue="jobs", queueing_lock=batch.code).defer(
        path=RUN_BATCH, arguments={"batch": batch.code}
    )


def _begin(resource: Resource, source_ref: str, mode: str, by: Actor, **asked: Any) -> Batch:
    if resource.kind != Resource.DATASET:
        raise UserError(f"“{resource.title}”不是数据集，不能直接装载")
    if resource.state == Resource.WITHDRAWN:
        raise UserError(f"“{resource.title}”已撤销，不能再归集")
    batch = kernel_batch.start(resource, source_ref=source_ref[:300], mode=mode, by=by)
    if asked:
        batch.outcome = {"asked": asked}
        batch.save(update_fields=["outcome"])
    return batch


@action("collection.run", department=_owner_of_source)
def begin_source(*, source: Source, by: Actor, allow_shrink: bool = False) -> Batch:
    """Open a batch for a source; a source that runs already says so (UserError).

    `allow_shrink` lets a full load delete more than half of the rows.
    """
    row = (
        Source.objects.select_for_update(of=("self",)).select_related("resource").get(pk=source.pk)
    )
    now = queries.running(row, by)
    if now is not None:
        raise UserError(
            f"该来源正在归集（批次 {now.code}，已完成 {now.progress:.0%}），请等待完成后再运行"
        )
    if not row.enabled:
        raise UserError("该来源已停用，启用后才能运行")
    asked = {"allow_shrink": True} if allow_shrink else {}
    return _begin(row.resource, row.ref, row.mode, by, **asked)


@action("collection.run", department=_owner_of_source)
def run_source(*, source: Source, by: Actor, allow_shrink: bool = False) -> Batch:
    """Queue a load of a source for the worker (see `begin_source`)."""
    batch = begin_source(source=source, by=by, allow_shrink=allow_shrink)
    batch.report(0, "排队等待")
    _enqueue(batch)
    return batch


def run_now(*, source: Source, by: Actor, allow_shrink: bool = False) -> Batch:
    """Load a source in this process instead of the queue; returns the batch at its end."""
    batch = begin_source(source=source, by=by, allow_shrink=allow_shrink)
    return carry_queued(batch.code, by=by)


@action("collection.run", department=_owner)
def begin_file(
    *, dataset: str, label: str, mode: str = "incremental", by: Actor, **asked: Any
) -> Batch:
    """Open the batch of a file that the caller will load at once."""
    return _begin(queries.dataset(dataset), label, mode, by, **asked)


@action("collection.run", department=_owner)
def queue_upload(
    *, dataset: str, token: str, mode: str = "incremental", sheet: str = "", by: Actor
) -> Batch:
    """Queue the load of a file that this person uploaded."""
    path = adapters.upload_path(token, by.ref)
    batch = _begin(
        queries.dataset(dataset), f"upload:{path.name}", mode, by, path=str(path), sheet=sheet
    )
    batch.report(0, "排队等待")
    _enqueue(batch)
    return batch


@action("collection.run", department=_owner_of_batch)
def close(*, batch: Batch, outcome: merge.Outcome, by: Actor, supplied: str | None = None) -> Batch:
    """Record what the lake counted; the batch is then finished. `supplied`: the date of its file."""
    kernel_batch.finish(batch, queries.counted(outcome, batch.resource, supplied), by=by)
    return batch


@action("collection.run", department=_owner_of_batch)
def give_up(*, batch: Batch, error: str, by: Actor) -> Batch:
    """Record that a load died and why; nothing of it is in the lake."""
    kernel_batch.fail(batch, error, by=by)
    return batch


def _note_watermark(batch: Batch, value: str | None) -> None:
    kind, _, name = batch.source_ref.partition(":")
    if kind == "source" and value:
        Source.objects.filter(name=name).update(last_watermark=value[:100])


def _progress(batch: Batch) -> Callable[[float, str], None]:
    """Tell the batch's progress at most twice a second: each telling is a write."""
    last = 0.0

    def tell(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5:
            last = now
            batch.report(fraction, message)

    return tell


def carry(
    batch: Batch,
    opener: Opener,
    *,
    by: Actor,
    watermark: str = "",
    allow_shrink: bool = False,
    corrects: str | None = None,
    dated: Callable[[], str | None] = lambda: None,
    gone: Callable[[], pa.Table | None] = lambda: None,
) -> Batch:
    """Load a begun batch to its end, in this process; safe to call again after a crash.

    If the lake has committed the batch before, only its verdict is recorded. `gone` reads the keys
    of rows that the source has no more (see lake.merge.load). Whatever goes wrong
    closes the batch as failed with a message for an officer. Returns the batch as it then stands.
    """
    with adapters.alive(batch.pk) as mine:
        if not mine:
            raise UserError(f"批次 {batch.code} 正由另一个进程归集")
        batch.refresh_from_db()
        if batch.state != Batch.RUNNING:
            return batch
        try:
            done = merge.outcome_of(adapters.lake(), batch.code)
            if done is None:
                batch.report(0.01, "正在连接来源")
                spec = queries.dataset_spec(batch.resource, watermark)
                done = merge.load(
                    adapters.lake(),
                    spec,
                    opener(),
                    mode=batch.mode,
                    batch=batch.code,
                    progress=_progress(batch),
                    allow_shrink=allow_shrink,
                    corrects=corrects,
                    gone=gone(),
                )
            close(batch=batch, outcome=done, by=by, supplied=dated())
            _note_watermark(batch, done.watermark)
        except (LakeError, UserError) as error:
            give_up(batch=batch, error=str(error), by=by)
        except MemoryError:
            give_up(batch=batch, error="内存不足，本批次未写入任何数据；请拆分文件后重试", by=by)
        except Exception as error:
            log.exception("batch %s failed", batch.code)
            give_up(
                batch=batch,
                error=f"归集时出现意外错误，本批次未写入任何数据：{type(error).__name__}",
                by=by,
            )
    return batch


def _source_opener(source: Source) -> Opener:
    return lambda: adapters.open_source(
        source.kind,
        source.location,
        source.options,
        adapters.decrypt(source.secret, source.ref),
        vouched=source.vouched,
        watermark=source.watermark if source.mode == "incremental" else "",
        since=(source.last_watermark or None) if source.mode == "incremental" else None,
    )


def carry_queued(code: str, *, by: Actor) -> Batch:
    """Load a batch from the queue, whatever it reads: a registered source or an upload."""
    batch = Batch.objects.select_related("resource__owner").get(code=code)
    kind, _, name = batch.source_ref.partition(":")
    asked = batch.outcome.get("asked") or {}
    if kind == "source":
        source = Source.objects.select_related("resource").get(name=name)
        return carry(
            batch,
            _source_opener(source),
            by=by,
            watermark=source.watermark if source.mode == "incremental" else "",
            allow_shrink=bool(asked.get("allow_shrink")),
            dated=lambda: adapters.file_date(source.kind, source.location, source.vouched),
        )
    path = Path(asked.get("path", ""))
    made = carry(
        batch,
        lambda: land.open_file(path, asked.get("sheet") or None),
        by=by,
        allow_shrink=bool(asked.get("allow_shrink")),
    )
    if made.state == Batch.SUCCEEDED:
        adapters.drop_upload(path)
    return made


def load_file(
    dataset: str,
    path: Path,
    *,
    mode: str = "incremental",
    sheet: str = "",
    allow_shrink: bool = False,
    by: Actor,
) -> Batch:
    """Load a file into a dataset in this process (the command line's way); returns the batch.

    mode `incremental` merges by key; `full` also removes rows that the file no longer has.
    """
    if not path.is_file():
        raise UserError(f"找不到文件“{path}”")
    batch = begin_file(dataset=dataset, label=f"file:{path.name}", mode=mode, by=by)
    return carry(
        batch,
        lambda: land.open_file(path, sheet or None),
        by=by,
        allow_shrink=allow_shrink,
        dated=lambda: adapters.date_of(path),
    )


# ---- rejected rows, set right ------------------------------------------------------------


@action("collection.run", department=_owner_of_batch)
def begin_correction(*, batch: Batch, label: str, by: Actor) -> Batch:
    """Open the batch that brings the corrected rows of another one, merging them by key."""
    if batch.state != Batch.SUCCEEDED:
        raise UserError("只有已完成的批次才能更正拒收的行")
    made = _begin(batch.resource, f"corrected:{label}", "incremental", by)
    Correction.objects.create(batch=made, of=batch)
    return made


def correct_rejected(
    batch: Batch, rows: Sequence[tuple[int, Mapping[str, str]]], *, by: Actor
) -> Batch:
    """Bring rejected rows again as an officer corrected them: (line, item → text) pairs.

    They pass the same checks; those that fail are rejected again, in the new batch.
    """
    if not rows:
        raise UserError("没有需要提交的更正行")
    names = list(dict.fromkeys(name for _, values in rows for name in values))
    known = {
        row.line for row in queries.rejected(batch, by, limit=1_000_000) if not row.corrected_by
    }
    strange = [line for line, _ in rows if line not in known]
    if strange:
        raise UserError(
            f"第 {'、'.join(map(str, strange[:5]))} 行不在本批次待更正的拒收行中，请核对“行号”一列"
        )
    made = begin_correction(batch=batch, label=batch.code, by=by)
    lines = [(line, [values.get(name) for name in names]) for line, values in rows]
    return carry(made, lambda: land.from_rows(names, lines), by=by, corrects=batch.code)


def correct_by_file(batch: Batch, path: Path, *, by: Actor) -> Batch:
    """Bring rejected rows again from the file that was downloaded and corrected.

    The file must keep the column 行号, by which each row finds the one it replaces.
    """
    try:
        rows = adapters.rows_of(path)
    except LakeError as error:
        raise UserError(f"更正文件读不出来：{error}") from error
    number, reason = queries.REJECT_COLUMNS
    corrected = []
    for row in rows:
        line = (row.pop(number, None) or "").strip()
        if not line.isdecimal():
            raise UserError(f"更正文件必须保留“{number}”一列，且每行都有行号")
        row.pop(reason, None)
        row.pop("原文", None)
        if any((value or "").strip() for value in row.values()):
            corrected.append((int(line), {k: v or "" for k, v in row.items()}))
    return correct_rejected(batch, corrected, by=by)


# ---- a batch taken back ------------------------------------------------------------------


@action("collection.run", department=_owner_of_batch)
def begin_undo(*, batch: Batch, reason: str, by: Actor) -> Batch:
    """Open the batch that takes another one back; raises UserError where that cannot be."""
    if not reason.strip():
        raise UserError("请写明撤回原因")
    queries.undo_plan(batch, by)
    if queries.undone_by(batch, by):
        raise UserError(f"批次 {batch.code} 已经撤回或正在撤回")
    made = _begin(batch.resource, f"undo:{batch.code}", rules.UNDO, by)
    record("batch.taken_back", batch, by=by, data={"by": made.code, "reason": reason.strip()})
    return made


def take_back(batch: Batch, reason: str, *, by: Actor) -> Batch:
    """Take a batch back as a batch of its own; what later batches changed stays as it is.

    A source that reads from a watermark goes back to that of the load before, so that its next run
    brings again what was taken back. Returns the batch that did it, as it then stands.
    """
    made = begin_undo(batch=batch, reason=reason, by=by)
    with adapters.alive(made.pk):
        try:
            done = history.take_back(
                adapters.lake(), batch.resource.name, batch.code, made.code, wait=60
            )
            close(batch=made, outcome=done, by=by)
            _rewind(batch)
        except LakeError as error:
            give_up(batch=made, error=str(error), by=by)
    return made


def _rewind(batch: Batch) -> None:
    """Put a source's watermark back to that of the load before the one taken back."""
    kind, _, name = batch.source_ref.partition(":")
    if kind != "source":
        return
    earlier = Batch.objects.filter(
        queries.loads(), resource=batch.resource, source_ref=batch.source_ref, pk__lt=batch.pk
    ).first()
    value = (earlier.outcome.get("watermark") if earlier else None) or ""
    Source.objects.filter(name=name).update(last_watermark=str(value)[:100])


def note_rejected_read(
    batch: Batch, rows: Sequence[queries.Rejected], *, by: Actor, how: str = "workbench"
) -> None:
    """Put on record that an officer saw these refused rows unmasked (how: workbench | export).

    People whose number stands in a row find it on 谁看过我的数据.
    """
    texts = [value for row in rows for value in (row.text, *row.values.values())]
    people = audit.people_in(texts)
    if people:
        audit.record_reading(
            by=by,
            resource=batch.resource.name,
            people=people,
            purpose=f"更正批次 {batch.code} 拒收的行",
            channel=how,
            rows=len(rows),
        )


# ---- new datasets from files -------------------------------------------------------------


_ELEMENT_OF = {
    "citizen_number": "citizen_number",
    "credit_code": "credit_code",
    "region": "region_code",
}
"""The data element that brings a check which inference found."""


def register_proposal(
    *,
    code: str,
    title: str = "",
    owner: Party,
    items: Sequence[Mapping[str, Any]],
    key: Sequence[str] = (),
    by: Actor,
) -> Resource:
    """Register a proposed dataset as a draft of the catalogue that can be loaded at once.

    `items` are {name, title, type, format, check, required, element}; `code` is a resource code
    (类项目/顺序码) or an identifier. A code that is taken or malformed is refused (UserError).
    """
    if not items:
        raise UserError("数据集至少要有一个数据项")
    by_code = "/" in code
    wrong = rules.code_problem(code)
    if wrong:
        raise UserError(wrong)
    name = "" if by_code else code if rules.good_name(code) else rules.table_name(ascii_name(code))
    old = Resource.objects.filter(Q(code=code) | Q(name=name or code)).first()
    if old is not None and old.batches.filter(state=Batch.SUCCEEDED).exists():
        raise UserError(
            f"“{code}”（{old.title}）已有数据，不能重新登记数据项；请换一个代码，"
            f"或直接装载到该数据集"
        )
    if old is not None:
        raise UserError(
            f"“{code}”已登记为{old.owner.name}的《{old.title}》（{old.get_state_display()}），"
            "不能重复登记；请换一个代码，或直接装载到该数据集"
        )
    personal = any(i.get("check") == "citizen_number" for i in items)
    content = {
        "name": name or rules.table_name(ascii_name(title or code)),
        "title": title or code,
        "class": code.partition("/")[0] if by_code else queries.class_for(owner),
        "summary": f"由文件推断登记：{title or code}",
        "format": "电子表格",
        "share": {"type": 2, "conditions": "待完善", "basis": "", "method": "服务接口"},
        "open": {"open": False, "conditions": ""},
        "cycle": "不定期",
        "level": 3 if personal else 2,
        "key": list(key),
        "items": [
            {
                "name": item["name"],
                "title": item.get("title") or item["name"],
                "type": item.get("type") or "C",
                "format": item.get("format") or _FORMATS.get(item.get("type") or "C", "an..ul"),
                "required": bool(item.get("required")),
                "element": item.get("element") or _ELEMENT_OF.get(item.get("check") or "", ""),
            }
            for item in items
        ],
    }
    if by_code:
        content["code"] = code
    return catalogue.register_dataset(provider=owner, content=content, by=by)


_FORMATS = {
    "D": "YYYYMMDD",
    "T": "YYYYMMDDhhmmss",
    "L": "n1",
    "N": "n..18",
    "Y": "n..18,2",
    "B": "n..ul",
    "I": "n..18",
    "F": "n..ul",
}
"""The representation format of a type where inference gives none."""


# ---- uses --------------------------------------------------------------------------------


def note_use(dataset: str, way: str, count: int = 1) -> None:
    """Count a reading of a dataset (way: service | ask | library | delivery); unknown names pass.

    A counter, not a promise: who read what stands in the call records of those who served it.
    """
    resource = Resource.objects.filter(name=dataset).only("pk").first()
    if resource is None or count <= 0:
        return
    row, _ = Use.objects.get_or_create(resource=resource, day=timezone.localdate(), way=way[:40])
    Use.objects.filter(pk=row.pk).update(count=F("count") + count, last_at=timezone.now())


# ---- the clock's work --------------------------------------------------------------------


def run_due(*, by: Actor) -> list[Batch]:
    """Queue every enabled source whose hour has come; one that still runs waits for its next hour."""
    begun = []
    now = timezone.localtime()
    for source in Source.objects.filter(enabled=True, due_at__lte=now).select_related("resource"):
        with transaction.atomic():
            mine = (
                Source.objects.select_for_update(skip_locked=True)
                .filter(pk=source.pk, enabled=True, due_at__lte=now)
                .update(due_at=rules.next_run(source.schedule, now))
            )
            if not mine:
                continue
            try:
                begun.append(run_source(source=source, by=by))
            except UserError as refused:
                log.info("source %s not run: %s", source.name, refused)
    return begun


def reconcile(*, by: Actor) -> list[Batch]:
    """Close every running batch whose process is gone; returns those it closed.

    What the lake has committed is finished from the lake; of the rest nothing is visible, so they
    are failed and may be run again.
    """
    closed = []
    rows = Batch.objects.filter(
        state=Batch.RUNNING,
        started_at__lt=timezone.now() - GRACE,
        resource__kind=Resource.DATASET,
    ).select_related("resource__owner")
    for batch in rows:
        if ProcrastinateJob.objects.filter(queueing_lock=batch.code, status="todo").exists():
            continue
        with adapters.alive(batch.pk) as gone:
            if not gone:
                continue
            batch.refresh_from_db()
            if batch.state != Batch.RUNNING:
                continue
            done = merge.outcome_of(adapters.lake(), batch.code)
            if done is not None:
                close(batch=batch, outcome=done, by=by)
            else:
                give_up(
                    batch=batch,
                    error="归集进程中断，本批次未写入任何数据；可以直接重新运行",
                    by=by,
                )
            closed.append(batch)
    return closed


KEEP_UPLOADS = dt.timedelta(days=2)
"""How long a file that was uploaded and never loaded is kept."""


@action("collection.run")
def sweep_uploads(*, by: Actor) -> int:
    """Remove uploads that were abandoned; returns how many. Files of batches that run are kept."""
    waiting = Batch.objects.filter(state=Batch.RUNNING, source_ref__startswith="upload:")
    kept = [
        Path(found["path"])
        for found in (batch.outcome.get("asked") or {} for batch in waiting)
        if found.get("path")
    ]
    gone = adapters.sweep_uploads(KEEP_UPLOADS, kept)
    record("uploads.swept", "system:collection", by=by, data={"removed": len(gone)})
    return len(gone)


_INDICATORS = {
    "collection.fresh": ("按期更新的数据集", "个", "按更新周期（宽限一天）更新的数据集数"),
    "collection.late": ("逾期未更新的数据集", "个", "超过更新周期一天以上未更新的数据集数"),
    "collection.dead": ("入库后从未更新的数据集", "个", "只归集过一次且超过三个周期的数据集数"),
    "collection.unread": ("从未被使用的数据集", "个", "入库三十天以上没有任何一次读取的数据集数"),
}


@action("collection.run")
def measure_freshness(*, by: Actor) -> dict[str, int]:
    """Measure the day's freshness figures as indicators."""
    figures = queries.summary(queries.board(by))
    values = {
        "collection.fresh": figures.fresh,
        "collection.late": figures.late,
        "collection.dead": figures.dead,
        "collection.unread": figures.unread,
    }
    day = timezone.localdate()
    for code, value in values.items():
        title, unit, definition = _INDICATORS[code]
        Indicator.objects.get_or_create(
            code=code,
            defaults={
                "title": title,
                "unit": unit,
                "definition": definition,
                "higher_is_better": code == "collection.fresh",
            },
        )
        measure(code, value, day=day)
    record("freshness.measured", "system:collection", by=by, data=values)
    return values
