"""Call record: who read whose data, when, under which grant and for what; chained in batches."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models

from .rules import CHANNELS, OUTCOMES


class CallLink(models.Model):
    """One batch of call records: its chain value covers the one before and every record in it."""

    number = models.BigIntegerField("链序", primary_key=True)
    at = models.DateTimeField("时间")
    count = models.PositiveIntegerField("条数")
    hash = models.CharField("链值", max_length=64)

    class Meta:
        verbose_name = verbose_name_plural = "调用记录链"

    def __str__(self) -> str:
        return f"{self.number}"


class CallRecord(models.Model):
    """One reading; the keys looked up stand here as keyed hashes only.

    Written thousands of times a second, so every index here must be worth its price.
    """

    uid = models.CharField(max_length=40)
    at = models.DateTimeField("时间")
    channel = models.CharField("途径", max_length=20, choices=list(CHANNELS.items()))
    client = models.CharField("凭证", max_length=40, blank=True, default="")
    by = models.CharField("调用者", max_length=120)
    by_name = models.CharField("调用者名称", max_length=120, blank=True, default="")
    department_id = models.BigIntegerField("部门", null=True)
    grant_code = models.CharField("授权", max_length=160, blank=True, default="")
    resource = models.CharField("数据", max_length=80)
    purpose = models.CharField("用途", max_length=300, blank=True, default="")
    key_hash = models.CharField("对象", max_length=32, blank=True, default="")
    others = ArrayField(models.CharField(max_length=32), null=True, verbose_name="涉及的其他人")
    rows = models.IntegerField("行数", default=0)
    micros = models.BigIntegerField("耗时（微秒）", default=0)
    outcome = models.CharField("结果", max_length=20, choices=list(OUTCOMES.items()))
    link = models.BigIntegerField("链序")

    class Meta:
        verbose_name = verbose_name_plural = "调用记录"
        indexes = [
            models.Index(
                fields=["key_hash", "-at"], name="call_of", condition=~models.Q(key_hash="")
            ),
            GinIndex(
                fields=["others"], name="call_others", condition=models.Q(others__isnull=False)
            ),
            models.Index(fields=["department_id", "id"], name="call_by"),
            models.Index(fields=["resource", "id"], name="call_on"),
            BrinIndex(fields=["at"], name="call_at", pages_per_range=32),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def milliseconds(self) -> float:
        """How long the reading took, in milliseconds."""
        return self.micros / 1000
