"""Exchange: calls counted by the hour, and days of a grant's calls that look like misuse."""

from __future__ import annotations

from django.db import models

from lianyun.kernel.models import Case, Grant

from .rules import RULES


class Hour(models.Model):
    """The calls of one hour under one grant to one resource; counted anew while calls come in.

    Personal data: none.
    """

    hour = models.DateTimeField("小时")
    grant_code = models.CharField("授权", max_length=160, blank=True, default="")
    department_id = models.BigIntegerField("使用部门", default=0)
    resource = models.CharField("数据", max_length=80)
    channel = models.CharField("途径", max_length=20)
    calls = models.PositiveIntegerField("次数")
    answered = models.PositiveIntegerField("成功")
    empty = models.PositiveIntegerField("无记录")
    failed = models.PositiveIntegerField("系统失败")
    rows = models.PositiveBigIntegerField("行数")
    micros = models.PositiveBigIntegerField("耗时（微秒）")
    keys = models.PositiveIntegerField("不同对象")

    class Meta:
        verbose_name = verbose_name_plural = "交换小时统计"
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "grant_code", "department_id", "resource", "channel"],
                name="exchange_hour_once",
            )
        ]
        indexes = [models.Index(fields=["grant_code", "hour"], name="exchange_of_grant")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.grant_code} {self.calls}"


class Mark(models.Model):
    """How far the counting has come: the id of the newest call that has been counted."""

    name = models.CharField(max_length=20, primary_key=True)
    last = models.BigIntegerField(default=0)
    at = models.DateTimeField("时间", auto_now=True)

    def __str__(self) -> str:
        return f"{self.name} {self.last}"


class Suspicion(models.Model):
    """One rule that spoke about one day of a grant; an officer opens a case or finds it in order.

    Personal data: none; `evidence` holds counts only.
    """

    grant = models.ForeignKey(Grant, models.CASCADE, related_name="+", verbose_name="授权")
    rule = models.CharField("规则", max_length=20, choices=list(RULES.items()))
    day = models.DateField("日期")
    evidence = models.JSONField("证据", default=dict)
    found_at = models.DateTimeField("发现时间", auto_now_add=True)
    changed_at = models.DateTimeField("更新时间", auto_now=True)
    case = models.ForeignKey(Case, models.PROTECT, null=True, related_name="+", verbose_name="办件")
    settled_at = models.DateTimeField("核实时间", null=True)
    settled_note = models.CharField("核实说明", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "疑似超范围使用"
        ordering = ["-day", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["grant", "rule", "day"], name="exchange_suspected_once")
        ]

    def __str__(self) -> str:
        return f"{self.grant_id} {self.rule} {self.day}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"suspicion:{self.pk}"

    @property
    def waiting(self) -> bool:
        """Nobody has looked into it yet."""
        return self.case_id is None and self.settled_at is None

    @property
    def standing(self) -> str:
        """Where it stands, in Chinese."""
        if self.case_id is not None:
            return "已立案"
        return "核实无异常" if self.settled_at else "待核实"

    @property
    def summary(self) -> str:
        """What was found, in one sentence."""
        return str(self.evidence.get("summary", ""))
