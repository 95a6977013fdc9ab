"""Proposal: a path or a decision as somebody wrote it, waiting for, or decided by, a second person."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party


class Proposal(models.Model):
    """One text that is to become the next version; where its review stands is the case's matter."""

    KINDS: ClassVar = [("path", "办理流程"), ("decision", "决策表")]

    kind = models.CharField("类别", max_length=10, choices=KINDS)
    key = models.CharField("标识", max_length=80, db_index=True)
    title = models.CharField("名称", max_length=200)
    basis = models.TextField("依据", blank=True, default="")
    text = models.TextField("原文")
    made = models.TextField("BPMN 或 DMN")
    faults = models.JSONField("检查意见", default=list)
    reason = models.CharField("修改说明", max_length=500)
    base = models.PositiveIntegerField("基于版本", default=0)
    version = models.PositiveIntegerField("发布为版本", null=True)
    case = models.OneToOneField(Case, models.PROTECT, related_name="proposal", verbose_name="办件")
    by = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="提交人"
    )
    at = models.DateTimeField("提交时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "流程修改"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.key} {self.title}"

    @property
    def ref(self) -> str:
        """Portable pointer to what it is about."""
        return f"{self.kind}:{self.key}"
