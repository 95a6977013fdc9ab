"""Finding: what one rule found in one batch, and the correction case that it belongs to."""

from __future__ import annotations

from django.db import models

from lianyun.kernel.models import Batch, Case, Party, Resource


class Finding(models.Model):
    """One rule's result for one batch; the rows themselves lie in the lake under the batch's code."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="findings", verbose_name="批次")
    resource = models.ForeignKey(Resource, models.CASCADE, related_name="findings")
    rule = models.CharField("规则", max_length=160)
    title = models.CharField("规则名称", max_length=300)
    item = models.CharField("数据项", max_length=80, blank=True, default="")
    severity = models.CharField("级别", max_length=10)
    failed = models.BigIntegerField("问题行数", default=0)
    case = models.ForeignKey(Case, models.SET_NULL, null=True, related_name="findings")
    day = models.DateField("日期")

    class Meta:
        verbose_name = verbose_name_plural = "质量问题"
        ordering = ["-batch_id", "-failed"]
        indexes = [
            models.Index(fields=["resource", "rule", "-id"]),
            models.Index(fields=["case"]),
        ]
        constraints = [models.UniqueConstraint(fields=["batch", "rule"], name="finding_once")]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.title} {self.failed}"


class Report(models.Model):
    """A wrong value that a receiver or the person concerned noticed (条例 art. 26).

    Which row, which item, what is wrong and what it should be. `key` names the row and may be
    personal data; it is emptied when the case is forgotten. `others` reported the same cell later:
    they follow the same case.
    """

    case = models.OneToOneField(Case, models.CASCADE, related_name="report")
    resource = models.ForeignKey(Resource, models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    key = models.JSONField("主键", default=dict)
    item = models.CharField("数据项", max_length=80)
    told = models.TextField("问题描述")
    expected = models.CharField("应为", max_length=500, blank=True, default="")
    evidence = models.TextField("证据", blank=True, default="")
    person = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    others = models.ManyToManyField(Party, related_name="+")

    class Meta:
        verbose_name = verbose_name_plural = "疑义反馈"

    def __str__(self) -> str:
        return f"{self.resource_id} {self.item}"
