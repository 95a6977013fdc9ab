"""Walk: one case going along its path: the engine's state is loaded, moved on, and saved once."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.decision import BadTable, decide
from lianyun.decision.closed import evaluate
from lianyun.decision.engine import Running, facts_of, joined, working_days
from lianyun.decision.way import DECIDE, TIMER, WAIT

from ..access import SYSTEM
from ..clock import calendar
from ..event import Event, record
from ..party import department
from ..path import BadPath, Path, Step, judging
from .rows import Answer, Case, WorkItem, bureau
from .store import write

if TYPE_CHECKING:
    from ..access import Actor


class Walk:
    """A case with its running engine, moved on and saved within one transaction."""

    def __init__(self, case: Case, by: Actor, *, anew: bool = False) -> None:
        """Where the case stands; `anew` at the start of its path."""
        way = case.path
        self.case, self.by = case, by
        self.running = Running(way.bpmn, way.key, case.data, None if anew else case.engine)
        self.known = {str(t.id) for t in self.running.ready()}
        self.before, self.closed, self.opened = case.data, list[WorkItem](), list[WorkItem]()

    @property
    def steps(self) -> dict[str, Step]:
        """The declared steps of the case's path."""
        return self.running.steps

    def told(self, data: dict[str, Any]) -> None:
        """Merge into the case's data, for the engine's conditions too."""
        self.case.data = self.running.data = {**self.case.data, **data}

    def say(self, kind: str, **data: Any) -> None:
        """Record an event of this case."""
        record(f"case.{kind}", self.case, by=self.by, case=self.case, data=data)

    def _task(self, row: WorkItem) -> Any:
        found = next((t for t in self.running.ready() if str(t.id) == row.token), None)
        if found is None:
            raise BadPath(f"办件 {self.case.code} 的步骤 {row.step} 不在待办状态")
        return found

    def finish(
        self, row: WorkItem, outcome: str, *, note: str = "", data: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Complete a work item (engine, row, joint answer); returns what its event should tell."""
        step, task = self.steps[row.step], self._task(row)
        slug = (row.department.slug or "") if step.each and row.department else ""
        if data and step.kind != WAIT:
            self.told(data)
        if step.each:
            more = {
                "note": note,
                "by": self.by.name,
                "on": timezone.localdate().isoformat(),
                **({"data": data} if data and step.kind == WAIT else {}),
            }
            before, name = self.case.data.get(step.id), str(row.department or "")
            self.told(joined(step, before, department=slug, name=name, outcome=outcome, more=more))
        elif step.kind == WAIT:
            self.told({step.id: {**(data or {}), "outcome": outcome}})
        self.running.run(task, outcome)
        self.close_row(row, outcome, note)
        tell = {"step": row.step, "title": row.title, "outcome": step.outcome(outcome).title}
        return {**tell, "department": slug} if slug else tell

    def close_row(self, row: WorkItem, outcome: str, note: str = "") -> None:
        """Mark a work item as done, by whom and how."""
        row.done_at = timezone.now()
        row.by, row.outcome, row.note = self.by.party, outcome, note
        self.closed.append(row)

    def advance(self) -> None:
        """Go on until people, systems or days are waited for; tables decide on the way."""
        while True:
            self.running.go()
            fresh = [t for t in self.running.ready() if str(t.id) not in self.known]
            tables = [t for t in fresh if self.running.step_of(t).kind == DECIDE]
            for task in tables:
                self._decide(self.running.step_of(task))
                task.run()
            if tables:
                continue
            self._open(fresh)
            self.known.update(str(t.id) for t in fresh)
            waits = [r.token for r in self.opened if self.steps[r.step].kind == WAIT]
            if not waits or not self.case.answers.filter(used_at=None).exists():
                return
            self.write()
            rows = self.case.items.filter(token__in=waits).select_related("department")
            if not sum([self.use_answer(row) for row in rows.order_by("id")]):
                return

    def use_answer(self, row: WorkItem) -> bool:
        """Take an answer that came before the case waited for it; False where there is none."""
        step = self.steps[row.step]
        slug = (row.department.slug or "") if step.each and row.department else ""
        kept = self.case.answers.filter(message=step.message, department=slug, used_at=None)
        found = kept.order_by("id").first()
        if found is not None:
            self.answer(row, found)
        return found is not None

    def answer(self, row: WorkItem, answer: Answer) -> None:
        """Complete a waiting step by another system's answer."""
        tell = self.finish(row, answer.outcome, data=answer.data)
        answer.used_at = timezone.now()
        answer.save(update_fields=["used_at"])
        self.say("answered", **tell, message=answer.message)

    def _decide(self, step: Step) -> None:
        """Ask a decision table; what it cannot answer goes on with an empty verdict, to a person."""
        data = self.case.data
        key = str(evaluate(step.decide[1:], data) or "") if step.decide[0] == "=" else step.decide
        put = data.get("judged_by") or {}
        table = judging(key, self.case.opened_at, put.get(key)) if key else None
        told: dict[str, Any] = {"table": key, "version": table.version if table else None}
        told |= {"title": table.title if table else key, "rules": [], "annotations": []}
        verdict: dict[str, Any] = {}
        try:
            if table is None:
                raise BadTable(f"没有名为“{key}”的决策表")
            found = decide(table.model, facts_of(data))
            verdict = found.plain
            told |= {"rules": list(found.rules), "annotations": list(found.annotations)}
        except BadTable as error:
            told["error"] = str(error)
        put = {**put, key: table.version} if table else put
        self.told({step.into: verdict, "decided": told, "judged_by": put})
        told |= {"step": step.id, "into": step.into, "verdict": verdict}
        record("case.decided", self.case, by=SYSTEM, case=self.case, data=told)

    def _open(self, tasks: list[Any]) -> None:
        """Open a work item for every fresh task."""
        today = timezone.localdate()
        for task in tasks:
            step = self.running.step_of(task)
            due, provisional = self._due(step, today)
            fires = working_days(step.fires, self.case.data, step.title)
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
            if step.each:
                self.told(self.running.begin_round(task) or {})
            self._seat(row, step.department, task)
            self.opened.append(row)

    def _seat(self, row: WorkItem, desk: str, task: Any) -> None:
        """At which desk a step waits."""
        match desk:
            case "applicant":
                row.department_id = self.case.applicant_id
            case "provider":
                row.department_id = self.case.department_id
            case "bureau":
                row.department = bureau()
            case "each":
                row.department = department(self.running.entry_of(task))
            case slug:
                row.department = department(slug)

    def _due(self, step: Step, today: dt.date) -> tuple[dt.date | None, bool]:
        """The day until which a step is to be done, and whether that day is provisional.

        A step whose clock another step has started takes over that one's due day.
        """
        days = working_days(step.days_by or step.days, self.case.data, step.title)
        if step.clock:
            others = [s.id for s in self.steps.values() if s.clock == step.clock and s != step]
            if self.opened:
                self.write()
            items = self.case.items
            begun = items.filter(step__in=others).exclude(due_on=None).order_by("-id").first()
            again = items.filter(step=step.id).exists() and days is not None
            if begun is not None and not again:
                return begun.due_on, begun.provisional
        return (None, False) if days is None else calendar().deadline(today, days)

    def fire(self, row: WorkItem) -> None:
        """A step's working days have passed: the path goes on by its timer."""
        task = self._task(row)
        if self.steps[row.step].kind == TIMER:
            self.running.run(task, "done")
            self.close_row(row, "done")
        else:
            self.running.interrupt(row.step)
            left = {str(t.id) for t in self.running.ready()}
            for gone in self.case.items.filter(step=row.step, done_at=None):
                if gone.token not in left:
                    self.close_row(gone, "timed_out")
        self.say("timed", step=row.step, title=row.title, on=str(row.fires_on))

    def cancel(self) -> None:
        """Stop everything that is open."""
        self.running.cancel()
        for row in self.case.items.filter(done_at=None):
            self.close_row(row, "withdrawn")

    def save(self) -> None:
        """Write the case's row; an ended path closes the case with the outcome of its end."""
        case, ended = self.case, self.running.ended
        case.engine = self.running.state
        if ended is not None and case.state != Case.CLOSED:
            self.close(ended)
        closed = ["state", "outcome", "closed_at"] if case.state == Case.CLOSED else []
        self.write("engine", *closed)

    def write(self, *fields: str) -> None:
        """Write what has changed so far."""
        data = ["data"] if self.case.data is not self.before else []
        write(self.case, [*fields, *data], self.closed, self.opened)
        self.before, self.closed, self.opened = self.case.data, [], []

    def close(self, outcome: str) -> None:
        """The matter has ended."""
        case = self.case
        case.outcome, case.state, case.closed_at = outcome, Case.CLOSED, timezone.now()
        self.say("closed", path=case.path.key, outcome=outcome, subject=case.subject)

    def move_to(self, way: Path, named: dict[str, str]) -> None:
        """Put the running case onto another version; raises CannotMove."""
        self.running.move_to(way.bpmn, named)
        self.case.path = way


def replay(case: Case) -> list[tuple[Event, list[str]]]:
    """Walk a case's path anew by its recorded events alone: each event with the steps it opened.

    Neither the engine's saved state nor the work items are looked at, so that what they say can be
    held against it. Raises BadPath where the events do not fit the path.
    """
    running = Running(case.path.bpmn, case.path.key, dict(case.data))
    seen: set[str] = set()
    out: list[tuple[Event, list[str]]] = []
    for event in Event.objects.filter(case_id_ref=case.pk, kind__startswith="case.").order_by("id"):
        if event.subject != case.ref:
            continue
        kind = event.kind.removeprefix("case.")
        if kind == "migrated":
            raise BadPath(f"办件 {case.code} 迁移过版本，不能按一个版本重走")
        if kind in ("stepped", "answered", "timed", "decided") and not _again(running, event):
            raise BadPath(f"办件 {case.code} 的事件 {event.pk} 与路径不符")
        if kind in ("opened", "stepped", "answered", "timed", "decided"):
            running.go()
        fresh = [
            t
            for t in running.ready()
            if str(t.id) not in seen and running.step_of(t).kind != DECIDE
        ]
        for task in fresh:
            if running.step_of(task).each:
                running.data |= running.begin_round(task) or {}
        seen.update(str(t.id) for t in fresh)
        out.append((event, [str(t.task_spec.bpmn_id) for t in fresh]))
    return out


def _again(running: Running, event: Event) -> bool:
    """Do in a fresh engine what one event says; False where the engine does not wait for it."""
    step, slug = running.steps.get(event.data["step"]), event.data.get("department")
    tasks = [t for t in running.ready() if step is not None and running.step_of(t) == step]
    if slug:
        tasks = [t for t in tasks if running.entry_of(t) == slug]
    if step is None or not tasks:
        return False
    if event.kind == "case.decided":
        running.data |= {event.data["into"]: event.data["verdict"]}
        tasks[0].run()
        return True
    if event.kind == "case.timed":
        if step.kind == TIMER:
            running.run(tasks[0], "done")
        else:
            running.interrupt(step.id)
        return True
    names = [o.name for o in step.outcomes if o.title == event.data["outcome"]]
    if not names:
        return False
    if slug:
        before = running.data.get(step.id)
        running.data |= joined(
            step, before, department=slug, name="", outcome=names[0], more={"note": ""}
        )
    running.run(tasks[0], names[0])
    return True
