"""Filing: a package that somebody begins and files, and each of its items with its application."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party

SELF, AGENT, HELPER = "self", "agent", "helper"
RELATIONS = {SELF: "本人", AGENT: "代理人", HELPER: "帮办人员"}


class Filing(models.Model):
    """One package of one person or firm; once filed its state is that of its kernel case.

    The answers to the merged form stand with its draft, each item's with its own application; nothing
    personal is kept here. `saved` counts what asking once spared, as it was at the filing.
    """

    code = models.CharField("套餐编号", max_length=24, unique=True)
    package = models.CharField("套餐", max_length=60, db_index=True)
    name = models.CharField("套餐名称", max_length=200)
    applicant = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="申请人")
    by = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="经办人")
    relation = models.CharField(
        "经办关系", max_length=10, choices=list(RELATIONS.items()), default="self"
    )
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="牵头部门")
    case = models.OneToOneField(
        Case, models.PROTECT, null=True, related_name="+", verbose_name="套餐办件"
    )
    draft = models.CharField("合并表单草稿", max_length=60, blank=True, default="")
    carried = models.PositiveIntegerField("已分到各事项的表单版本", default=0)
    answers = models.JSONField("情形", default=dict)
    promised_days = models.PositiveIntegerField("承诺时限", default=0)
    saved = models.JSONField("减少的材料和表单", default=dict)
    consented_at = models.DateTimeField("授权时间", null=True)
    begun_at = models.DateTimeField("开始时间", default=timezone.now)
    filed_at = models.DateTimeField("提交时间", null=True)
    due_on = models.DateField("承诺办结日", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "套餐办理"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["applicant", "-id"]),
            models.Index(fields=["package", "-filed_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"package:{self.code}"

    @property
    def filed(self) -> bool:
        """Whether it has become a case."""
        return self.case_id is not None


class FilingStep(models.Model):
    """One item of a filing: its application, what it waits for; ended here if it was never opened."""

    filing = models.ForeignKey(Filing, models.CASCADE, related_name="steps")
    item = models.CharField("事项", max_length=80)
    item_name = models.CharField("事项名称", max_length=200)
    place = models.PositiveSmallIntegerField("顺序", default=0)
    why = models.CharField("为什么办", max_length=300, blank=True, default="")
    after = models.JSONField("须先办成的事项", default=list)
    alone = models.BooleanField("前面的没办成也办", default=False)
    brings = models.JSONField("由前面事项的结果代替的材料", default=dict)
    application = models.CharField("申请编号", max_length=24, unique=True)
    held_why = models.CharField("没能自动开办的原因", max_length=300, blank=True, default="")
    ended_on = models.DateField("没有开办的日期", null=True)
    ended_why = models.CharField("没有开办的原因", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "套餐事项"
        ordering: ClassVar = ["place", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["filing", "item"], name="package_item_once")
        ]

    def __str__(self) -> str:
        return f"{self.filing_id} {self.item_name}"


__all__ = ["AGENT", "HELPER", "RELATIONS", "SELF", "Filing", "FilingStep"]
