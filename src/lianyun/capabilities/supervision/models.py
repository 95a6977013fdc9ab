"""Tally: how many steps a department finished on a day, and how many of them in time."""

from __future__ import annotations

from django.db import models

from lianyun.kernel.models import Party


class Tally(models.Model):
    """One department's finished steps of one day in one field; without a field those of all together.

    A day that has passed is counted once, so that the board never counts the years again (ADR 0046).
    """

    day = models.DateField("日期")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="部门")
    area = models.CharField("领域", max_length=40, blank=True, default="")
    done = models.PositiveIntegerField("办结环节")
    in_time = models.PositiveIntegerField("其中按时")

    class Meta:
        verbose_name = verbose_name_plural = "监察日计"
        constraints = [
            models.UniqueConstraint(fields=["day", "area", "department"], name="tallied_once")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.department_id} {self.area} {self.in_time}/{self.done}"


__all__ = ["Tally"]
