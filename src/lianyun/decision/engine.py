"""Engine: one BPMN text being run by SpiffWorkflow; its state is text, its conditions are closed.

The engine keeps tokens, forks and joins; tables, messages, people and working days are its caller's
(`way.run_form`). Nothing here reads or writes anything but its arguments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser, BpmnValidator
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.serializer.config import DEFAULT_CONFIG
from SpiffWorkflow.bpmn.serializer.default.workflow import BpmnWorkflowConverter, WorkflowConverter
from SpiffWorkflow.bpmn.specs.mixins.events.intermediate_event import BoundaryEvent
from SpiffWorkflow.bpmn.specs.mixins.multiinstance_task import LoopTask
from SpiffWorkflow.bpmn.util import BpmnEvent
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

from .closed import BadPath, check_expression, evaluate
from .way import DECIDE, WAIT, Step, check_elements, parse_xml, run_form, steps_of


class ClosedEngine(PythonScriptEngine):
    """SpiffWorkflow's script engine replaced: conditions only, over the case's data; no scripts."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values

    def validate(self, expression: str) -> None:
        check_expression(expression)

    def evaluate(
        self, task: Any, expression: str, external_context: dict[str, Any] | None = None
    ) -> Any:
        return evaluate(expression, {**self.values, **task.data})

    def execute(self, task: Any, script: str, external_context: Any = None) -> bool:
        raise BadPath("路径中不允许脚本")

    def call_service(self, task: Any, **kwargs: Any) -> None:
        raise BadPath("路径中不允许直接调用服务")


class _Asked(Exception):
    """A condition was asked."""


class _Blind(ClosedEngine):
    """Answers no condition: finds out whether one is asked."""

    def evaluate(
        self, task: Any, expression: str, external_context: dict[str, Any] | None = None
    ) -> Any:
        raise _Asked


class _StateOnly(BpmnWorkflowConverter):
    """Writes a workflow without its specification, which is the path's and ten times as large."""

    def to_dict(self, workflow: BpmnWorkflow) -> dict[str, Any]:
        out: dict[str, Any] = WorkflowConverter.to_dict(self, workflow)
        out["subprocesses"] = self.mapping_to_dict(workflow.subprocesses)
        out["bpmn_events"] = []
        return out


_SERIALIZER = BpmnWorkflowSerializer(
    BpmnWorkflowSerializer.configure({**DEFAULT_CONFIG, BpmnWorkflow: _StateOnly})
)


@lru_cache(maxsize=256)
def spec_of(bpmn: str, key: str) -> tuple[Any, dict[str, Any]]:
    """The engine's process specification of a BPMN text: (spec, sub-process specs); cached.

    Raises BadPath where the text has elements outside the allowed set or a bad condition.
    """
    root = parse_xml(bpmn)
    check_elements(root, key)
    steps_of(bpmn)
    parser = BpmnParser(validator=BpmnValidator())
    try:
        parser.add_bpmn_str(run_form(root).encode())
        spec, parts = parser.get_spec(key), parser.get_subprocess_specs(key)
    except Exception as error:
        raise BadPath(f"路径 {key} 无法运行：{error}") from error
    # The engine joins instances by a listener that it sets where they are made; a case that another
    # process has begun must find it too.
    for one in (spec, *parts.values()):
        for task in one.task_specs.values():
            if isinstance(task, LoopTask):
                one.task_specs[task.task_spec].completed_event.connect(task.merge_child)
    return spec, parts


class CannotMove(Exception):
    """A running text cannot go on in another one; the message names what that one lacks."""


@dataclass(frozen=True)
class _Named:
    """What of a task's specification its caller asks for."""

    bpmn_id: str


@dataclass(frozen=True)
class _Opened:
    """A task that waits at the start of a text."""

    id: Any
    task_spec: _Named


@dataclass(frozen=True)
class _Opening:
    """How every matter of a text stands once it has begun: its state, and what waits."""

    state: str
    tasks: tuple[_Opened, ...]


@lru_cache(maxsize=256)
def _opening(bpmn: str, key: str) -> _Opening | None:
    """The opening of a text, made once a process; None where it is not the same for every matter.

    It is the same where no condition is asked on the way and nobody but people is waited for:
    then a matter begins without the engine (building and writing it costs some milliseconds).
    Tasks of several matters have the same numbers; they are told apart by their matter.
    """
    run = Running(bpmn, key, {})
    flow = run.flow
    flow.script_engine = _Blind({})
    try:
        flow.do_engine_steps()
    except _Asked:
        return None
    waiting = run.ready()
    steps = [run.step_of(t) for t in waiting]
    special = any(s.kind in (DECIDE, WAIT) or s.each for s in steps)
    if special or not waiting or flow.subprocesses or flow.completed:
        return None
    found = tuple(_Opened(t.id, _Named(str(t.task_spec.bpmn_id))) for t in waiting)
    return _Opening(run.state, found)


class Running:
    """One matter on its way: what waits, what has ended, and its state as text."""

    def __init__(self, bpmn: str, key: str, data: dict[str, Any], state: str | None = None) -> None:
        """At the start, or where the saved state stands; `data` is what conditions ask."""
        self.key, self.steps = key, steps_of(bpmn)
        self._text, self._saved = bpmn, state
        self._engine = ClosedEngine(data)
        self._flow: BpmnWorkflow | None = None
        self._opening: _Opening | None = None

    @property
    def flow(self) -> BpmnWorkflow:
        """The engine's own object, made when it is first needed."""
        if self._flow is None:
            spec, parts = spec_of(self._text, self.key)
            if self._saved is None:
                self._flow = BpmnWorkflow(spec, parts)
            else:
                saved = json.loads(self._saved)
                saved["spec"], saved["subprocess_specs"] = spec, parts
                self._flow = _SERIALIZER.from_dict(saved)
            self._flow.script_engine = self._engine
            self._opening = None
        return self._flow

    @property
    def data(self) -> dict[str, Any]:
        """What conditions ask."""
        return self._engine.values

    @data.setter
    def data(self, values: dict[str, Any]) -> None:
        self._engine.values = values

    @property
    def state(self) -> str:
        """The state as text (the order of its keys matters: never put it into jsonb)."""
        if self._flow is None and self._saved is not None:
            return self._saved
        return json.dumps(_SERIALIZER.to_dict(self.flow), ensure_ascii=False, default=str)

    def go(self) -> None:
        """Go on until somebody, something or some day is waited for."""
        if self._flow is None and self._saved is None:
            self._opening = _opening(self._text, self.key)
            if self._opening is not None:
                self._saved = self._opening.state
        if self._opening is None:
            self.flow.do_engine_steps()

    def ready(self) -> list[Any]:
        """Tasks that wait; `step_of` tells for which step, `token` which of several."""
        if self._opening is not None:
            return list(self._opening.tasks)
        if self._flow is None and self._saved is None:
            return []
        flows = (self.flow, *self.flow.subprocesses.values())
        return [
            task
            for flow in flows
            for task in flow.tasks.values()
            if task.state == TaskState.READY and task.task_spec.manual
        ]

    def step_of(self, task: Any) -> Step:
        """The declared step of a task."""
        return self.steps[task.task_spec.bpmn_id]

    def run(self, task: Any, outcome: str) -> None:
        """Complete a task; conditions know its outcome as `outcome_<step>`."""
        if isinstance(task, _Opened):
            task = self.flow.get_task_from_id(task.id)
        task.data[f"outcome_{task.task_spec.bpmn_id}"] = outcome
        task.run()

    def interrupt(self, step: str) -> None:
        """Let a step's timer take it away from whoever has it, and go on by the timer's way."""
        for bound in list(self.flow.get_tasks(state=TaskState.WAITING)):
            spec = bound.task_spec
            if isinstance(spec, BoundaryEvent) and spec.event_definition.name == f"fires_{step}":
                spec.catch(bound, BpmnEvent(spec.event_definition))
                spec._update(bound)
        self.go()

    def cancel(self) -> None:
        """Stop everything that is open."""
        self.flow.cancel()

    @property
    def ended(self) -> str | None:
        """The name of the end that was reached last, or None while the matter runs."""
        if self._opening is not None or not self.flow.completed:
            return None
        ends = [
            t
            for t in self.flow.get_tasks(state=TaskState.COMPLETED, skip_subprocesses=True)
            if str(t.task_spec.bpmn_id or "").startswith("end_")
        ]
        last = max(ends, key=lambda t: t.last_state_change, default=None)
        return str(last.task_spec.bpmn_id).removeprefix("end_") if last else "done"

    def round_of(self, task: Any) -> tuple[str, list[Any], int]:
        """Of a task done for each entry of a list: (the round, the list, the entry's place)."""
        step, at = self.step_of(task), task
        while at is not None:
            index = at.internal_data.get("key_or_index")
            if index is not None:
                listed = evaluate(step.each, self.data)
                return str(at.parent.id), listed, int(index)
            at = self.flow.get_task_from_id(at.workflow.parent_task_id)
        raise BadPath(f"步骤 {step.id} 不在多部门办理之中")

    def entry_of(self, task: Any) -> str:
        """The department (slug) for which a task of an `each` step is done."""
        _, listed, index = self.round_of(task)
        entry = listed[index]
        return str(entry.get("department") if isinstance(entry, dict) else entry)

    def begin_round(self, task: Any) -> dict[str, Any] | None:
        """The empty joint answer where this task is the first of a new round, else None."""
        run, listed, _ = self.round_of(task)
        step = self.step_of(task)
        result = self.data.get(step.id)
        if isinstance(result, dict) and result.get("run") == run:
            return None
        return {step.id: joint(step, len(listed), run)}

    def move_to(self, bpmn: str, named: dict[str, str]) -> None:
        """Go on in another text: what is done stays, what is open goes on there.

        `named` gives new names of old steps. Raises CannotMove naming what the new text lacks.
        """
        spec, parts = spec_of(bpmn, self.key)
        flows = [(self.flow, spec)]
        for sub in self.flow.subprocesses.values():
            if sub.spec.name not in parts:
                raise CannotMove(f"新版本没有本办件正在走的子流程“{sub.spec.name}”")
            flows.append((sub, parts[sub.spec.name]))
        reached = TaskState.WAITING | TaskState.READY | TaskState.STARTED | TaskState.COMPLETED
        for flow, new in flows:
            for task in flow.tasks.values():
                name = task.task_spec.name
                wanted = new.task_specs.get(named.get(name, name))
                if wanted is None and name not in self.steps and task.state == TaskState.COMPLETED:
                    # A gateway that was passed has no more to say; its place in the tree is kept.
                    wanted = new.task_specs["Start"]
                if wanted is None and task.has_state(reached):
                    title = task.task_spec.bpmn_name or name
                    raise CannotMove(f"新版本没有本办件已经走到的步骤“{title}”，不能迁移")
                task.task_spec = wanted or task.task_spec
        for flow, new in flows:
            flow.spec = new
            for task in list(flow.tasks.values()):
                if task.id not in flow.tasks or not task.has_state(
                    TaskState.READY | TaskState.WAITING | TaskState.STARTED
                ):
                    continue
                for child in list(task.children):
                    if child.has_state(TaskState.PREDICTED_MASK | TaskState.FUTURE):
                        flow._remove_task(child.id)
                task.task_spec._predict(task, mask=TaskState.NOT_FINISHED_MASK)
        self.flow.subprocess_specs = parts
        self.steps = steps_of(bpmn)


def joint(step: Step, total: int, run: str) -> dict[str, Any]:
    """An empty joint answer: how many are asked, the answers, and how often each outcome."""
    return {"run": run, "total": total, "answers": [], **{o.name: 0 for o in step.outcomes}}


def joined(
    step: Step, before: Any, *, department: str, name: str, outcome: str, more: dict[str, Any]
) -> dict[str, Any]:
    """A joint answer with one department's answer more."""
    result = before if isinstance(before, dict) and "answers" in before else joint(step, 0, "")
    answer = {
        "department": department,
        "name": name,
        "outcome": outcome,
        "title": step.outcome(outcome).title,
        **more,
    }
    count = int(result.get(outcome) or 0) + 1
    return {step.id: {**result, "answers": [*result["answers"], answer], outcome: count}}


def facts_of(data: dict[str, Any]) -> dict[str, Any]:
    """What a decision table may ask of a case: its data, its situations, its facts, all flat."""
    out = dict(data)
    for name in ("situations", "facts"):
        if isinstance(data.get(name), dict):
            out |= data[name]
    return out


def working_days(value: int | str | None, data: dict[str, Any], what: str) -> int | None:
    """Days as declared: a number, or an expression over the data; None for no clock.

    Raises BadPath where the expression gives no number of days.
    """
    found = evaluate(value, data) if isinstance(value, str) else value
    if found is None or found == "":
        return None
    if isinstance(found, str) and found.strip().isdigit():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 36500:
        raise BadPath(f"{what}：期限“{value}”算不出工作日数")
    return int(found)
