"""Run and Pair: one linking of two datasets, and the pairs that officers look at."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party


class Run(models.Model):
    """One run of a declared linkage; a linkage's state is its newest finished run."""

    code = models.CharField("编号", max_length=40, unique=True)
    linkage = models.CharField("关联", max_length=60)
    started_at = models.DateTimeField("开始", default=timezone.now)
    finished_at = models.DateTimeField("结束", null=True)
    progress = models.FloatField("进度", default=0)
    message = models.CharField("进展", max_length=200, blank=True, default="")
    outcome = models.JSONField("结果", default=dict)
    error = models.TextField("失败原因", blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "关联运行"
        ordering = ["-id"]
        indexes = [models.Index(fields=["linkage", "-id"])]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"linkrun:{self.code}"

    @property
    def standing(self) -> str:
        """running, succeeded or failed."""
        if self.error:
            return "failed"
        return "succeeded" if self.finished_at else "running"


class Pair(models.Model):
    """Two rows that may be one, before an officer; a decided pair outlives every run.

    `kind` says why it is here: review (too uncertain to merge by itself), check (a weak merge, for
    spot checks), dispute (an officer doubts it). The keys may be personal: they never leave this table.
    """

    KINDS = [("review", "待复核"), ("check", "抽查"), ("dispute", "提出异议")]
    VERDICTS = [("same", "同一"), ("different", "不同"), ("unsure", "不确定")]

    linkage = models.CharField("关联", max_length=60)
    left_key = models.CharField(max_length=400)
    right_key = models.CharField(max_length=400)
    kind = models.CharField("来由", max_length=10, choices=KINDS, default="review")
    probability = models.FloatField("概率", default=0)
    weight = models.FloatField("权重", default=0)
    levels = models.CharField(max_length=200, blank=True, default="")
    verdict = models.CharField("结论", max_length=10, choices=VERDICTS, blank=True, default="")
    decided_by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField("判定时间", null=True)
    note = models.CharField("说明", max_length=500, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "关联对"
        ordering = ["-weight", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["linkage", "left_key", "right_key"], name="linkage_pair_once"
            )
        ]
        indexes = [models.Index(fields=["linkage", "verdict", "-weight"])]

    def __str__(self) -> str:
        return f"{self.linkage} {self.pk}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"linkpair:{self.pk}"
