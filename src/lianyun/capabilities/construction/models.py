"""Project: a construction project with its code, its owner and agent; each application for a stage of it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party


class Project(models.Model):
    """One project. Where it stands is told by the cases of its stages, never kept here."""

    code = models.CharField("项目代码", max_length=24, unique=True)
    name = models.CharField("项目名称", max_length=200)
    kind = models.CharField("项目类型", max_length=60)
    owner = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="建设单位")
    site = models.CharField("建设地点", max_length=200)
    investment = models.DecimalField("总投资（万元）", max_digits=14, decimal_places=2)
    area = models.DecimalField("建筑面积（平方米）", max_digits=14, decimal_places=2)
    given = models.BooleanField("平台赋码", default=False)
    agent = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="代办员"
    )
    agent_wanted_at = models.DateTimeField("请求代办", null=True)
    begun_at = models.DateTimeField("登记时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "工程建设项目"
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner", "-id"], name="construction_owner")]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"project:{self.code}"


class StageCase(models.Model):
    """One application for one stage: its case, and what was promised with it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="stages")
    stage = models.CharField("阶段", max_length=20)
    case = models.OneToOneField(Case, models.PROTECT, related_name="+", verbose_name="办件")
    admitted = models.CharField("受理", max_length=20, blank=True, default="")
    words = models.CharField("说明", max_length=200, blank=True, default="")
    supplied_at = models.DateTimeField("容缺已补齐", null=True)
    linked_at = models.DateTimeField("申报", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "阶段申报"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.project_id} {self.stage}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"stage_case:{self.pk}"
