"""Merging: one building of a library from its sources, and what came of it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Resource


class Merging(models.Model):
    """One run of the golden merge; a library's state is its newest finished run.

    `counts` holds what pages show of the library: `fields` (filled, sources, conflicts of each),
    `freshness` (newest day by dataset) and `extra` (kinds, regions, holders, coordinate systems).
    """

    code = models.CharField("编号", max_length=40, unique=True)
    library = models.ForeignKey(Resource, models.CASCADE, related_name="mergings")
    whole = models.BooleanField("全量", default=True)
    started_at = models.DateTimeField("开始", default=timezone.now)
    finished_at = models.DateTimeField("结束", null=True)
    entities = models.BigIntegerField("主体数", default=0)
    inserted = models.BigIntegerField("新增", default=0)
    updated = models.BigIntegerField("更新", default=0)
    deleted = models.BigIntegerField("移出", default=0)
    unchanged = models.BigIntegerField("未变", default=0)
    conflicts = models.BigIntegerField("冲突", default=0)
    touched = models.BigIntegerField("涉及", default=0)
    counts = models.JSONField("统计", default=dict, blank=True)
    error = models.TextField("失败原因", blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "建库记录"
        ordering = ["-id"]
        indexes = [models.Index(fields=["library", "-id"])]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"merging:{self.code}"

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def standing(self) -> str:
        """running, succeeded or failed."""
        if self.error:
            return "failed"
        return "succeeded" if self.finished_at else "running"
