"""Application: whose matter, about which item, what was consented to; its materials and why each is met."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party

from .rules import grounds, stages


class Application(models.Model):
    """One application for one item; what is filed is a kernel case, where its state stands.

    The answers to the form stand with the form's draft; nothing personal is kept here in clear. One
    that belongs to a bundle (`bundle` is its ref) is walked from there until it is filed, and may be
    handed over whole to wait for its turn (`ready_at`).
    """

    RELATIONS: ClassVar = list(stages.RELATIONS.items())

    code = models.CharField("申请编号", max_length=24, unique=True)
    item = models.CharField("事项", max_length=80, db_index=True)
    item_version = models.PositiveIntegerField("事项版本", null=True)
    item_name = models.CharField("事项名称", max_length=200)
    applicant = models.ForeignKey(
        Party, models.PROTECT, related_name="applications", verbose_name="申请人"
    )
    by = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="经办人")
    relation = models.CharField("经办关系", max_length=10, choices=RELATIONS, default=stages.SELF)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="办理部门")
    case = models.OneToOneField(
        Case, models.PROTECT, null=True, related_name="application", verbose_name="办件"
    )
    draft = models.CharField("表单草稿", max_length=60, blank=True, default="")
    bundle = models.CharField("所属套餐", max_length=60, blank=True, default="", db_index=True)
    ready_at = models.DateTimeField("随套餐提交时间", null=True)
    answers = models.JSONField("情形", default=dict)
    asked = models.JSONField("拟查询的来源", default=list)
    refused = models.JSONField("不同意查询的来源", default=list)
    confirm_way = models.CharField("本人确认方式", max_length=10, blank=True, default="")
    confirmed_at = models.DateTimeField("本人确认时间", null=True)
    wrong_codes = models.PositiveSmallIntegerField("确认码输错次数", default=0)
    consented_at = models.DateTimeField("授权时间", null=True)
    begun_at = models.DateTimeField("开始时间", default=timezone.now)
    filed_at = models.DateTimeField("提交时间", null=True)
    due_on = models.DateField("承诺办结日", null=True)
    result = models.CharField("结果证照", max_length=160, blank=True, default="")
    note = models.TextField("结果说明", blank=True, default="")
    delivered_at = models.DateTimeField("送达时间", null=True)
    seen_at = models.DateTimeField("申请人最近查看", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "申请"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["applicant", "-id"]),
            models.Index(fields=["by", "-id"]),
            models.Index(fields=["department", "-filed_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.item_name}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"application:{self.code}"

    @property
    def filed(self) -> bool:
        """Whether it has become a case."""
        return self.case_id is not None

    @property
    def given(self) -> bool:
        """Whether its owner has done with it: filed, or handed over to wait for its turn."""
        return self.case_id is not None or self.ready_at is not None


class MaterialState(models.Model):
    """One material of one application: met by which ground and proven by what, or asked for.

    `sealed` holds the shared values that stand in place of the paper, under the vault; `evidence`
    only what may be shown (masked), where it is from and as of when.
    """

    GROUNDS: ClassVar = list(grounds.WORDS.items())

    application = models.ForeignKey(Application, models.CASCADE, related_name="materials")
    material = models.CharField("材料", max_length=80)
    name = models.CharField("材料名称", max_length=200)
    place = models.PositiveSmallIntegerField("顺序", default=0)
    required = models.BooleanField("必备", default=True)
    met = models.BooleanField("已满足", default=False)
    ground = models.CharField("依据", max_length=20, choices=GROUNDS, blank=True, default="")
    words = models.CharField("说明", max_length=300, blank=True, default="")
    look = models.BooleanField("须核对", default=False)
    evidence = models.JSONField("证据", default=dict)
    digest = models.CharField("证据摘要", max_length=64, blank=True, default="")
    sealed = models.TextField("共享内容（密文）", blank=True, default="")
    tried = models.JSONField("其他依据", default=list)
    compared = models.CharField("已核验内容的摘要", max_length=64, blank=True, default="")
    promised_at = models.DateTimeField("承诺时间", null=True)
    met_at = models.DateTimeField("满足时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "申请材料"
        ordering = ["place", "id"]
        constraints = [
            models.UniqueConstraint(fields=["application", "material"], name="material_once")
        ]
        indexes = [
            models.Index(
                fields=["material", "-id"], condition=models.Q(ground="upload"), name="handed_in"
            )
        ]

    def __str__(self) -> str:
        return f"{self.application_id} {self.name}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"material:{self.pk}"

    @property
    def slot(self) -> str:
        """Where its files stand among the draft's attachments."""
        return f"material_{self.material}"


__all__ = ["Application", "MaterialState"]
