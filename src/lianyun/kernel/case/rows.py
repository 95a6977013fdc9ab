"""Rows: the case and what stands around it, as people search for it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from lianyun.kernel import packs
from lianyun.kernel.clock import remaining
from lianyun.kernel.party import Party, department
from lianyun.kernel.path import Path, Step

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


_GOES_ON, _SEEN = Q(state__in=["open", "suspended"]), ["state", "subject", "path"]


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
            models.Index(fields=["id"], include=_SEEN, condition=_GOES_ON, name="case_open"),
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
    fires_on = models.DateField("到期自动继续", null=True)
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
                include=["case"],
                name="item_waiting",
                condition=Q(done_at=None),
            ),
            models.Index(fields=["due_on"], name="item_due", condition=Q(done_at=None)),
            models.Index(
                fields=["fires_on"],
                name="item_fires",
                condition=Q(done_at=None, fires_on__isnull=False),
            ),
            models.Index(fields=["done_at"], name="item_done"),
            models.Index(fields=["department", "permission", "case"], name="item_at_desk"),
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


class Answer(models.Model):
    """What another system said to a case: kept once, used when the case waits for it."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="answers")
    message = models.CharField("消息", max_length=120)
    department = models.CharField("部门", max_length=60, blank=True, default="")
    outcome = models.CharField("结果", max_length=60, default="done")
    data = models.JSONField("内容", default=dict)
    once = models.CharField(max_length=160, null=True, unique=True)
    received_at = models.DateTimeField("收到", default=timezone.now)
    used_at = models.DateTimeField("采用", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "外部答复"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.case_id} {self.message}"


class Numbering(models.Model):
    """From which row a day's cases count: numbers never double, and nobody waits for one (ADR 0038)."""

    day = models.DateField(primary_key=True)
    before = models.BigIntegerField(default=0)


def bureau() -> Party:
    """The city's data bureau, as packs/core/city.yaml names it."""
    return department(packs.mapping("core", "city.yaml")["bureau"])


def work_items(viewer: Actor) -> models.QuerySet[WorkItem]:
    """Open work items that this actor may do, the most urgent first."""
    rows = WorkItem.objects.filter(done_at=None, case__state__in=[Case.OPEN, Case.SUSPENDED])
    if not viewer.everything:
        mine = Q(pk__in=())
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
