"""Indicator: a number with a definition, a target and an owner, measured over time."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models

from .party import Party


class Indicator(models.Model):
    """What is counted, how, for whom, and how much it should be."""

    code = models.CharField("代码", max_length=80, unique=True)
    title = models.CharField("名称", max_length=200)
    unit = models.CharField("单位", max_length=40, blank=True, default="")
    definition = models.TextField("定义", blank=True, default="")
    owner = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    target = models.FloatField("目标", null=True)
    higher_is_better = models.BooleanField("越高越好", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "指标"
        ordering = ["code"]

    def __str__(self) -> str:
        return self.title


class Measurement(models.Model):
    """One value of an indicator on a day, for one cut (`dims`, such as a department)."""

    indicator = models.ForeignKey(Indicator, models.CASCADE, related_name="measurements")
    day = models.DateField("日期")
    dims = models.CharField("维度", max_length=200, blank=True, default="")
    value = models.FloatField("数值")
    data = models.JSONField("其他", default=dict)

    class Meta:
        verbose_name = verbose_name_plural = "指标值"
        ordering = ["indicator", "day"]
        constraints = [
            models.UniqueConstraint(fields=["indicator", "day", "dims"], name="measured_once")
        ]

    def __str__(self) -> str:
        return f"{self.indicator} {self.day} {self.value}"


def measure(
    code: str, value: float, *, day: dt.date, dims: str = "", data: dict[str, Any] | None = None
) -> Measurement:
    """Set an indicator's value for a day and cut; measuring again the same day replaces it."""
    indicator = Indicator.objects.get(code=code)
    row, _ = Measurement.objects.update_or_create(
        indicator=indicator, day=day, dims=dims, defaults={"value": value, "data": data or {}}
    )
    return row
