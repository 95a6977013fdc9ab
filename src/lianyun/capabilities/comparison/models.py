"""Findings: what a comparison found, without who it is about (that stays in the lake), and its runs."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party

from . import rules


class Run(models.Model):
    """One run of a rule: how far it is, and what it came to."""

    code = models.CharField("编号", max_length=40, unique=True)
    rule = models.CharField("规则", max_length=60)
    trigger = models.CharField("方式", max_length=20, default="manual")
    queued_at = models.DateTimeField("提交", default=timezone.now)
    started_at = models.DateTimeField("开始", null=True)
    finished_at = models.DateTimeField("结束", null=True)
    progress = models.FloatField("进度", default=0)
    message = models.CharField("说明", max_length=200, blank=True, default="")
    error = models.TextField("失败原因", blank=True, default="")
    outcome = models.JSONField("结果", default=dict)

    class Meta:
        verbose_name = verbose_name_plural = "比对运行"
        ordering = ["-id"]
        indexes = [models.Index(fields=["rule", "-id"])]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"comparison:{self.code}"

    @property
    def standing(self) -> str:
        """queued, running, succeeded or failed."""
        if self.error:
            return "failed"
        if self.finished_at:
            return "succeeded"
        return "running" if self.started_at else "queued"


class Plan(models.Model):
    """How often a rule runs by itself, where that is not as its pack declares."""

    rule = models.CharField("规则", max_length=60, unique=True)
    cycle = models.CharField("周期", max_length=20)
    paused = models.BooleanField("停用", default=False)

    class Meta:
        verbose_name = verbose_name_plural = "比对周期"

    def __str__(self) -> str:
        return f"{self.rule} {self.cycle}"


class Finding(models.Model):
    """One finding's promise side: whose desk, how much, where it stands. Evidence is in the lake.

    `label` is the masked name. Amounts are yuan; `confirmed` and `recovered` add up over its cases.
    """

    STAGES: ClassVar = list(rules.STAGES)

    code = models.CharField("编号", max_length=32, unique=True)
    rule = models.CharField("规则", max_length=60)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="承办部门")
    label = models.CharField("对象", max_length=200, blank=True, default="")
    period = models.CharField("期次", max_length=20, blank=True, default="")
    town = models.CharField("乡镇街道", max_length=20, blank=True, default="")
    amount = models.DecimalField("涉及金额", max_digits=20, decimal_places=2, default=0)
    confidence = models.FloatField("置信度", default=1)
    standing = models.CharField("数据状态", max_length=20)
    doubt = models.CharField("存疑", max_length=20, blank=True, default="")
    evidence = models.CharField("证据指纹", max_length=32)
    stage = models.CharField("状态", max_length=20, choices=rules.STAGES, default=rules.NEW)
    found_at = models.DateTimeField("发现", default=timezone.now)
    changed_at = models.DateTimeField("变化", default=timezone.now)
    case = models.ForeignKey(Case, models.SET_NULL, null=True, related_name="+")
    judged = models.CharField("已核查的证据", max_length=32, blank=True, default="")
    reason = models.TextField("不属实理由", blank=True, default="")
    confirmed = models.DecimalField("属实金额", max_digits=20, decimal_places=2, default=0)
    recovered = models.DecimalField("追缴金额", max_digits=20, decimal_places=2, default=0)

    class Meta:
        verbose_name = verbose_name_plural = "比对发现"
        ordering = ["-amount", "id"]
        indexes = [
            models.Index(fields=["rule", "stage", "-amount"]),
            models.Index(fields=["department", "stage", "-amount"]),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"finding:{self.code}"

    @property
    def short(self) -> str:
        """The part of the code that people read."""
        return self.code[:10].upper()
