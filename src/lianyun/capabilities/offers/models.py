"""Rule, choice, offer, tally, budget, claim: what may speak, who listens, what was said, what was paid."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from lianyun.kernel.models import Case, Party

from .rules import declared


class Rule(models.Model):
    """One version of a declared rule or policy; it speaks from its approval until it is stopped.

    `content` is the declaration as it was approved. What stands in a pack is a proposal until then.
    """

    KINDS: ClassVar = list(declared.KINDS.items())

    kind = models.CharField("类别", max_length=10, choices=KINDS)
    code = models.CharField("代码", max_length=60)
    version = models.PositiveIntegerField("版本")
    title = models.CharField("名称", max_length=200)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="提出部门")
    content = models.JSONField("内容")
    case = models.OneToOneField(
        Case, models.PROTECT, null=True, related_name="+", verbose_name="审核"
    )
    proposed_at = models.DateTimeField("提出时间", default=timezone.now)
    approved_at = models.DateTimeField("上线时间", null=True)
    stopped_at = models.DateTimeField("停用时间", null=True)
    stop_reason = models.CharField("停用原因", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "主动服务规则"
        ordering = ["code", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["code", "version"], name="offers_rule_version_once"),
            models.UniqueConstraint(
                fields=["code"],
                condition=Q(approved_at__isnull=False, stopped_at=None),
                name="offers_one_version_speaks",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title}（第 {self.version} 版）"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"rule:{self.code}"

    @property
    def speaks(self) -> bool:
        """Whether it is in force."""
        return self.approved_at is not None and self.stopped_at is None


class Choice(models.Model):
    """Whether a party wants proactive service: a person only after consent, a firm until it says no."""

    party = models.OneToOneField(Party, models.CASCADE, related_name="+", verbose_name="主体")
    on = models.BooleanField("已开启", default=False)
    grant = models.CharField("授权编号", max_length=160, blank=True, default="")
    until = models.DateTimeField("授权期限", null=True)
    changed_at = models.DateTimeField("变更时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "主动服务开关"
        indexes = [models.Index(fields=["party"], condition=Q(on=True), name="offers_choice_on")]

    def __str__(self) -> str:
        return f"{self.party_id} {'开' if self.on else '关'}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"choice:{self.party_id}"


class Offer(models.Model):
    """One proposal to one party: who, which rule, when, until. No fact about the party is kept."""

    rule = models.CharField("规则", max_length=60)
    party = models.ForeignKey(Party, models.CASCADE, related_name="+", verbose_name="主体")
    made_at = models.DateTimeField("提出时间", default=timezone.now)
    until = models.DateField("有效至")
    opened_at = models.DateTimeField("打开时间", null=True)
    dismissed_at = models.DateTimeField("不需要", null=True)
    filed_at = models.DateTimeField("已办", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "主动服务"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "party"], name="offers_offered_once")
        ]
        indexes = [models.Index(fields=["party"], name="offers_offer_party")]

    def __str__(self) -> str:
        return f"{self.rule} {self.party_id}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"offer:{self.pk}"


class Tally(models.Model):
    """How often a rule spoke in a month and what came of it; numbers only, they outlive the offers."""

    rule = models.CharField("规则", max_length=60)
    month = models.DateField("月份")
    offered = models.PositiveIntegerField("提出", default=0)
    opened = models.PositiveIntegerField("打开", default=0)
    dismissed = models.PositiveIntegerField("不需要", default=0)
    filed = models.PositiveIntegerField("办理", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "主动服务计数"
        constraints = [models.UniqueConstraint(fields=["rule", "month"], name="offers_tally_once")]

    def __str__(self) -> str:
        return f"{self.rule} {self.month:%Y-%m}"


class Budget(models.Model):
    """A policy's money in fen: never more reserved and paid than there is, whoever comes at once."""

    policy = models.CharField("政策", max_length=60, unique=True)
    total = models.BigIntegerField("预算（分）")
    reserved = models.BigIntegerField("已占用（分）", default=0)
    paid = models.BigIntegerField("已拨付（分）", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "政策预算"
        constraints = [
            models.CheckConstraint(
                name="offers_never_overdrawn",
                condition=Q(reserved__gte=0, paid__gte=0) & Q(total__gte=F("reserved") + F("paid")),
            )
        ]

    def __str__(self) -> str:
        return self.policy

    @property
    def left(self) -> int:
        """What may still be claimed, in fen."""
        return self.total - self.reserved - self.paid


class Claim(models.Model):
    """A firm's claim under one version of a policy, with the facts on which it rests, frozen."""

    code = models.CharField("编号", max_length=24, unique=True)
    policy = models.CharField("政策", max_length=60)
    version = models.PositiveIntegerField("政策版本")
    party = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="企业")
    by = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="经办人")
    case = models.OneToOneField(Case, models.PROTECT, null=True, related_name="+")
    amount = models.BigIntegerField("金额（分）")
    facts = models.JSONField("依据")
    digest = models.CharField("依据摘要", max_length=64)
    made_at = models.DateTimeField("申领时间", default=timezone.now)
    paid_at = models.DateTimeField("拨付时间", null=True)
    released_at = models.DateTimeField("退回预算时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "政策申领"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "party"],
                condition=Q(released_at=None),
                name="offers_claimed_once",
            ),
            models.CheckConstraint(name="offers_claims_something", condition=Q(amount__gt=0)),
        ]
        indexes = [models.Index(fields=["party", "-id"])]

    def __str__(self) -> str:
        return f"{self.code} {self.policy}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"claim:{self.code}"


__all__ = ["Budget", "Choice", "Claim", "Offer", "Rule", "Tally"]
