"""Actions: run a linkage, decide a pair, take a decision back, read a pair in clear."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.lake.match import Matched

from . import adapters, queries, rules
from .models import Pair, Run

RUN = "lianyun.run"
WAIT_SECONDS = 5
"""How long decisions wait for more of them before the crosswalk is brought up to date."""
DEAD_HOURS = 6


def _enqueue(job: str, name: str, wait: int = 0) -> bool:
    """Queue a job for a linkage; one that waits already takes ours along."""
    task = app.configure_task(
        RUN,
        queue="jobs",
        queueing_lock=f"linkage:{job}:{name}",
        lock=f"linkage:{name}",
        schedule_in={"seconds": wait} if wait else None,
    )
    try:
        with transaction.atomic():
            task.defer(path=f"lianyun.capabilities.linkage.jobs.{job}", arguments={"name": name})
    except exceptions.AlreadyEnqueued:
        return False
    return True


@action("linkage.run")
def queue_run(*, name: str, by: Actor) -> bool:
    """Ask for a run in the background; returns False where one waits already."""
    adapters.spec(name)
    queued = _enqueue("run", name)
    record("linkage.queued", f"linkage:{name}", by=by, data={"queued": queued})
    return queued


def run_linkage(*, name: str, by: Actor, tell: Callable[[float, str], None] | None = None) -> Run:
    """Link two datasets now: train, score, and lay what is uncertain before officers.

    The linking is its own transaction in the lake; decisions taken before stay in force. Raises
    UserError and Denied; a failure is on record either way. `tell` also hears the progress.
    """
    by.require("linkage.run")
    code = f"k{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(3)}"
    run = _begin(name=name, code=code, by=by)
    report = _progress(run)

    def both(fraction: float, message: str) -> None:
        report(fraction, message)
        if tell is not None:
            tell(fraction, message)

    try:
        made = adapters.run(name, code, queries.decisions(name, by), both)
    except Exception as error:
        _fail(run=run, error=str(error), by=by)
        raise
    _finish(run=run, made=made, by=by)
    return run


def _progress(run: Run) -> Callable[[float, str], None]:
    """Tell the run's progress at most twice a second: each telling is a write."""
    last = 0.0

    def tell(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5:
            last = now
            Run.objects.filter(pk=run.pk).update(progress=fraction, message=message[:200])

    return tell


@action("linkage.run")
def _begin(*, name: str, code: str, by: Actor) -> Run:
    spec = adapters.spec(name)
    run = Run.objects.create(code=code, linkage=name)
    record(
        "linkage.started",
        f"linkage:{name}",
        by=by,
        data={"run": code, "datasets": [s.dataset for s in spec.sides]},
    )
    return run


@action("linkage.run")
def _finish(*, run: Run, made: Matched, by: Actor) -> None:
    """Close a run and lay its pairs out: undecided ones anew, decided ones with the new evidence."""
    name = run.linkage
    laid = [("review", p) for p in adapters.pairs(name, "review", limit=rules.QUEUE_LIMIT)]
    laid += [("check", p) for p in adapters.pairs(name, "auto", last=True, limit=rules.CHECKS)]
    Pair.objects.filter(linkage=name, verdict="").exclude(kind="dispute").delete()
    held = {(p.left_key, p.right_key): p for p in Pair.objects.filter(linkage=name)}
    fresh: list[Pair] = []
    seen: list[Pair] = []
    for kind, told in laid:
        old = held.get((told["left_key"], told["right_key"]))
        row = old or Pair(
            linkage=name, left_key=told["left_key"], right_key=told["right_key"], kind=kind
        )
        row.probability, row.weight = told["probability"], told["weight"]
        row.levels = told["levels"]
        (seen if old else fresh).append(row)
    Pair.objects.bulk_create(fresh, batch_size=2000)
    Pair.objects.bulk_update(seen, ["probability", "weight", "levels"], batch_size=2000)
    outcome = dict(made.__dict__)
    run.outcome, run.progress, run.finished_at = outcome, 1.0, timezone.now()
    run.save()
    figures = {k: outcome[k] for k in ("pairs", "merged", "waiting", "entities", "members")}
    record("linkage.finished", f"linkage:{name}", by=by, data={"run": run.code, **figures})


@action("linkage.run")
def _fail(*, run: Run, error: str, by: Actor) -> None:
    run.error = error[:2000] or "失败"
    run.finished_at = timezone.now()
    run.save()
    record(
        "linkage.failed",
        f"linkage:{run.linkage}",
        by=by,
        data={"run": run.code, "error": run.error[:500]},
    )


def close_dead(*, by: Actor) -> int:
    """Close the runs whose process died hours ago; the lake has all of a run or nothing."""
    limit = timezone.now() - dt.timedelta(hours=DEAD_HOURS)
    dead = list(Run.objects.filter(finished_at=None, error="", started_at__lt=limit))
    for run in dead:
        _fail(run=run, error="运行中断，没有留下结果，请重新运行", by=by)
    return len(dead)


# ---- decisions -------------------------------------------------------------------------------


@action("linkage.review")
def decide(*, pair: Pair, verdict: str, by: Actor, note: str = "") -> Pair:
    """An officer's word on a pair: same, different or unsure; it stays in force over every run.

    Raises UserError where somebody else decided it in the meantime: take that back first.
    """
    queries.concerned(by, pair.linkage)
    if verdict not in rules.VERDICTS:
        raise UserError("请选择同一、不同或不确定")
    row = Pair.objects.select_for_update().get(pk=pair.pk)
    if row.verdict and row.verdict != verdict:
        who = row.decided_by.name if row.decided_by else "他人"
        raise UserError(
            f"{who}已判定为“{rules.VERDICTS[row.verdict]}”；如有不同意见，请先撤销该判定"
        )
    row.verdict, row.note = verdict, note.strip()[:500]
    row.decided_by, row.decided_at = by.party, timezone.now()
    row.save()
    record(
        "link.decided",
        row,
        by=by,
        data={"linkage": row.linkage, "pair": row.pk, "verdict": verdict, "kind": row.kind},
        personal={"left": row.left_key, "right": row.right_key},
    )
    _enqueue("apply", row.linkage, WAIT_SECONDS)
    return row


@action("linkage.review")
def undo(*, pair: Pair, by: Actor) -> Pair:
    """Take a decision back: the entities become again what they were without it."""
    queries.concerned(by, pair.linkage)
    row = Pair.objects.select_for_update().get(pk=pair.pk)
    if not row.verdict:
        raise UserError("这对记录还没有判定，无需撤销")
    before = row.verdict
    row.verdict, row.note, row.decided_by, row.decided_at = "", "", None, None
    row.save()
    record(
        "link.undone",
        row,
        by=by,
        data={"linkage": row.linkage, "pair": row.pk, "verdict": before},
        personal={"left": row.left_key, "right": row.right_key},
    )
    _enqueue("apply", row.linkage, WAIT_SECONDS)
    return row


@action("linkage.review")
def dispute(*, name: str, token: str, number: int, by: Actor) -> Pair:
    """Lay a pair that merged by itself before officers, from the page of its entity."""
    told = queries.tie(by, name, token, number)
    pair, _ = Pair.objects.get_or_create(
        linkage=name,
        left_key=told["left_key"],
        right_key=told["right_key"],
        defaults={
            "kind": "dispute",
            "probability": told["probability"],
            "weight": told["weight"],
            "levels": told["levels"],
        },
    )
    record("link.disputed", pair, by=by, data={"linkage": name, "pair": pair.pk})
    return pair


@action("linkage.run")
def apply_decisions(*, name: str, by: Actor) -> dict[str, Any]:
    """Bring the crosswalk up to date with the decisions in force; nothing is scored anew."""
    code = f"k{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(3)}"
    made = adapters.apply(name, code, queries.decisions(name, by))
    last = Run.objects.filter(linkage=name, error="").exclude(finished_at=None).first()
    told = {
        "entities": made.entities,
        "members": made.members,
        "contradictions": made.contradictions,
    }
    if last is not None:
        last.outcome = {**last.outcome, **told}
        last.save(update_fields=["outcome"])
    record("linkage.applied", f"linkage:{name}", by=by, data=told)
    return told


@action("linkage.reveal")
def read_pair(*, pair: Pair, purpose: str, by: Actor) -> queries.Evidence:
    """Read a pair in clear for a purpose; the reading is on record before anything is shown."""
    if len(purpose.strip()) < 2:
        raise UserError("请写明查阅明文的用途，将记入调用记录并向本人公开")
    found = queries.evidence(by, pair, reveal=True)
    for side in adapters.spec(pair.linkage).sides:
        audit.record_reading(
            by=by,
            resource=side.dataset,
            people=queries.people(by, pair),
            purpose=f"关联复核：{purpose.strip()}（明文）",
            rows=1,
        )
    record("link.read", pair, by=by, data={"linkage": pair.linkage, "pair": pair.pk})
    return found
