"""Basket line, use record, overlap, day of use: what sharing keeps beside cases and grants."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Grant, Party, Resource

from .rules import USE_KINDS


class BasketLine(models.Model):
    """One dataset that a department has put into its basket 选数车."""

    department = models.ForeignKey(Party, models.CASCADE, related_name="+", verbose_name="部门")
    resource = models.ForeignKey(Resource, models.CASCADE, related_name="+", verbose_name="数据")
    by = models.ForeignKey(Party, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField("加入时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "选数车"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["department", "resource"], name="basket_line_once")
        ]

    def __str__(self) -> str:
        return f"{self.department_id} {self.resource_id}"


class UseRecord(models.Model):
    """What a receiver did with shared data (art. 29): kept at least three years from its writing."""

    KINDS: ClassVar = USE_KINDS

    grant = models.ForeignKey(Grant, models.PROTECT, related_name="+", verbose_name="授权")
    kind = models.CharField("类别", max_length=20, choices=KINDS)
    text = models.TextField("内容")
    by = models.ForeignKey(Party, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField("记录人", max_length=120, blank=True, default="")
    at = models.DateTimeField("记录时间", default=timezone.now)
    keep_until = models.DateField("保存至")

    class Meta:
        verbose_name = verbose_name_plural = "使用记录"
        ordering = ["-id"]
        indexes = [models.Index(fields=["grant", "-id"]), models.Index(fields=["keep_until"])]

    def __str__(self) -> str:
        return f"{self.grant_id} {self.kind}"


class Overlap(models.Model):
    """Two departments' datasets that hold mostly the same items: collected twice, or not (art. 19)."""

    OPEN, REPEATED, DIFFERENT = "open", "repeated", "different"
    STATES: ClassVar = [(OPEN, "待认定"), (REPEATED, "属重复收集"), (DIFFERENT, "不属重复")]

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="+", verbose_name="数据")
    other = models.ForeignKey(Resource, models.CASCADE, related_name="+", verbose_name="已有数据")
    shared = models.PositiveIntegerField("相同数据项")
    total = models.PositiveIntegerField("数据项总数")
    items = models.JSONField("相同的数据项", default=list)
    state = models.CharField("认定", max_length=20, choices=STATES, default=OPEN)
    reason = models.CharField("理由", max_length=500, blank=True, default="")
    decided_by = models.ForeignKey(Party, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField("认定时间", null=True)
    found_at = models.DateTimeField("发现时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "疑似重复收集"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["resource", "other"], name="overlap_once"),
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.other_id}"


class DayOfUse(models.Model):
    """The calls under one grant on one day, counted from the call records; recounted, never added to."""

    grant_code = models.CharField("授权", max_length=160)
    day = models.DateField("日期")
    calls = models.BigIntegerField("调用次数", default=0)
    answered = models.BigIntegerField("成功次数", default=0)
    failed = models.BigIntegerField("失败次数", default=0)
    rows = models.BigIntegerField("行数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "每日用量"
        constraints = [
            models.UniqueConstraint(fields=["grant_code", "day"], name="day_of_use_once")
        ]
        indexes = [models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.grant_code} {self.day}"
