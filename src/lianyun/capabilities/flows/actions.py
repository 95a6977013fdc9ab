"""Actions: a new version is proposed, looked at by a second person, published; cases are moved; timers go on."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.case import Case, WorkItem
from lianyun.kernel.event import record
from lianyun.kernel.path import Decision, Path, current, declare, declare_decision

from . import queries, rules
from .models import Proposal

MOST = 200
"""Cases moved by one press: more would keep their rows from those who work on them."""


@dataclass(frozen=True)
class Moved:
    """How many cases moved, how many are left, and why some could not."""

    done: int
    left: int
    failed: tuple[tuple[str, str], ...]


@action("flows.migrate")
def move_cases(
    key: str, version: int, *, reason: str, steps: dict[str, str] | None = None, by: Actor
) -> Moved:
    """Move the running cases of an older version to the newest one, each wholly or not at all.

    Every case records its own move; this act is recorded with what could not be moved and why.
    Raises UserError where nothing is to be moved.
    """
    newest = current(key)
    rows = Case.objects.filter(path__key=key, path__version=version).exclude(state=Case.CLOSED)
    left = rows.count()
    if newest.version == version or not left:
        raise UserError("这个版本没有需要迁移的在办件")
    done, failed = 0, []
    for row in rows.order_by("id")[:MOST]:
        try:
            with transaction.atomic():
                cases.migrate(row, newest.version, reason=reason, steps=steps, by=by)
                done += 1
        except UserError as error:
            failed.append((row.code, str(error)))
    record(
        "path.migrated",
        newest,
        by=by,
        data={
            "from": version,
            "to": newest.version,
            "reason": reason,
            "done": done,
            "failed": [{"case": code, "why": why} for code, why in failed],
        },
    )
    return Moved(done, left - done, tuple(failed))


@action("flows.migrate")
def move_to_newest_table(key: str, *, reason: str, by: Actor) -> Moved:
    """Let running cases be judged by a table's newest version from their next asking on.

    What has been judged stays judged. Every case records its own move; at most `MOST` at a press.
    Raises UserError where nothing is to be moved or no reason is given.
    """
    if not reason.strip():
        raise UserError("请写明理由")
    table = queries.newest(DECISION, key, by)
    waiting = queries.judged_by_older(key, by) if table is not None else None
    left = waiting.count() if waiting is not None else 0
    if table is None or waiting is None or not left:
        raise UserError("没有按旧规则判定的在办件")
    done = 0
    stood = dict(waiting.order_by("pk").values_list("pk", "table")[:MOST])
    for row in Case.objects.select_for_update(of=("self",)).filter(pk__in=list(stood)):
        row.data = {**row.data, "judged_by": {**row.data.get("judged_by", {}), key: table.version}}
        row.save(update_fields=["data"])
        told = {"table": key, "title": table.title, "from": stood[row.pk], "to": table.version}
        record("case.rules_changed", row, by=by, case=row, data={**told, "reason": reason[:500]})
        done += 1
    told = {"to": table.version, "reason": reason[:500], "done": done}
    record("decision.applied", table, by=by, data=told)
    return Moved(done, left - done, ())


@action(None)
def fire_timer(item: WorkItem, *, by: Actor) -> None:
    """Let one case go on by its due timer; raises UserError where somebody was faster."""
    if not cases.fire(item, by=by):
        raise UserError("该环节已经办理或中止")


# ---- a new version ---------------------------------------------------------------------------------

PATH, DECISION = rules.PATH, rules.DECISION
NOUNS = {PATH: "流程", DECISION: "决策表"}


def _good(kind: str, key: str, text: str, by: Actor) -> rules.Reading:
    """The text as it was read; raises UserError naming the first things that are wrong."""
    found = queries.reading(kind, key, text, by)
    if not found.good:
        told = [f"{f.where}：{f.words}" for f in found.errors]
        more = f"等 {len(told)} 处" if len(told) > 3 else ""
        raise UserError(f"还不能使用：{'；'.join(told[:3])}{more}")
    return found


def _keep(found: rules.Reading, note: str, case: Case | None, by: Actor) -> int:
    """Make a reading the newest version; what runs stays on its own."""
    about = {"basis": found.basis} if found.basis else {}
    about |= {"also_running": found.also_running} if found.also_running else {}
    told = {**about, "published": case.code if case is not None else note[:200]}
    row: Path | Decision
    if queries.is_current(found, by):
        row = queries.newest(found.kind, found.key, by)
    elif found.kind == DECISION:
        row = declare_decision(found.key, found.title, found.made, told)
    else:
        row = declare(found.key, found.title, found.made, told)
    data = {"title": f"发布第 {row.version} 版", "version": row.version, "note": note}
    kind = "path.published" if found.kind == PATH else "decision.published"
    record(kind, row, by=by, case=case, data=data)
    return int(row.version)


@action("flows.review")
def publish(kind: str, key: str, text: str, *, note: str, by: Actor) -> int:
    """Publish a text as the next version; that a second person has looked is the caller's affair.

    Running cases stay on the version they began with. Raises UserError naming what is wrong.
    """
    return _keep(_good(kind, key, text, by), note, None, by)


@action("flows.edit")
def propose(kind: str, key: str, text: str, *, reason: str, by: Actor) -> Proposal:
    """Hand a text in to be looked at by a second person; refused as long as an error stands in it."""
    if not reason.strip():
        raise UserError("请写明为什么修改")
    found = _good(kind, key, text, by)
    waiting = queries.open_proposal(by, kind, key)
    if waiting is not None:
        who = waiting.by.name if waiting.by else "系统"
        raise UserError(f"{who}对“{waiting.title}”的修改正在审核，办结后才能再提交")
    if queries.is_current(found, by):
        raise UserError("与现行版本完全相同，不需要发布")
    base = queries.newest_version(kind, key, by)
    case = cases.open_case(
        queries.FLOW_PATH,
        title=f"{found.title}（{NOUNS[kind]}第 {base + 1} 版）",
        subject=f"{kind}:{key}",
        data={"kind": kind, "base": base},
        by=by,
    )
    row = Proposal.objects.create(
        kind=kind,
        key=key,
        title=found.title,
        basis=found.basis,
        text=text,
        made=found.made,
        faults=[[f.rule, f.severity, f.where, f.words] for f in found.faults],
        reason=reason.strip()[:500],
        base=base,
        case=case,
        by=by.party,
    )
    record("flow.proposed", row, by=by, case=case, data={"note": row.reason})
    return row


@action("flows.review")
def review(proposal: Proposal, outcome: str, *, note: str = "", by: Actor) -> Proposal:
    """Publish a proposal or return it with a reason; never one's own.

    Raises UserError where another version was published meanwhile: the proposal was written on an
    older one and would take the other's changes back.
    """
    row = Proposal.objects.select_for_update(of=("self",)).get(pk=proposal.pk)
    step = row.case.items.filter(done_at=None).order_by("id").first()
    if step is None:
        raise UserError("这项修改已经审核完毕")
    if by.party is not None and by.party.pk == row.by_id:
        raise UserError("提交人不能审核自己的修改，请由另一位有审核权限的人员办理")
    publishes = outcome == "publish"
    newest = queries.newest_version(row.kind, row.key, by)
    if publishes and newest != row.base:
        raise UserError(
            f"审核期间已发布第 {newest} 版，这项修改是在第 {row.base} 版上写的，请退回后重新提交"
        )
    case = cases.step(step, outcome, note=note, by=by)
    if publishes:
        found = _good(row.kind, row.key, row.text, by)
        row.version = _keep(found, row.reason, case, by)
        row.save(update_fields=["version"])
    return row
