"""Workbook: a service being made (草案): its content, every saved revision, and its rehearsals."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.capabilities.editions.api import OrderedJSON
from lianyun.kernel.models import Case, Party


class Workbook(models.Model):
    """One service of one department: what is worked on now, and which revision is live.

    `content` holds the parts item, form, path, decision, licence (rules.content); where a review
    stands is the case's own matter.
    """

    code = models.SlugField("标识", max_length=40, unique=True)
    title = models.CharField("服务名称", max_length=200)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="实施主体")
    content = OrderedJSON("内容", default=dict)
    number = models.PositiveIntegerField("修订号", default=0)
    live = models.PositiveIntegerField("已发布的修订号", default=0)
    live_at = models.DateTimeField("发布时间", null=True)
    item_version = models.PositiveIntegerField("事项版本", default=0)
    withdrawn_at = models.DateTimeField("下线时间", null=True)
    case = models.ForeignKey(Case, models.SET_NULL, null=True, related_name="+")
    made_by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField("建立时间", default=timezone.now)
    changed_at = models.DateTimeField("最近修改", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "服务草案"
        ordering = ["-changed_at"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"workbook:{self.code}"


class Revision(models.Model):
    """What was saved once, by whom; `aside` are words that met another's and were not merged."""

    workbook = models.ForeignKey(Workbook, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField("修订号")
    part = models.CharField("部分", max_length=20)
    content = OrderedJSON("内容")
    aside = models.BooleanField("未并入", default=False)
    note = models.CharField("说明", max_length=300, blank=True, default="")
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField("时间", default=timezone.now)
    places = OrderedJSON("有出入之处", default=list)
    settled_at = models.DateTimeField("选定时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "草案修订"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workbook", "number"],
                name="revision_once",
                condition=models.Q(aside=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.workbook} 第 {self.number} 次修订"


class Rehearsal(models.Model):
    """One person's try of a workbook: an invented applicant, answers, where the path stands.

    It is nobody's case: nothing of it is counted, listed or looked up anywhere else.
    """

    workbook = models.ForeignKey(Workbook, models.CASCADE, related_name="rehearsals")
    by = models.ForeignKey(Party, models.CASCADE, related_name="+")
    number = models.PositiveIntegerField("修订号")
    inside = OrderedJSON("试办内容", default=dict)
    at = models.DateTimeField("时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "试办"
        constraints = [
            models.UniqueConstraint(fields=["workbook", "by"], name="one_rehearsal_each")
        ]

    def __str__(self) -> str:
        return f"{self.workbook} 试办"


__all__ = ["Rehearsal", "Revision", "Workbook"]
