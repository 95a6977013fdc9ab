"""Walking: a path stepped by the engine alone, as each role in turn; no case, no row, no clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lianyun.decision import BadTable, Model, decide
from lianyun.decision.closed import evaluate
from lianyun.decision.engine import Running, facts_of, joined
from lianyun.decision.way import DECIDE, TIMER, WAIT, Outcome, Step

from .steps import AT, BY

MOST = 200
"""Steps of one walk: a path that goes in a circle is stopped."""


@dataclass(frozen=True)
class Waiting:
    """A step that waits: for whom, and what may be pressed."""

    token: str
    step: Step
    who: str
    ways: tuple[Outcome, ...]


@dataclass
class Walk:
    """Where a path stands: the engine's text, what conditions ask, what happened, how it ended."""

    engine: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""


def begin(bpmn: str, key: str, data: Mapping[str, Any], model: Model | None) -> Walk:
    """The walk from the start to the first step that waits. Raises BadPath."""
    walk = Walk(data=dict(data))
    running = Running(bpmn, key, walk.data)
    _on(running, walk, model)
    return walk


def waiting(bpmn: str, key: str, walk: Walk) -> list[Waiting]:
    """The steps that wait now."""
    if not walk.engine or walk.ended:
        return []
    running = Running(bpmn, key, dict(walk.data), walk.engine)
    out = []
    for task in running.ready():
        step = running.step_of(task)
        desk = running.entry_of(task) if step.each else AT.get(step.department, step.department)
        who = BY.get(step.permission, step.permission)
        ways = step.outcomes
        if step.kind == TIMER:
            who, desk, ways = "时间", "", (Outcome("done", "当作期限已到"),)
        elif step.kind == WAIT:
            who, desk = "业务系统", step.message
        if step.fires is not None and step.kind != TIMER:
            ways = (*ways, Outcome("timed_out", "当作期限已到"))
        told = f"{who}（{desk}）" if desk and desk not in who else who
        out.append(Waiting(str(task.id), step, told, ways))
    return out


def press(bpmn: str, key: str, walk: Walk, token: str, outcome: str, model: Model | None) -> bool:
    """Do one waiting step; False where it does not wait (any more) or knows no such outcome."""
    found = next((w for w in waiting(bpmn, key, walk) if w.token == token), None)
    if found is None or outcome not in {o.name for o in found.ways} or len(walk.log) > MOST:
        return False
    step = found.step
    running = Running(bpmn, key, walk.data, walk.engine)
    task = next(t for t in running.ready() if str(t.id) == token)
    title = next(o.title for o in found.ways if o.name == outcome)
    walk.log.append({"title": step.title, "who": found.who, "what": title, "by_rule": False})
    if outcome == "timed_out":
        running.interrupt(step.id)
    else:
        if step.each:
            more = {"note": "", "by": "模拟", "on": dt.date.min.isoformat()}
            slug = running.entry_of(task)
            before = walk.data.get(step.id)
            told = joined(step, before, department=slug, name=slug, outcome=outcome, more=more)
            walk.data |= told
        elif step.kind == WAIT:
            walk.data |= {step.id: {"outcome": outcome}}
        running.data = walk.data
        running.run(task, outcome)
    _on(running, walk, model)
    return True


def _on(running: Running, walk: Walk, model: Model | None) -> None:
    """Go on until somebody is waited for; the table decides on the way."""
    for _ in range(MOST):
        running.data = walk.data
        running.go()
        tables = [t for t in running.ready() if running.step_of(t).kind == DECIDE]
        for task in tables:
            walk.data |= _ask(running.step_of(task), walk, model)
            running.data = walk.data
            task.run()
        if not tables:
            break
    for task in running.ready():
        if running.step_of(task).each:
            walk.data |= running.begin_round(task) or {}
            running.data = walk.data
    walk.engine, walk.ended = running.state, running.ended or ""


def _ask(step: Step, walk: Walk, model: Model | None) -> dict[str, Any]:
    key = str(evaluate(step.decide[1:], walk.data) or "") if step.decide[0] == "=" else step.decide
    verdict: dict[str, Any] = {}
    entry: dict[str, Any] = {"title": step.title, "who": "决策表", "by_rule": True}
    if not key:
        entry["what"] = "本服务没有决策表，跳过"
    elif model is None or key != walk.data.get("decision"):
        entry["what"] = f"试办只用本服务的决策表，{key} 没有判定"
    else:
        try:
            found = decide(model, facts_of(walk.data))
            verdict = found.plain
            said = "，".join(f"{k} = {v}" for k, v in verdict.items() if v is not None)
            entry["what"] = said or "没有规则命中"
            entry["note"] = "；".join(found.annotations)
        except BadTable as error:
            entry["what"] = str(error)
    walk.log.append(entry)
    return {step.into: verdict}


__all__ = ["Waiting", "Walk", "begin", "press", "waiting"]
