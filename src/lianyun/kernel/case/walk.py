"""Walk: one case going along its path: the engine's state is loaded, moved on, and saved once."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from SpiffWorkflow.bpmn.specs.mixins.events.intermediate_event import BoundaryEvent
from SpiffWorkflow.bpmn.util import BpmnEvent
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

from lianyun.decision import BadTable, decide
from lianyun.decision.way import DECIDE, TIMER, WAIT

from ..access import SYSTEM, UserError
from ..clock import calendar
from ..event import Event, record
from ..party import department
from ..path import (
    SERIALIZER,
    BadPath,
    ClosedEngine,
    Path,
    Step,
    current_decision,
    evaluate,
    spec_of,
)
from .rows import Answer, Case, WorkItem, bureau

if TYPE_CHECKING:
    from ..access import Actor


def number_of(value: int | str | None, data: dict[str, Any], what: str) -> int | None:
    """Working days as declared: a number, or an expression over the case's data; None for no clock."""
    found = evaluate(value, data) if isinstance(value, str) else value
    if found is None:
        return None
    if isinstance(found, str) and found.strip().isdigit():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 0:
        raise BadPath(f"{what}：期限“{value}”算不出工作日数")
    return int(found)


class Walk:
    """A case with its running engine: tasks by token, moved on and saved within one transaction."""

    def __init__(self, case: Case, workflow: BpmnWorkflow, by: Actor) -> None:
        self.case, self.workflow, self.by = case, workflow, by
        self.steps = case.path.steps
        self.known = {str(t.id) for t in self.ready()}

    @classmethod
    def begin(cls, case: Case, by: Actor) -> Walk:
        """At the start of the path; nothing has run yet."""
        spec, parts = spec_of(case.path.bpmn, case.path.key)
        return cls(case, BpmnWorkflow(spec, parts, script_engine=ClosedEngine(case.data)), by)

    @classmethod
    def load(cls, case: Case, by: Actor) -> Walk:
        """Where the case stands."""
        return cls(case, restored(case, case.path), by)

    def ready(self) -> list[Any]:
        """Tasks that wait for somebody, something or some day."""
        return list(self.workflow.get_tasks(state=TaskState.READY, manual=True))

    def task(self, row: WorkItem) -> Any:
        """The engine's task of a work item; raises BadPath where the two do not agree."""
        found = next((t for t in self.ready() if str(t.id) == row.token), None)
        if found is None:
            raise BadPath(f"办件 {self.case.code} 的步骤 {row.step} 不在待办状态")
        return found

    def told(self, data: dict[str, Any]) -> None:
        """Merge into the case's data, for the engine's conditions too."""
        self.case.data = {**self.case.data, **data}
        self.workflow.script_engine.values = self.case.data

    def finish(
        self, row: WorkItem, outcome: str, *, note: str = "", data: dict[str, Any] | None = None
    ) -> None:
        """Complete a work item: the engine's task, the row, and its part of a joint answer."""
        step, task = self.steps[row.step], self.task(row)
        if data:
            self.told({step.id: {**data, "outcome": outcome}} if step.kind == WAIT else data)
        self._run(step, task, outcome)
        if step.each:
            self._joined(step, row, outcome, note, data if step.kind == WAIT else None)
        self.close_row(row, outcome, note)

    def _run(self, step: Step, task: Any, outcome: str) -> None:
        task.data[f"outcome_{step.id}"] = outcome
        task.run()

    def close_row(self, row: WorkItem, outcome: str, note: str = "") -> None:
        """Mark a work item as done, by whom and how."""
        row.done_at = timezone.now()
        row.by, row.outcome, row.note = self.by.party, outcome, note
        row.save(update_fields=["done_at", "by", "outcome", "note"])

    def advance(self) -> None:
        """Go on until people, systems or days are waited for; tables decide on the way."""
        while True:
            self.workflow.do_engine_steps()
            fresh = [t for t in self.ready() if str(t.id) not in self.known]
            tables = [t for t in fresh if self.steps[t.task_spec.bpmn_id].kind == DECIDE]
            for task in tables:
                self._decide(self.steps[task.task_spec.bpmn_id], task)
            if tables:
                continue
            opened = self._open(fresh)
            self.known.update(str(t.id) for t in fresh)
            waiting = [r for r in opened if self.steps[r.step].kind == WAIT]
            if not waiting or not sum([self._use_answer(row) for row in waiting]):
                return

    def _use_answer(self, row: WorkItem) -> bool:
        """Take an answer that came before the case waited for it."""
        step = self.steps[row.step]
        slug = row.department.slug if step.each and row.department else ""
        found = (
            self.case.answers.filter(message=step.message, department=slug or "", used_at=None)
            .order_by("id")
            .first()
        )
        if found is None:
            return False
        self.answer(row, found)
        return True

    def answer(self, row: WorkItem, answer: Answer) -> None:
        """Complete a waiting step by another system's answer."""
        step = self.steps[row.step]
        declared = step.outcome(answer.outcome)
        self.finish(row, answer.outcome, data=answer.data)
        answer.used_at = timezone.now()
        answer.save(update_fields=["used_at"])
        record(
            "case.answered",
            self.case,
            by=self.by,
            case=self.case,
            data=self._stepped(row, declared.title) | {"message": answer.message},
        )

    def _stepped(self, row: WorkItem, title: str) -> dict[str, Any]:
        out = {"step": row.step, "title": row.title, "outcome": title}
        if self.steps[row.step].each and row.department is not None:
            out["department"] = row.department.slug or ""
        return out

    def stepped(self, row: WorkItem, title: str, note: str) -> None:
        """Record that somebody did a work item."""
        record(
            "case.stepped",
            self.case,
            by=self.by,
            case=self.case,
            data={**self._stepped(row, title), "note": note},
        )

    def _decide(self, step: Step, task: Any) -> None:
        """Ask a decision table; what it cannot answer goes on with an empty verdict, to a person."""
        values = self.case.data
        key = step.decide
        if key.startswith("="):
            key = str(evaluate(key[1:], values) or "")
        table = current_decision(key) if key else None
        out: dict[str, Any] = {"table": key, "version": table.version if table else None}
        verdict: dict[str, Any] = {}
        try:
            if table is None:
                raise BadTable(f"没有名为“{key}”的决策表")
            facts = {
                **values,
                **_mapping(values.get("situations")),
                **_mapping(values.get("facts")),
            }
            answer = decide(table.model, facts)
            verdict = answer.plain
            out |= {
                "title": table.title,
                "rules": list(answer.rules),
                "annotations": list(answer.annotations),
            }
        except BadTable as error:
            out |= {"title": table.title if table else key, "rules": [], "annotations": []}
            out["error"] = str(error)
        self.told({step.into: verdict, "decided": out})
        record(
            "case.decided",
            self.case,
            by=SYSTEM,
            case=self.case,
            data={"step": step.id, "title": step.title, "verdict": verdict, **out},
        )
        task.run()

    def _open(self, tasks: list[Any]) -> list[WorkItem]:
        """Open a work item for every fresh task."""
        today = timezone.localdate()
        rows = []
        for task in tasks:
            step = self.steps[task.task_spec.bpmn_id]
            due, provisional = self._due(step, today)
            fires = number_of(step.fires, self.case.data, step.title)
            row = WorkItem(
                case=self.case,
                step=step.id,
                token=str(task.id),
                title=step.title,
                permission=step.permission,
                basis=step.basis,
                due_on=due,
                provisional=provisional,
                fires_on=None if fires is None else calendar().deadline(today, fires)[0],
            )
            if step.kind == TIMER:
                row.due_on = row.fires_on
            self._seat(row, step, task)
            rows.append(row)
        return WorkItem.objects.bulk_create(rows) if rows else []

    def _seat(self, row: WorkItem, step: Step, task: Any) -> None:
        """At which desk a step waits; the first of a joint round begins its count anew."""
        entry: Any = None
        if step.each:
            parent, index = _instance(task)
            listed = evaluate(step.each, self.case.data)
            entry = listed[index]
            result = self.case.data.get(step.id)
            if not isinstance(result, dict) or result.get("run") != parent:
                self.told({step.id: joint(step, len(listed), parent)})
        match step.department:
            case "applicant":
                row.department_id = self.case.applicant_id
            case "provider":
                row.department_id = self.case.department_id
            case "bureau":
                row.department = bureau()
            case "each":
                slug = entry.get("department") if isinstance(entry, dict) else entry
                row.department = department(str(slug))
            case slug:
                row.department = department(slug)

    def _joined(
        self, step: Step, row: WorkItem, outcome: str, note: str, data: dict[str, Any] | None
    ) -> None:
        """Add one department's answer to the joint one."""
        result = self.case.data.get(step.id)
        if not isinstance(result, dict) or "answers" not in result:
            result = joint(step, 0, "")
        answer = {
            "department": row.department.slug if row.department else "",
            "name": str(row.department) if row.department else "",
            "outcome": outcome,
            "title": step.outcome(outcome).title,
            "note": note,
            "by": self.by.name,
            "on": timezone.localdate().isoformat(),
            **({"data": data} if data else {}),
        }
        counted = {**result, "answers": [*result["answers"], answer]}
        counted[outcome] = int(counted.get(outcome) or 0) + 1
        self.told({step.id: counted})

    def _due(self, step: Step, today: dt.date) -> tuple[dt.date | None, bool]:
        """The day until which a step is to be done, and whether that day is provisional.

        A step whose clock another step has started takes over that one's due day.
        """
        days = number_of(step.days, self.case.data, step.title)
        if step.clock:
            others = [s.id for s in self.steps.values() if s.clock == step.clock and s != step]
            items = self.case.items
            begun = items.filter(step__in=others).exclude(due_on=None).order_by("-id").first()
            again = items.filter(step=step.id).exists() and days is not None
            if begun is not None and not again:
                return begun.due_on, begun.provisional
        if days is None:
            return None, False
        return calendar().deadline(today, days)

    def fire(self, row: WorkItem) -> None:
        """A step's working days have passed: the path goes on by its timer."""
        step, task = self.steps[row.step], self.task(row)
        if step.kind == TIMER:
            self._run(step, task, "done")
            self.close_row(row, "done")
        else:
            self._interrupt(step)
        record(
            "case.timed",
            self.case,
            by=self.by,
            case=self.case,
            data={"step": row.step, "title": row.title, "on": str(row.fires_on)},
        )

    def _interrupt(self, step: Step) -> None:
        """A boundary timer takes the step away from whoever had it."""
        bounds = [
            t
            for t in self.workflow.get_tasks(state=TaskState.WAITING)
            if isinstance(t.task_spec, BoundaryEvent)
            and t.task_spec.event_definition.name == f"fires_{step.id}"
        ]
        for bound in bounds:
            bound.task_spec.catch(bound, BpmnEvent(bound.task_spec.event_definition))
            bound.task_spec._update(bound)
        self.workflow.do_engine_steps()
        left = {str(t.id) for t in self.ready()}
        for gone in self.case.items.filter(step=step.id, done_at=None).exclude(token__in=left):
            self.close_row(gone, "timed_out")

    def cancel(self) -> None:
        """Stop everything that is open."""
        self.workflow.cancel()
        for row in self.case.items.filter(done_at=None):
            self.close_row(row, "withdrawn")

    def save(self) -> None:
        """Write the case's row; an ended path closes the case with the outcome of its end."""
        case, workflow = self.case, self.workflow
        case.engine = json.dumps(SERIALIZER.to_dict(workflow), ensure_ascii=False, default=str)
        fields = ["engine", "data"]
        if workflow.completed and case.state != Case.CLOSED:
            self.close(self._end())
        if case.state == Case.CLOSED:
            fields += ["state", "outcome", "closed_at"]
        case.save(update_fields=fields)

    def _end(self) -> str:
        ends = [
            t
            for t in self.workflow.get_tasks(state=TaskState.COMPLETED, skip_subprocesses=True)
            if str(t.task_spec.bpmn_id or "").startswith("end_")
        ]
        last = max(ends, key=lambda t: t.last_state_change, default=None)
        return str(last.task_spec.bpmn_id).removeprefix("end_") if last else "done"

    def close(self, outcome: str) -> None:
        """The matter has ended."""
        case = self.case
        case.outcome, case.state, case.closed_at = outcome, Case.CLOSED, timezone.now()
        record(
            "case.closed",
            case,
            by=self.by,
            case=case,
            data={"path": case.path.key, "outcome": outcome, "subject": case.subject},
        )

    def move_to(self, way: Path, named: dict[str, str]) -> None:
        """Put the running case onto another version: what is done stays, what is open goes on there.

        `named` says which step of the new version takes the place of an old one. Raises UserError
        naming a done or open step that the new version does not know.
        """
        spec, parts = spec_of(way.bpmn, way.key)
        flows = [(self.workflow, spec)]
        for sub in self.workflow.subprocesses.values():
            if sub.spec.name not in parts:
                raise UserError(f"新版本没有本办件正在走的子流程“{sub.spec.name}”")
            flows.append((sub, parts[sub.spec.name]))
        moved = TaskState.DEFINITE_MASK | TaskState.FINISHED_MASK
        for flow, new in flows:
            for task in flow.tasks.values():
                name = task.task_spec.name
                wanted = new.task_specs.get(named.get(name, name))
                if wanted is None and task.has_state(moved & ~TaskState.CANCELLED):
                    title = task.task_spec.bpmn_name or name
                    raise UserError(f"新版本没有本办件已经走到的步骤“{title}”，不能迁移")
                if wanted is not None:
                    task.task_spec = wanted
        for flow, new in flows:
            flow.spec = new
            for task in list(flow.tasks.values()):
                if task.id in flow.tasks and task.has_state(
                    TaskState.READY | TaskState.WAITING | TaskState.STARTED
                ):
                    for child in list(task.children):
                        if child.has_state(TaskState.PREDICTED_MASK | TaskState.FUTURE):
                            flow._remove_task(child.id)
                    task.task_spec._predict(task, mask=TaskState.PREDICTED_MASK | TaskState.FUTURE)
        self.workflow.subprocess_specs = parts
        self.case.path = way
        self.steps = way.steps


def restored(case: Case, way: Path) -> BpmnWorkflow:
    """The engine as a case's saved state has it."""
    spec, parts = spec_of(way.bpmn, way.key)
    state = json.loads(case.engine)
    state["spec"], state["subprocess_specs"] = spec, parts
    workflow = SERIALIZER.from_dict(state)
    workflow.script_engine = ClosedEngine(case.data)
    return workflow


def joint(step: Step, total: int, run: str) -> dict[str, Any]:
    """An empty joint answer: how many are asked, the answers, and how often each outcome."""
    return {"run": run, "total": total, "answers": [], **{o.name: 0 for o in step.outcomes}}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _instance(task: Any) -> tuple[str, int]:
    """Which entry of a list a task stands for: (the round, the entry's place)."""
    while task is not None:
        index = task.internal_data.get("key_or_index")
        if index is not None:
            return str(task.parent.id), int(index)
        task = task.workflow.top_workflow.get_task_from_id(task.workflow.parent_task_id)
    raise BadPath("该步骤不在多部门办理之中")


def replay(case: Case) -> list[tuple[Event, list[str]]]:
    """Walk a case's path anew by its recorded events alone: each event with the steps it opened.

    Neither the engine's saved state nor the work items are looked at, so that what they say can be
    held against it. Raises BadPath where the events do not fit the path.
    """
    walk = Walk.begin(case, SYSTEM)
    seen: set[str] = set()
    out: list[tuple[Event, list[str]]] = []
    for event in Event.objects.filter(case_id_ref=case.pk, kind__startswith="case.").order_by("id"):
        if event.subject != case.ref:
            continue
        if event.kind in ("case.stepped", "case.answered", "case.timed", "case.decided"):
            _again(walk, event)
        if event.kind == "case.migrated":
            raise BadPath(f"办件 {case.code} 迁移过版本，不能按一个版本重走")
        if event.kind in ("case.opened", "case.stepped", "case.answered", "case.timed"):
            walk.workflow.do_engine_steps()
        fresh = [
            t
            for t in walk.ready()
            if str(t.id) not in seen and walk.steps[t.task_spec.bpmn_id].kind != DECIDE
        ]
        seen.update(str(t.id) for t in fresh)
        out.append((event, [str(t.task_spec.bpmn_id) for t in fresh]))
    return out


def _again(walk: Walk, event: Event) -> None:
    """Do in a fresh engine what one event says."""
    step = walk.steps.get(event.data["step"])
    if step is None:
        raise BadPath(f"事件 {event.pk} 的步骤不在路径中")
    tasks = [t for t in walk.ready() if t.task_spec.bpmn_id == step.id]
    if step.each and event.data.get("department"):
        listed = evaluate(step.each, walk.case.data)
        named = [e.get("department") if isinstance(e, dict) else e for e in listed]
        tasks = [t for t in tasks if named[_instance(t)[1]] == event.data["department"]]
    ways = [o.name for o in step.outcomes if o.title == event.data.get("outcome")] or ["done"]
    known = event.kind in ("case.decided", "case.timed") or any(
        o.title == event.data.get("outcome") for o in step.outcomes
    )
    if not tasks or not known:
        raise BadPath(f"办件 {walk.case.code} 的事件 {event.pk} 与路径不符")
    if event.kind == "case.timed" and step.kind != TIMER:
        walk._interrupt(step)
    else:
        walk._run(step, tasks[0], ways[0])
