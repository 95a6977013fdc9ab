"""Actions: ask, follow, cancel and keep questions; every answer is on record before it is shown."""

from __future__ import annotations

import logging
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.db import connections, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.lake import ask as asking
from lianyun.lake.shelves import LakeError

from . import adapters, queries, rules
from .models import Question, Run

log = logging.getLogger("lianyun.analysis")

AT_ONCE = 2
"""Questions that one process answers at a time; further ones wait."""
MINE_AT_ONCE = 3
UNSEEN_SECONDS = 20.0
"""A run whose page has not asked for so long is stopped: nobody waits for it."""
_slots = threading.BoundedSemaphore(AT_ONCE)


# ---- asking ------------------------------------------------------------------------------


def _prepared(
    sql: str, by: Actor, limits: asking.Limits
) -> tuple[asking.Question, dict[str, asking.Allowed]]:
    allowed = queries.allowed_tables(by)
    try:
        found = asking.prepare(collection.lake(), sql, allowed, limits)
    except LakeError as error:
        raise UserError(str(error)) from error
    return found, {name: allowed[name] for name in found.used}


@action("analysis.ask")
def begin(
    *,
    sql: str,
    purpose: str,
    title: str = "",
    spec: Mapping[str, Any] | None = None,
    chart: Mapping[str, Any] | None = None,
    question: Question | None = None,
    by: Actor,
) -> Run:
    """Open a run of a question; `start` then answers it. Raises UserError with what is wrong."""
    if len(purpose.strip()) < 2:
        raise UserError("请写明用途，将记入调用记录")
    now = timezone.now()
    busy = Run.objects.filter(
        by=by.party, finished_at=None, waits=False, beat_at__gt=now - queries.LOST
    )
    if busy.count() >= MINE_AT_ONCE:
        raise UserError(f"您已有 {MINE_AT_ONCE} 个查询正在进行，请等待完成或先取消")
    prepared, allowed = _prepared(sql, by, adapters.limits())
    run = Run.objects.create(
        code=f"q{now:%Y%m%d}{secrets.token_hex(6)}",
        question=question,
        by=by.party,
        department=by.department,
        title=title.strip()[:200],
        sql=sql,
        spec=dict(spec) if spec else None,
        chart=dict(chart or {}),
        purpose=purpose.strip()[:200],
        tables=prepared.used,
        rights=queries.rights(by, prepared.used, allowed),
        guarded=any(a.guarded for a in allowed.values()),
        cost={"rows": prepared.cost.rows, "bytes": prepared.cost.bytes},
    )
    record(
        "question.asked",
        run,
        by=by,
        data={"tables": prepared.used, "purpose": run.purpose, "cost": run.cost},
        personal={"sql": sql},
    )
    return run


def start(run: Run, *, by: Actor, confirmed: bool = False) -> None:
    """Answer a run in a thread of this process once the caller's transaction has committed."""

    def work() -> None:
        try:
            carry(run.code, by=by, confirmed=confirmed)
        except Exception:
            log.exception("run %s", run.code)
        finally:
            connections.close_all()

    transaction.on_commit(threading.Thread(target=work, daemon=True, name=run.code).start)


class _Watch:
    """Tells the database how far a run is, and learns from it whether anybody still waits."""

    def __init__(self, run: Run, watched: bool) -> None:
        self.run, self.watched = run, watched
        self.share, self.next = 0.0, 0.0
        self.unseen = False

    def progress(self, share: float) -> None:
        """Note how far it is; told with the next look."""
        self.share = share

    def cancelled(self) -> bool:
        """Whether it was taken back, or its page was closed; looks twice a second at most."""
        now = time.monotonic()
        if now < self.next:
            return False
        self.next = now + 0.5
        Run.objects.filter(pk=self.run.pk).update(progress=self.share, beat_at=timezone.now())
        row = Run.objects.filter(pk=self.run.pk).values("cancelled_at", "seen_at").first()
        if row is None or row["cancelled_at"] is not None:
            return True
        gone = (timezone.now() - row["seen_at"]).total_seconds()
        self.unseen = self.watched and gone > UNSEEN_SECONDS
        return self.unseen


def carry(code: str, *, by: Actor, confirmed: bool = False, watched: bool = True) -> Run:
    """Answer a run to its end in this process; returns it as it then stands.

    A heavy one stops before it begins and waits to be confirmed. `watched` ones end when their
    page is closed.
    """
    run = Run.objects.get(code=code)
    watch = _Watch(run, watched)
    limits = adapters.limits()
    while not _slots.acquire(timeout=0.5):
        if watch.cancelled():
            return give_up(run=run, error="查询已取消", cancelled=True, by=by)
    try:
        prepared, allowed = _prepared(run.sql, by, limits)
        if queries.rights(by, prepared.used, allowed) != run.rights:
            raise UserError("您对这些数据的权限已经变化，请重新查询")
        found = asking.run(
            prepared,
            adapters.answer_file(run.code),
            limits,
            confirmed=confirmed,
            cancelled=watch.cancelled,
            progress=watch.progress,
        )
        return finish(run=run, answer=found, by=by)
    except asking.Heavy as heavy:
        cost = heavy.cost
        run.cost = {"rows": cost.rows, "bytes": cost.bytes, "widest": cost.widest}
        run.waits = True
        run.save(update_fields=["cost", "waits"])
        return run
    except asking.Cancelled:
        words = "页面已关闭，查询已停止" if watch.unseen else "查询已取消"
        return give_up(run=run, error=words, cancelled=True, by=by)
    except (LakeError, UserError) as error:
        return give_up(run=run, error=str(error), by=by)
    except Exception as error:
        log.exception("run %s", run.code)
        return give_up(run=run, error=f"查询时出现意外错误：{type(error).__name__}", by=by)
    finally:
        _slots.release()


@action("analysis.ask")
def finish(*, run: Run, answer: asking.Answer, by: Actor) -> Run:
    """Record what a run came to; readings of personal data are on record before they are shown."""
    _note_readings(
        answer.table(), list(run.tables), run.purpose, int(answer.seconds * 1_000_000), by
    )
    run.refresh_from_db()
    run.rows, run.more, run.seconds = answer.rows, answer.more, answer.seconds
    run.cost = {
        "rows": answer.cost.rows,
        "bytes": answer.cost.bytes,
        "widest": answer.cost.widest,
    }
    run.finished_at, run.progress, run.waits = timezone.now(), 1.0, False
    run.save()
    record(
        "question.answered",
        run,
        by=by,
        data={"tables": run.tables, "rows": run.rows, "seconds": run.seconds},
    )
    return run


def _note_readings(table: pa.Table, names: list[str], purpose: str, micros: int, by: Actor) -> None:
    """Who read which tables, and the people whose plain numbers stand in the answer."""
    people = audit.people_in(adapters.text_values(table))
    for name in names:
        audit.record_reading(
            by=by,
            resource=name,
            people=people,
            purpose=purpose,
            channel="ask",
            rows=table.num_rows,
            micros=micros,
        )
        collection.note_use(name, "ask")


@action("analysis.ask")
def give_up(*, run: Run, error: str, cancelled: bool = False, by: Actor) -> Run:
    """Record that a run ended without an answer, and why."""
    run.refresh_from_db()
    run.error, run.finished_at, run.waits = error[:500], timezone.now(), False
    if cancelled and run.cancelled_at is None:
        run.cancelled_at = run.finished_at
    run.save()
    adapters.answer_file(run.code).unlink(missing_ok=True)
    record(
        "question.cancelled" if cancelled else "question.failed",
        run,
        by=by,
        data={"tables": run.tables, "error": run.error},
    )
    return run


@action("analysis.ask")
def cancel(*, run: Run, by: Actor) -> None:
    """Take a run back: whoever answers it stops within a second."""
    if run.finished_at is not None:
        raise UserError("查询已经结束")
    Run.objects.filter(pk=run.pk, cancelled_at=None).update(cancelled_at=timezone.now())
    record("question.withdrawn", run, by=by)
    if run.waits or queries.is_lost(run):
        give_up(run=run, error="查询已取消", cancelled=True, by=by)


@action("analysis.ask")
def confirm(*, run: Run, by: Actor) -> None:
    """Let a heavy run go on; its owner has read what it costs."""
    if not run.waits:
        raise UserError("这次查询不需要确认")
    now = timezone.now()
    Run.objects.filter(pk=run.pk).update(waits=False, seen_at=now, beat_at=now)
    run.waits = False
    record("question.confirmed", run, by=by, data={"cost": run.cost})
    start(run, by=by, confirmed=True)


def note_seen(run: Run) -> None:
    """Note that somebody still looks at a run's page."""
    Run.objects.filter(pk=run.pk).update(seen_at=timezone.now())


@action("analysis.ask")
def ask_now(*, sql: str, by: Actor, limit: int = 1000, purpose: str = "查询分析") -> pa.Table:
    """Ask and wait for the rows (the command line's way); raises UserError.

    Nothing is kept but the record that it was asked.
    """
    limits = adapters.limits(max(1, limit))
    prepared, _ = _prepared(sql, by, limits)
    with tempfile.TemporaryDirectory(prefix="lianyun-answer-") as folder:
        try:
            found = asking.run(prepared, Path(folder) / "answer.parquet", limits)
        except LakeError as error:
            raise UserError(str(error)) from error
        table = found.table()
    _note_readings(table, prepared.used, purpose, int(found.seconds * 1_000_000), by)
    record(
        "question.asked",
        "system:ask",
        by=by,
        data={"tables": prepared.used, "rows": table.num_rows},
        personal={"sql": sql},
    )
    return table


# ---- exports -----------------------------------------------------------------------------


@action("analysis.ask")
def export(*, run: Run, form: str, by: Actor) -> pa.Table:
    """The rows of a run to be taken away as `csv` or `parquet`: an Event, and a reading on record."""
    table = queries.answer(run, by)
    people = audit.people_in(adapters.text_values(table))
    if people:
        for name in run.tables:
            audit.record_reading(
                by=by,
                resource=name,
                people=people,
                purpose=run.purpose,
                channel="export",
                rows=table.num_rows,
            )
    record(
        "question.exported",
        run,
        by=by,
        data={"form": form, "rows": table.num_rows, "tables": run.tables},
    )
    return table


# ---- saved questions ---------------------------------------------------------------------


@action("analysis.ask")
def keep(
    *,
    run: Run,
    title: str,
    sharing: str = "own",
    chart: Mapping[str, Any] | None = None,
    by: Actor,
) -> Question:
    """Keep the question of a run; shared ones must name nobody. Raises UserError."""
    if by.party is None:
        raise UserError("系统不保存查询")
    if not title.strip():
        raise UserError("请给查询起个名称")
    if sharing not in rules.SHARING:
        raise UserError("没有这种共享范围")
    if sharing != "own" and (audit.people_in([run.sql]) or re.search(r"\d{15,}", run.sql)):
        raise UserError("查询语句里有身份号码，不能共享；请改为按其他条件筛选")
    made = Question.objects.create(
        code=f"s{timezone.now():%Y%m%d}{secrets.token_hex(5)}",
        title=title.strip()[:200],
        sql=run.sql,
        spec=run.spec,
        chart=dict(chart or run.chart),
        owner=by.party,
        department=by.department,
        sharing=sharing,
    )
    Run.objects.filter(pk=run.pk).update(question=made, title=made.title)
    record("question.saved", made, by=by, data={"title": made.title, "sharing": sharing})
    return made


def _owned(question: Question, by: Actor) -> None:
    if by.party is None or question.owner_id != by.party.pk:
        raise UserError("只有作者可以修改或删除这个查询")


@action("analysis.ask")
def remove(*, question: Question, by: Actor) -> None:
    """Forget a saved question of one's own; its runs stay in the history."""
    _owned(question, by)
    record("question.removed", question, by=by, data={"title": question.title})
    question.delete()


# ---- the clock's work --------------------------------------------------------------------


@action(None)
def sweep(*, by: Actor) -> int:
    """Remove answers past their time and close runs whose process is gone; returns how many."""
    gone = adapters.sweep(timezone.now())
    Run.objects.filter(code__in=gone).update(sql="", spec=None)
    lost = Run.objects.filter(
        finished_at=None, waits=False, beat_at__lt=timezone.now() - queries.LOST
    )
    closed = lost.update(finished_at=timezone.now(), error="查询进程中断，请重新查询")
    record("questions.swept", "system:analysis", by=by, data={"answers": len(gone), "lost": closed})
    return len(gone) + closed
