"""Firm: one registration by a decided application: name, credit code, licence, the batch of its row."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case


class Firm(models.Model):
    """One firm that was registered here, or whose registration waits for an officer (`trouble`)."""

    case = models.OneToOneField(Case, models.PROTECT, related_name="+", verbose_name="办件")
    name = models.CharField("名称", max_length=200)
    region = models.CharField("行政区划", max_length=6)
    credit_code = models.CharField("统一社会信用代码", max_length=18, null=True, unique=True)
    licence = models.CharField("营业执照标识", max_length=160, blank=True, default="")
    batch = models.CharField("入库批次", max_length=60, blank=True, default="")
    trouble = models.CharField("问题", max_length=400, blank=True, default="")
    decided_at = models.DateTimeField("准予时间", default=timezone.now)
    made_at = models.DateTimeField("登记时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "企业登记"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"firm:{self.credit_code or self.pk}"

    @property
    def standing(self) -> tuple[str, str]:
        """How far it is, in words and as a tone."""
        if self.made_at is None:
            return "待处理", "red"
        return ("已登记、已入库", "green") if self.batch else ("已登记，正在入库", "blue")
