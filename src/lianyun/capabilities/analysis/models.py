"""Question and run: what was asked of the data, by whom, what it cost and where its answer lies."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party

from .rules import SHARING


class Question(models.Model):
    """A question worth asking again; whoever opens it asks with his own rights.

    Personal data: none may stand in its text once it is shared.
    """

    code = models.CharField("编号", max_length=40, unique=True)
    title = models.CharField("名称", max_length=200)
    sql = models.TextField("查询语句")
    spec = models.JSONField("向导", null=True)
    chart = models.JSONField("图表", default=dict, blank=True)
    owner = models.ForeignKey(Party, models.CASCADE, related_name="+", verbose_name="作者")
    department = models.ForeignKey(
        Party, models.CASCADE, null=True, related_name="+", verbose_name="部门"
    )
    sharing = models.CharField("共享", max_length=20, choices=list(SHARING.items()))
    changed_at = models.DateTimeField("变更时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "查询"
        ordering = ["-changed_at"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"question:{self.code}"


class Run(models.Model):
    """One asking of a question. `beat_at` is its process's sign of life, `seen_at` its page's.

    Personal data: `sql` may name a person; it is emptied with the answer by the sweep.
    """

    ENDED: ClassVar = ("finished_at", "cancelled_at")

    code = models.CharField("编号", max_length=40, unique=True)
    question = models.ForeignKey(Question, models.SET_NULL, null=True, related_name="runs")
    by = models.ForeignKey(
        Party, models.CASCADE, null=True, related_name="+", verbose_name="查询人"
    )
    department = models.ForeignKey(
        Party, models.CASCADE, null=True, related_name="+", verbose_name="部门"
    )
    title = models.CharField("名称", max_length=200, blank=True, default="")
    sql = models.TextField("查询语句")
    spec = models.JSONField("向导", null=True)
    chart = models.JSONField("图表", default=dict, blank=True)
    purpose = models.CharField("用途", max_length=200, blank=True, default="")
    tables = models.JSONField("数据", default=list)
    rights = models.CharField("权限指纹", max_length=64, blank=True, default="")
    guarded = models.BooleanField("隐去小组", default=False)
    started_at = models.DateTimeField("开始", default=timezone.now)
    beat_at = models.DateTimeField("心跳", default=timezone.now)
    seen_at = models.DateTimeField("查看", default=timezone.now)
    cancelled_at = models.DateTimeField("取消", null=True)
    finished_at = models.DateTimeField("结束", null=True)
    waits = models.BooleanField("待确认", default=False)
    progress = models.FloatField("进度", default=0)
    cost = models.JSONField("代价", default=dict, blank=True)
    rows = models.BigIntegerField("行数", default=0)
    more = models.BooleanField("未取完", default=False)
    seconds = models.FloatField("用时（秒）", default=0)
    error = models.CharField("未完成的原因", max_length=500, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "查询记录"
        ordering = ["-id"]
        indexes = [models.Index(fields=["by", "-id"]), models.Index(fields=["finished_at"])]

    def __str__(self) -> str:
        return self.title or self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"question:{self.code}"

    @property
    def good(self) -> bool:
        """Whether it has an answer."""
        return self.finished_at is not None and not self.error

    @property
    def outcome(self) -> tuple[str, str]:
        """The word and the tone of how it stands."""
        if self.waits:
            return "待确认", "amber"
        if self.finished_at is None:
            return "进行中", "blue"
        if self.cancelled_at is not None:
            return "已取消", "grey"
        return ("未完成", "red") if self.error else ("完成", "green")
