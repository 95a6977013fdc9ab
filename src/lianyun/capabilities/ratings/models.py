"""Rating: what one person said of one matter or one visit; beside it the visit's code and the call-backs."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party

from . import rules


class Visit(models.Model):
    """One visit to a counter that may be rated once, by whoever holds its code (kept as keyed hash)."""

    code_hash = models.CharField("评价码（散列）", max_length=64, unique=True)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="部门")
    officer = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    window = models.CharField("窗口", max_length=40, blank=True, default="")
    item = models.CharField("事项", max_length=80, blank=True, default="")
    made_at = models.DateTimeField("办理时间", default=timezone.now)
    expires_at = models.DateTimeField("评价截止")

    class Meta:
        verbose_name = verbose_name_plural = "到窗办理"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.department} {self.window}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"visit:{self.pk}"


class Rating(models.Model):
    """One rating: of a closed case or of a visit, never of both, never twice."""

    LEVELS: ClassVar = list(rules.LEVELS.items())
    CHANNELS: ClassVar = list(rules.CHANNELS.items())

    case = models.OneToOneField(Case, models.PROTECT, null=True, related_name="rating")
    visit = models.OneToOneField(Visit, models.PROTECT, null=True, related_name="rating")
    rework = models.OneToOneField(Case, models.PROTECT, null=True, related_name="reworks")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="部门")
    item = models.CharField("事项", max_length=80, blank=True, default="")
    window = models.CharField("窗口", max_length=40, blank=True, default="")
    level = models.PositiveSmallIntegerField("满意度", choices=LEVELS)
    channel = models.CharField("评价渠道", max_length=10, choices=CHANNELS)
    tags = models.JSONField("选项", default=list)
    text = models.TextField("意见", blank=True, default="")
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField("评价时间", default=timezone.now)
    void = models.BooleanField("不计入", default=False)

    class Meta:
        verbose_name = verbose_name_plural = "评价"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["department", "-id"]),
            models.Index(fields=["item", "-id"]),
            models.Index(fields=["by", "-id"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="of_a_case_or_a_visit",
                condition=models.Q(case=None, visit__isnull=False)
                | models.Q(case__isnull=False, visit=None),
            ),
            models.CheckConstraint(
                name="five_levels", condition=models.Q(level__gte=1, level__lte=5)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_level_display()} {self.department}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"rating:{self.pk}"


class CallBack(models.Model):
    """One call to whoever rated badly: reached or not, satisfied now or not."""

    rating = models.ForeignKey(Rating, models.PROTECT, related_name="calls")
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField("回访时间", default=timezone.now)
    reached = models.BooleanField("联系上")
    satisfied = models.BooleanField("满意", null=True)
    note = models.CharField("回访记录", max_length=500)

    class Meta:
        verbose_name = verbose_name_plural = "回访"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.rating_id} {self.at:%Y-%m-%d}"
