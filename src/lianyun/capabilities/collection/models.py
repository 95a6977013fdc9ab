"""Source: where a dataset's rows come from, how often, and with which secret; and its uses."""

from __future__ import annotations

from django.db import models

from lianyun.kernel.models import Batch, Resource

from .rules import KINDS, MODES


class Source(models.Model):
    """One place from which one dataset is collected; its secret is kept encrypted.

    Personal data: none. `vouched` marks a source that the operator of the machine registered at
    the command line: it may lie outside the inbox and the list of allowed hosts.
    """

    name = models.SlugField("标识", max_length=80, unique=True)
    title = models.CharField("名称", max_length=200)
    resource = models.ForeignKey(
        Resource, models.CASCADE, related_name="sources", verbose_name="数据集"
    )
    kind = models.CharField("类型", max_length=20, choices=list(KINDS.items()))
    location = models.CharField("地址", max_length=500)
    options = models.JSONField("选项", default=dict, blank=True)
    secret = models.TextField("凭据（加密）", blank=True, default="")
    mode = models.CharField("方式", max_length=20, choices=list(MODES.items()), default="full")
    watermark = models.CharField("增量字段", max_length=100, blank=True, default="")
    last_watermark = models.CharField("上次增量值", max_length=100, blank=True, default="")
    schedule = models.CharField("计划", max_length=60, blank=True, default="")
    enabled = models.BooleanField("启用", default=True)
    vouched = models.BooleanField("运维登记", default=False)
    due_at = models.DateTimeField("下次运行", null=True)
    created_at = models.DateTimeField("登记时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "数据源"
        ordering = ["resource__code", "name"]
        indexes = [models.Index(fields=["enabled", "due_at"])]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"source:{self.name}"


class Use(models.Model):
    """How often a dataset was read on one day, by which way: what shows that it is alive."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="uses")
    day = models.DateField("日期")
    way = models.CharField("途径", max_length=40)
    count = models.PositiveBigIntegerField("次数", default=0)
    last_at = models.DateTimeField("最近", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "使用"
        constraints = [models.UniqueConstraint(fields=["resource", "day", "way"], name="use_once")]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.day} {self.way} {self.count}"


class Correction(models.Model):
    """A batch that brings rows of an earlier batch again, after an officer set them right."""

    batch = models.OneToOneField(Batch, models.CASCADE, related_name="corrects")
    of = models.ForeignKey(Batch, models.CASCADE, related_name="corrections")

    class Meta:
        verbose_name = verbose_name_plural = "更正"

    def __str__(self) -> str:
        return f"{self.batch_id} → {self.of_id}"
