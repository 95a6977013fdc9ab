"""Case: work in motion: a declared path, parallel branches, work items with a clock, an outcome.

The engine's state is text (its key order matters, so never jsonb); what people search by stands in
rows of our own: work items with permission, department and due day, and pauses with their article.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

from . import packs
from .access import UserError
from .clock import calendar, remaining
from .event import Event, record, ref_of
from .party import Party, department
from .path import SERIALIZER, BadPath, ClosedEngine, Path, Step, current, spec_of

if TYPE_CHECKING:
    from .access import Actor


class Case(models.Model):
    """One matter: whose, about what, at which desk, on which version of which path."""

    OPEN, SUSPENDED, CLOSED = "open", "suspended", "closed"
    STATES: ClassVar = [(OPEN, "办理中"), (SUSPENDED, "中止"), (CLOSED, "办结")]

    code = models.CharField("办件编号", max_length=60, unique=True)
    path = models.ForeignKey(Path, models.PROTECT, related_name="cases", verbose_name="路径")
    title = models.CharField("标题", max_length=300)
    state = models.CharField("状态", max_length=20, choices=STATES, default=OPEN)
    outcome = models.CharField("结果", max_length=60, blank=True, default="")
    subject = models.CharField("对象", max_length=160, blank=True, default="", db_index=True)
    applicant = models.ForeignKey(Party, models.PROTECT, null=True, related_name="applied")
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="handled")
    data = models.JSONField("内容", default=dict)
    engine = models.TextField("引擎状态", default="")
    once = models.CharField(max_length=120, null=True, unique=True)
    opened_at = models.DateTimeField("开始", default=timezone.now)
    closed_at = models.DateTimeField("结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "办件"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["department", "state", "-id"]),
            models.Index(fields=["applicant", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.title}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"case:{self.code}"

    @property
    def key(self) -> str:
        """Which path it walks."""
        return self.path.key


class WorkItem(models.Model):
    """One step waiting for, or done by, somebody: who may, at which desk, until when."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="items", verbose_name="办件")
    step = models.CharField("步骤", max_length=80)
    token = models.CharField(max_length=40)
    title = models.CharField("名称", max_length=200)
    permission = models.CharField("权限", max_length=80)
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="desk")
    assignee = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    basis = models.CharField("依据", max_length=200, blank=True, default="")
    opened_at = models.DateTimeField("开始", default=timezone.now)
    due_on = models.DateField("到期日", null=True)
    provisional = models.BooleanField("暂定", default=False)
    done_at = models.DateTimeField("完成", null=True)
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField("结果", max_length=60, blank=True, default="")
    note = models.TextField("意见", blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "待办"
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["permission", "department", "due_on"],
                name="item_waiting",
                condition=Q(done_at=None),
            ),
            models.Index(fields=["due_on"], name="item_due", condition=Q(done_at=None)),
        ]
        constraints = [models.UniqueConstraint(fields=["case", "token"], name="item_once")]

    def __str__(self) -> str:
        return f"{self.case_id} {self.title}"

    @property
    def declared(self) -> Step:
        """The step as the case's path declares it."""
        return self.case.path.steps[self.step]

    @property
    def days_left(self) -> int | None:
        """Working days until due, negative when overdue; None without a clock or when paused."""
        if self.due_on is None or self.case.state == Case.SUSPENDED:
            return None
        end = timezone.localtime(self.done_at).date() if self.done_at else timezone.localdate()
        return remaining(self.due_on, end)

    @property
    def overdue(self) -> bool:
        """Past its day (a done item: done after it)."""
        left = self.days_left
        return left is not None and left < 0


class Pause(models.Model):
    """A time in which the clock of a case stood still, by which article and why."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="pauses")
    article = models.CharField("依据条款", max_length=200)
    reason = models.CharField("理由", max_length=500)
    since = models.DateField("开始")
    until = models.DateField("结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "中止"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.case_id} {self.article}"


class Numbering(models.Model):
    """The last number given per day, so that case numbers are dense and never double."""

    day = models.DateField(primary_key=True)
    last = models.PositiveIntegerField(default=0)


def _number() -> str:
    day = timezone.localdate()
    Numbering.objects.get_or_create(day=day)
    row = Numbering.objects.select_for_update().get(day=day)
    row.last += 1
    row.save(update_fields=["last"])
    return f"{day:%Y%m%d}{row.last:06d}"


def bureau() -> Party:
    """The city's data bureau, as packs/core/city.yaml names it."""
    return department(packs.mapping("core", "city.yaml")["bureau"])


def _desk(case: Case, step: Step) -> Party | None:
    match step.department:
        case "applicant":
            return case.applicant
        case "provider":
            return case.department
        case "bureau":
            return bureau()
        case slug:
            return department(slug)


def _load(case: Case) -> BpmnWorkflow:
    spec, parts = spec_of(case.path.bpmn, case.path.key)
    state = json.loads(case.engine)
    state["spec"], state["subprocess_specs"] = spec, parts
    workflow = SERIALIZER.from_dict(state)
    workflow.script_engine = ClosedEngine(case.data)
    return workflow


def _save(case: Case, workflow: BpmnWorkflow) -> None:
    state = SERIALIZER.to_dict(workflow)
    # The specification is the path's; saving it with each case would make the state ten times larger.
    state.pop("spec", None)
    state.pop("subprocess_specs", None)
    case.engine = json.dumps(state, ensure_ascii=False, default=str)


def _due(case: Case, step: Step, today: dt.date) -> tuple[dt.date | None, bool]:
    """The day until which a step is to be done, and whether that day is provisional.

    A step whose clock another step has started takes over that one's due day.
    """
    if step.clock:
        others = [s.id for s in case.path.steps.values() if s.clock == step.clock and s != step]
        begun = case.items.filter(step__in=others).exclude(due_on=None).order_by("-id").first()
        again = case.items.filter(step=step.id).exists() and step.days is not None
        if begun is not None and not again:
            return begun.due_on, begun.provisional
    if step.days is None:
        return None, False
    return calendar().deadline(today, step.days)


def _sync(case: Case, workflow: BpmnWorkflow, by: Actor) -> None:
    """Open a work item for every ready task; close the case when the path has ended."""
    steps = case.path.steps
    known = set(case.items.values_list("token", flat=True))
    today = timezone.localdate()
    for task in workflow.get_tasks(state=TaskState.READY, manual=True):
        token = str(task.id)
        if token in known:
            continue
        step = steps[task.task_spec.bpmn_id]
        due, provisional = _due(case, step, today)
        WorkItem.objects.create(
            case=case,
            step=step.id,
            token=token,
            title=step.title,
            permission=step.permission,
            department=_desk(case, step),
            basis=step.basis,
            due_on=due,
            provisional=provisional,
        )
    if workflow.completed:
        ends = [
            t
            for t in workflow.get_tasks(state=TaskState.COMPLETED)
            if str(t.task_spec.bpmn_id or "").startswith("end_")
        ]
        last = max(ends, key=lambda t: t.last_state_change, default=None)
        case.outcome = str(last.task_spec.bpmn_id).removeprefix("end_") if last else "done"
        case.state = Case.CLOSED
        case.closed_at = timezone.now()
    case.save()
    if workflow.completed:
        record(
            "case.closed",
            case,
            by=by,
            case=case,
            data={"path": case.path.key, "outcome": case.outcome, "subject": case.subject},
        )


def open_case(
    path: str,
    *,
    title: str,
    subject: Any = "",
    applicant: Party | None = None,
    department: Party | None = None,
    data: dict[str, Any] | None = None,
    once: str | None = None,
    by: Actor,
) -> Case:
    """Begin a matter on the newest version of a path; its first work items are open on return.

    With `once` a second call (a double click) returns the first case.
    """
    if once is not None:
        found = Case.objects.filter(once=once).first()
        if found is not None:
            return found
    way = current(path)
    case = Case.objects.create(
        code=_number(),
        path=way,
        title=title[:300],
        subject=ref_of(subject) if subject else "",
        applicant=applicant,
        department=department,
        data=data or {},
        once=once,
    )
    spec, parts = spec_of(way.bpmn, way.key)
    workflow = BpmnWorkflow(spec, parts, script_engine=ClosedEngine(case.data))
    record("case.opened", case, by=by, case=case, data={"path": way.key, "subject": case.subject})
    workflow.do_engine_steps()
    _save(case, workflow)
    _sync(case, workflow, by)
    return case


def step(
    item: WorkItem,
    outcome: str = "done",
    *,
    note: str = "",
    data: dict[str, Any] | None = None,
    by: Actor,
) -> Case:
    """Do a work item: of two who press at once one wins, the other is told who did.

    `data` is merged into the case's data before the path goes on. Raises UserError (already done,
    suspended, unknown outcome, reason missing) and Denied.
    """
    case = Case.objects.select_for_update(of=("self",)).select_related("path").get(pk=item.case_id)
    row = WorkItem.objects.select_related("department", "by").get(pk=item.pk)
    row.case = case
    by.require(row.permission, row.department)
    if row.done_at is not None:
        who = row.by.name if row.by else "系统"
        raise UserError(
            f"“{row.title}”已由{who}于 {timezone.localtime(row.done_at):%m月%d日 %H:%M} 办理，无需重复操作"
        )
    if case.state == Case.SUSPENDED:
        raise UserError("办件正在中止期间，恢复后才能继续办理")
    if case.state == Case.CLOSED:
        raise UserError("办件已办结")
    try:
        declared = row.declared.outcome(outcome)
    except KeyError as error:
        raise UserError(f"“{row.title}”没有“{outcome}”这个选项") from error
    if declared.reason and not note.strip():
        raise UserError(f"选择“{declared.title}”时必须写明理由")
    if data:
        case.data = {**case.data, **data}
    workflow = _load(case)
    task = next(
        (t for t in workflow.get_tasks(state=TaskState.READY) if str(t.id) == row.token), None
    )
    if task is None:
        raise BadPath(f"办件 {case.code} 的步骤 {row.step} 不在待办状态")
    task.data[f"outcome_{row.step}"] = outcome
    task.run()
    workflow.do_engine_steps()
    row.done_at = timezone.now()
    row.by, row.outcome, row.note = by.party, outcome, note
    row.save(update_fields=["done_at", "by", "outcome", "note"])
    record(
        "case.stepped",
        case,
        by=by,
        case=case,
        data={"step": row.step, "title": row.title, "outcome": declared.title, "note": note},
    )
    _save(case, workflow)
    _sync(case, workflow, by)
    return case


def suspend(case: Case, *, article: str, reason: str, by: Actor) -> Pause:
    """Stop the clock, naming the article that allows it (e.g. 行政许可法第四十五条)."""
    row = Case.objects.select_for_update().get(pk=case.pk)
    if row.state != Case.OPEN:
        raise UserError(f"办件当前为“{row.get_state_display()}”，不能中止")
    if not article.strip() or not reason.strip():
        raise UserError("中止须写明依据条款和理由")
    row.state = case.state = Case.SUSPENDED
    row.save(update_fields=["state"])
    pause = Pause.objects.create(
        case=row, article=article, reason=reason, since=timezone.localdate()
    )
    record("case.suspended", row, by=by, case=row, data={"article": article, "reason": reason})
    return pause


def resume(case: Case, *, by: Actor) -> None:
    """Let the clock run on: every open due day moves by the working days of the pause."""
    row = Case.objects.select_for_update().get(pk=case.pk)
    pause = row.pauses.filter(until=None).order_by("-id").first()
    if row.state != Case.SUSPENDED or pause is None:
        raise UserError("办件没有中止")
    today = timezone.localdate()
    pause.until = today
    pause.save(update_fields=["until"])
    lost = max(remaining(today, pause.since), 0)
    for item in row.items.filter(done_at=None).exclude(due_on=None):
        assert item.due_on is not None
        item.due_on, item.provisional = calendar().deadline(item.due_on, lost)
        item.save(update_fields=["due_on", "provisional"])
    row.state = case.state = Case.OPEN
    row.save(update_fields=["state"])
    record("case.resumed", row, by=by, case=row, data={"working_days": lost})


def extend(item: WorkItem, days: int, *, article: str, reason: str, by: Actor) -> None:
    """Give an open work item more working days, naming the article that allows it."""
    row = WorkItem.objects.select_for_update(of=("self",)).select_related("case").get(pk=item.pk)
    if row.done_at is not None or row.due_on is None:
        raise UserError("该环节没有正在计时的期限")
    row.due_on, row.provisional = calendar().deadline(row.due_on, days)
    row.save(update_fields=["due_on", "provisional"])
    item.due_on = row.due_on
    record(
        "case.extended",
        row.case,
        by=by,
        case=row.case,
        data={"step": row.step, "days": days, "article": article, "reason": reason},
    )


def replay(case: Case) -> list[tuple[Event, list[str]]]:
    """Walk a case's path anew by its recorded events alone: each event with the steps it opened.

    Neither the engine's saved state nor the work items are looked at, so that what they say can be
    held against it. Raises BadPath where the events do not fit the path.
    """
    spec, parts = spec_of(case.path.bpmn, case.path.key)
    workflow = BpmnWorkflow(spec, parts, script_engine=ClosedEngine(case.data))
    steps = case.path.steps
    seen: set[str] = set()
    out: list[tuple[Event, list[str]]] = []
    for event in Event.objects.filter(case_id_ref=case.pk, kind__startswith="case.").order_by("id"):
        if event.subject != case.ref:
            continue
        if event.kind == "case.stepped":
            named = event.data["step"]
            ready = workflow.get_tasks(state=TaskState.READY, manual=True)
            task = next((t for t in ready if t.task_spec.bpmn_id == named), None)
            ways = [o.name for o in steps[named].outcomes if o.title == event.data["outcome"]]
            if task is None or not ways:
                raise BadPath(f"办件 {case.code} 的事件 {event.pk} 与路径不符")
            task.data[f"outcome_{named}"] = ways[0]
            task.run()
        if event.kind in ("case.opened", "case.stepped"):
            workflow.do_engine_steps()
        ready = workflow.get_tasks(state=TaskState.READY, manual=True)
        fresh = [t for t in ready if str(t.id) not in seen]
        seen.update(str(t.id) for t in fresh)
        out.append((event, [str(t.task_spec.bpmn_id) for t in fresh]))
    return out


def work_items(viewer: Actor) -> models.QuerySet[WorkItem]:
    """Open work items that this actor may do, the most urgent first."""
    rows = WorkItem.objects.filter(done_at=None, case__state__in=[Case.OPEN, Case.SUSPENDED])
    if not viewer.everything:
        mine = Q(pk=None)
        for permission, scope in viewer.held.items():
            part = Q(permission=permission)
            mine |= part if scope is None else part & Q(department_id__in=scope)
        rows = rows.filter(mine)
    return rows.select_related("case__path", "department").order_by(
        models.F("due_on").asc(nulls_last=True), "id"
    )


def overdue_items(today: dt.date | None = None) -> models.QuerySet[WorkItem]:
    """Open work items whose day has passed, of cases whose clock runs."""
    return WorkItem.objects.filter(
        done_at=None, due_on__lt=today or timezone.localdate(), case__state=Case.OPEN
    ).select_related("case__path", "department")
