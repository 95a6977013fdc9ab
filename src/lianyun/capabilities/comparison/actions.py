"""Actions: run rules, settle what they found, open findings as cases, work them to an outcome."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import record
from lianyun.kernel.indicator import measure
from lianyun.kernel.models import Case, Indicator, Party, WorkItem

from . import adapters, queries, rules
from .models import Finding, Plan, Run

PATH = "finding"
RUN = "lianyun.run"
INDICATORS = {
    "comparison.found": (
        "比对发现",
        "条",
        "经数据比对发现、证据充分的线索数（数据不全和已消除的不计）",
    ),
    "comparison.amount": ("比对发现涉及金额", "元", "上述线索涉及的金额合计"),
    "comparison.confirmed": ("比对核实金额", "元", "承办部门核查属实的金额合计"),
    "comparison.recovered": ("比对追缴金额", "元", "核查属实后实际追缴、入库的金额合计"),
}


# ---- running -------------------------------------------------------------------------------


def _begin(name: str, trigger: str) -> Run:
    queries.declared(name)
    code = f"q{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(3)}"
    return Run.objects.create(code=code, rule=name, trigger=trigger)


def _enqueue(run: Run) -> bool:
    task = app.configure_task(
        RUN,
        queue="jobs",
        queueing_lock=f"comparison:{run.rule}",
        lock=f"comparison:{run.rule}",
    )
    try:
        with transaction.atomic():
            task.defer(
                path="lianyun.capabilities.comparison.jobs.run", arguments={"code": run.code}
            )
    except exceptions.AlreadyEnqueued:
        run.delete()
        return False
    return True


@action("comparison.run")
def queue_run(*, name: str, by: Actor, trigger: str = "manual") -> Run | None:
    """Ask for a run in the background; None where one waits already."""
    run = _begin(name, trigger)
    queued = _enqueue(run)
    record("comparison.queued", f"comparison:{name}", by=by, data={"rule": name, "queued": queued})
    return run if queued else None


@action("comparison.run")
def queue_due(*, by: Actor) -> list[str]:
    """Queue every rule whose cycle has come round; returns their names."""
    today = timezone.localdate()
    names = []
    for name in queries.rule_names():
        cycle, paused = queries.plan_of(name)
        wanted = not paused and rules.due(cycle, queries.last_day(name), today)
        if wanted and _enqueue(_begin(name, "schedule")):
            names.append(name)
    record("comparison.scheduled", "system:comparison", by=by, data={"rules": names})
    return names


def run_rule(*, name: str, by: Actor, trigger: str = "manual") -> Run:
    """Run a rule in this process, to its end. Raises UserError and Denied."""
    by.require("comparison.run")
    return carry_out(code=_begin(name, trigger).code, by=by)


def carry_out(*, code: str, by: Actor) -> Run:
    """Carry out a run: the lake compares and settles in a transaction of its own, then we take over.

    Safe to repeat: the lake gives the same result for the same code, and taking over again changes
    nothing. A failure is on record.
    """
    by.require("comparison.run")
    run = Run.objects.get(code=code)
    Run.objects.filter(pk=run.pk).update(started_at=timezone.now(), error="", finished_at=None)
    told = queries.declared(run.rule)
    state = queries.data_state([told["left"]["dataset"], told["right"]["dataset"]])

    def tell(fraction: float, message: str) -> None:
        Run.objects.filter(pk=run.pk).update(progress=fraction * 0.9, message=message[:200])

    try:
        made = adapters.run(
            told,
            run.code,
            stale={n: s.stale for n, s in state.items() if s.stale},
            quality={n: s.quality for n, s in state.items()},
            tell=tell,
        )
        _settle(run=run, outcome=made.__dict__, by=by)
    except Exception as error:
        _fail(run=run, error=str(error), by=by)
        raise
    run.refresh_from_db()
    return run


@action("comparison.run")
def _fail(*, run: Run, error: str, by: Actor) -> None:
    Run.objects.filter(pk=run.pk).update(error=error[:2000] or "失败", finished_at=timezone.now())
    record("comparison.failed", run, by=by, data={"rule": run.rule, "error": error[:300]})


@action("comparison.run")
def _settle(*, run: Run, outcome: dict[str, Any], by: Actor) -> None:
    """Take over what changed in the lake since the last run that was taken over."""
    done = Run.objects.filter(rule=run.rule, error="").exclude(finished_at=None)
    last = done.exclude(pk=run.pk).first()
    since = Run.objects.filter(rule=run.rule, pk__gt=last.pk if last else 0)
    codes = [*since.values_list("code", flat=True), run.code]
    desk = queries.desk(run.rule)
    hide = "name" if _about_person(run.rule) else "none"
    for rows in adapters.changed(run.rule, list(dict.fromkeys(codes))):
        _take(run.rule, rows, desk, hide, by)
    if outcome["blocked"]:
        message = "一方还没有数据，没有比对"
    else:
        message = (
            f"新增 {outcome['fresh']}，变化 {outcome['changed']}，消除 {outcome['gone']}，"
            f"现有 {outcome['found']}，数据不全 {outcome['incomplete']}"
        )
    Run.objects.filter(pk=run.pk).update(
        finished_at=timezone.now(),
        progress=1,
        message=message,
        outcome={**outcome, "thin": list(outcome["thin"])},
    )
    _measure(by)
    record(
        "comparison.finished",
        run,
        by=by,
        data={
            "rule": run.rule,
            **{
                k: outcome[k] for k in ("found", "incomplete", "fresh", "changed", "gone", "amount")
            },
        },
    )


def _about_person(rule: str) -> bool:
    told = queries.declared(rule)
    return told.get("normal") == "citizen_number" or told["subject"] in (
        "受让人",
        "受助人",
        "领取人",
    )


def _take(rule: str, rows: list[dict[str, Any]], desk: Party, hide: str, by: Actor) -> None:
    """Upsert findings; a judged one whose evidence changed is told and stands open again."""
    known = {
        f.code: f
        for f in Finding.objects.select_for_update().filter(code__in=[r["id"] for r in rows])
    }
    fresh: list[Finding] = []
    changed: list[Finding] = []
    now = timezone.now()
    for row in rows:
        found = known.get(row["id"])
        new = found is None
        if found is None:
            found = Finding(code=row["id"], rule=rule, found_at=_aware(row["found_at"]))
        stage, anew = rules.stage_after(found.stage, row["standing"], row["evidence"], found.judged)
        found.department = desk
        found.label = str(mask_value(hide, row["name"]) or "")[:200]
        found.period, found.town = row["period"] or "", row["town"] or ""
        found.amount = row["amount"] or 0
        found.confidence = row["confidence"]
        before = (found.standing, found.evidence)
        found.standing, found.doubt = row["standing"], row["doubt"] or ""
        found.evidence, found.stage, found.changed_at = row["evidence"], stage, now
        if anew:
            found.case = None
            record("finding.reopened", found, by=by, data={"rule": rule})
        elif not new and found.case_id and before != (found.standing, found.evidence):
            record("finding.changed", found, by=by, data={"rule": rule, "standing": found.standing})
        (fresh if new else changed).append(found)
    Finding.objects.bulk_create(fresh, batch_size=1000)
    Finding.objects.bulk_update(
        changed,
        ["department", "label", "period", "town", "amount", "confidence", "standing", "doubt",
         "evidence", "stage", "changed_at", "case"],
        batch_size=500,
    )  # fmt: skip


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _measure(by: Actor) -> None:
    """Set today's indicators for the city and each acting department."""
    for code, (title, unit, definition) in INDICATORS.items():
        Indicator.objects.get_or_create(
            code=code,
            defaults={
                "title": title, "unit": unit, "definition": definition, "owner": cases.bureau(),
            },
        )  # fmt: skip
    shown = queries.lines(SYSTEM)
    cuts = [("", queries.totals(shown))] + [
        (f"department:{desk.slug}", total) for desk, total in queries.by_desk(shown)
    ]
    day = timezone.localdate()
    for dims, total in cuts:
        for code, value in (
            ("comparison.found", total.found),
            ("comparison.amount", total.amount),
            ("comparison.confirmed", total.confirmed_amount),
            ("comparison.recovered", total.recovered),
        ):
            measure(code, value, day=day, dims=dims)


@action("comparison.run")
def set_plan(*, name: str, cycle: str, paused: bool, by: Actor) -> Plan:
    """How often a rule runs by itself; raises UserError for an unknown cycle."""
    queries.declared(name)
    if cycle not in rules.CYCLES:
        raise UserError(f"周期只能是{'、'.join(rules.CYCLES)}")
    plan, _ = Plan.objects.update_or_create(rule=name, defaults={"cycle": cycle, "paused": paused})
    record(
        "comparison.planned",
        f"comparison:{name}",
        by=by,
        data={"rule": name, "cycle": cycle, "paused": paused},
    )
    return plan


# ---- cases ---------------------------------------------------------------------------------


@action("comparison.open")
def open_findings(*, codes: Sequence[str], by: Actor) -> list[Case]:
    """Open findings as cases at the desks that can act; those already open are left alone.

    At most `rules.BATCH` at once. Raises UserError where none can be opened, Denied for a desk the
    actor may not open for.
    """
    wanted = list(dict.fromkeys(codes))
    if len(wanted) > rules.BATCH:
        raise UserError(f"一次最多立案 {rules.BATCH} 条，请分批办理")
    made = []
    rows = Finding.objects.select_for_update(of=("self",)).select_related("department")
    for found in rows.filter(code__in=wanted).order_by("id"):
        by.require("comparison.open", found.department)
        if found.stage != rules.NEW:
            continue
        told = queries.declared(found.rule)
        case = cases.open_case(
            PATH,
            title=f"{told['group']}：{told['title']}（{found.short}）",
            subject=found,
            applicant=by.department or cases.bureau(),
            department=found.department,
            data={
                "rule": found.rule,
                "finding": found.code,
                "amount": float(found.amount),
                "confidence": found.confidence,
            },
            once=f"finding:{found.code}:{found.evidence}",
            by=by,
        )
        found.case, found.stage, found.changed_at = case, rules.CHECKING, timezone.now()
        found.save(update_fields=["case", "stage", "changed_at"])
        record(
            "finding.filed",
            found,
            by=by,
            case=case,
            data={"rule": found.rule, "amount": float(found.amount)},
        )
        made.append(case)
    if not made:
        raise UserError("所选发现都已立案、已有结论或数据不全，没有可以立案的")
    return made


def _desk_of(*, item: WorkItem, **_: Any) -> Party | None:
    return item.department


def _money(text: str, title: str, *, least: Decimal) -> Decimal:
    try:
        value = Decimal(text.replace(",", "").strip())
    except InvalidOperation as error:
        raise UserError(f"{title}请填写数字，单位为元") from error
    if not value.is_finite() or value < least or value >= Decimal(10) ** 15:
        raise UserError(f"{title}应不小于 {least} 元")
    return value.quantize(Decimal("0.01"))


def work(*, item: WorkItem, outcome: str, by: Actor, note: str = "", amount: str = "") -> Finding:
    """Do a step of a finding's case; of two who press at once one wins, the other is told.

    `amount` (yuan, as typed) is what was confirmed (`confirmed`) or came in (`recovered`,
    `partial`). Raises UserError and Denied.
    """
    by.require(item.permission, item.department)
    return _work(item=item, outcome=outcome, note=note, amount=amount, by=by)


@action(None)
def _work(*, item: WorkItem, outcome: str, note: str, amount: str, by: Actor) -> Finding:
    case = Case.objects.select_for_update().get(pk=item.case_id)
    found = Finding.objects.select_for_update().get(code=case.subject.removeprefix("finding:"))
    before = Decimal(str(case.data.get("confirmed") or 0))
    data: dict[str, Any] = {}
    if outcome == "confirmed":
        sure = _money(amount or str(found.amount), "属实金额", least=Decimal(0))
        data["confirmed"] = float(sure)
    elif outcome in ("recovered", "partial"):
        came = _money(amount, "到账金额", least=Decimal("0.01"))
        data["recovered"] = float(case.data.get("recovered") or 0) + float(came)
    elif outcome == "dismissed":
        data["confirmed"] = 0.0
    case = cases.step(item, outcome, note=note, data=data, by=by)
    match outcome:
        case "confirmed":
            # An objection may bring a confirmed finding back; its amount counts once.
            found.confirmed += sure - before
            found.stage = rules.CONFIRMED
        case "recovered" | "partial":
            found.recovered += came
        case "dismissed":
            found.confirmed -= before
            found.reason = note.strip()[:2000]
        case "objection":
            found.stage = rules.CHECKING
    if case.state == Case.CLOSED:
        found.stage = rules.DISMISSED if case.outcome == "dismissed" else rules.CLOSED
        found.judged = found.evidence
    found.changed_at = timezone.now()
    found.save()
    record(
        "finding.worked",
        found,
        by=by,
        case=case,
        data={"rule": found.rule, "outcome": outcome, **data},
    )
    _measure(by)
    return found


@action("comparison.reveal")
def reveal(*, finding: Finding, purpose: str, by: Actor) -> queries.Proof | None:
    """Show a finding's evidence in clear, for a purpose; the reading is on record before it is shown."""
    if len(purpose.strip()) < 2:
        raise UserError("请写明查阅明文的用途，将记入调用记录并向本人公开")
    shown = queries.proof(by, finding, reveal=True)
    people = shown.people if shown else []
    told = queries.declared(finding.rule)
    for which in ("left", "right"):
        audit.record_reading(
            by=by,
            resource=told[which]["dataset"],
            people=people,
            purpose=f"{purpose.strip()}（明文，比对核查）",
            rows=1 if shown else 0,
        )
    record(
        "finding.revealed",
        finding,
        by=by,
        data={"rule": finding.rule, "keys": queries.person_hashes(people)},
    )
    return shown
