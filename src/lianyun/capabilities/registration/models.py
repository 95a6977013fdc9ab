"""Firm: what came of decided applications: firms registered, changed, cancelled; notices, objections."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party

from .rules import changes


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


class Change(models.Model):
    """One granted change or cancellation of a firm, or one that waits for an officer (`trouble`).

    What the columns were and are stands in the register and its history; `sealed` holds the
    shareholders that a change gave the firm, which the register has no columns for.
    """

    case = models.OneToOneField(Case, models.PROTECT, related_name="+", verbose_name="办件")
    kind = models.CharField("类别", max_length=10, choices=list(changes.KINDS.items()))
    credit_code = models.CharField("统一社会信用代码", max_length=18, db_index=True)
    name = models.CharField("名称", max_length=200)
    items = models.JSONField("变更事项", default=list)
    licence = models.CharField("换发的营业执照", max_length=160, blank=True, default="")
    batch = models.CharField("入库批次", max_length=60, blank=True, default="")
    sealed = models.TextField("股东（密文）", blank=True, default="")
    trouble = models.CharField("问题", max_length=400, blank=True, default="")
    decided_at = models.DateTimeField("准予时间", default=timezone.now)
    made_at = models.DateTimeField("登记时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "变更和注销登记"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} {self.get_kind_display()}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"firm:{self.credit_code}"

    @property
    def words(self) -> str:
        """What was changed, in words."""
        if self.kind == changes.CANCEL:
            return "注销"
        return "、".join(changes.ITEMS.get(i, i) for i in self.items)

    @property
    def standing(self) -> tuple[str, str]:
        """How far it is, in words and as a tone."""
        return ("待处理", "red") if self.made_at is None else ("已登记", "green")


class Notice(models.Model):
    """The public notice of a simplified cancellation (简易注销公示): from when, until when, how it ended."""

    OUTCOMES: ClassVar = [(changes.CLEAR, "期满无异议"), (changes.OBJECTED, "有异议")]

    case = models.OneToOneField(Case, models.PROTECT, related_name="+", verbose_name="办件")
    credit_code = models.CharField("统一社会信用代码", max_length=18, db_index=True)
    name = models.CharField("名称", max_length=200)
    begins_on = models.DateField("公示开始")
    ends_on = models.DateField("公示截止")
    ended_at = models.DateTimeField("结束时间", null=True)
    outcome = models.CharField("结果", max_length=10, choices=OUTCOMES, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "简易注销公示"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"notice:{self.pk}"


class Objection(models.Model):
    """What somebody holds against a simplified cancellation; the reason is kept under the vault."""

    KINDS: ClassVar = [
        ("creditor", "债权人"),
        ("staff", "职工"),
        ("department", "行政机关"),
        ("other", "其他利害关系人"),
    ]

    notice = models.ForeignKey(Notice, models.PROTECT, related_name="objections")
    by = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="提出人")
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    kind = models.CharField("身份", max_length=12, choices=KINDS)
    sealed = models.TextField("理由（密文）")
    made_at = models.DateTimeField("提出时间", default=timezone.now)
    withdrawn_at = models.DateTimeField("撤回时间", null=True)
    accepted = models.BooleanField("是否成立", null=True)
    answer = models.CharField("答复", max_length=500, blank=True, default="")
    answered_at = models.DateTimeField("答复时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "公示异议"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["notice", "by"],
                condition=models.Q(withdrawn_at=None),
                name="one_objection_a_person",
            )
        ]

    def __str__(self) -> str:
        return f"{self.notice} {self.get_kind_display()}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"objection:{self.pk}"


__all__ = ["Change", "Firm", "Notice", "Objection"]
