"""System: a department's own system; each case that is with it, each letter to it, each message of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Grant, Party

from . import rules


class System(models.Model):
    """One system of a department. `key` holds its signing keys under the vault.

    `vouched`: the operator of the machine named its address, which is not held against the list.
    `simulated`: it stands in for a real one (模拟数据). No personal data.
    """

    code = models.CharField("编号", max_length=40, unique=True)
    party = models.OneToOneField(Party, models.PROTECT, related_name="+", verbose_name="主体")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="部门")
    address = models.CharField("接口地址", max_length=300)
    key = models.TextField("签名密钥（加密）")
    contact = models.CharField("联系人", max_length=100, blank=True, default="")
    silent_hours = models.PositiveSmallIntegerField("最长静默小时", default=24)
    vouched = models.BooleanField("运维登记", default=False)
    simulated = models.BooleanField("模拟系统", default=False)
    paused = models.BooleanField("暂停转办", default=False)
    attempts = models.PositiveIntegerField("连续失败", default=0)
    next_at = models.DateTimeField("下次尝试", null=True)
    error = models.CharField("失败原因", max_length=300, blank=True, default="")
    reached_at = models.DateTimeField("最近连通", null=True)
    made_at = models.DateTimeField("登记时间", default=timezone.now)
    closed_at = models.DateTimeField("停用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "部门系统"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.party.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"relay_system:{self.code}"


class Handover(models.Model):
    """One case that is with a department's system, from the handing over until its end.

    `token` is the waiting step of the case that this answers; another one means that the applicant
    has handed in what was missing. `clock_at`, `latest_at` are times of the system's own clock.
    """

    number = models.CharField("转办号", max_length=64, unique=True)
    system = models.ForeignKey(System, models.PROTECT, related_name="handovers")
    case = models.ForeignKey(Case, models.PROTECT, related_name="+", verbose_name="办件")
    grant = models.ForeignKey(Grant, models.PROTECT, related_name="+", verbose_name="授权")
    token = models.CharField(max_length=40)
    own_number = models.CharField("对方编号", max_length=64, blank=True, default="")
    made_at = models.DateTimeField("转办时间", default=timezone.now)
    taken_at = models.DateTimeField("对方收到", null=True)
    heard_at = models.DateTimeField("最近消息", default=timezone.now)
    asked_at = models.DateTimeField("最近核对", null=True)
    latest = models.CharField("最近进展", max_length=400, blank=True, default="")
    latest_at = models.DateTimeField("最近进展时间", null=True)
    clock_at = models.DateTimeField("最近中止或恢复", null=True)
    supplemented = models.BooleanField("已告知补正", default=False)
    outcome = models.CharField("结果", max_length=20, blank=True, default="")
    ended_at = models.DateTimeField("结束时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "转办"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["case"], condition=models.Q(ended_at=None), name="one_handover_of_a_case"
            )
        ]
        indexes = [
            models.Index(fields=["system", "-id"]),
            models.Index(
                fields=["heard_at"], condition=models.Q(ended_at=None), name="handover_silent"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"handover:{self.number}"


class Letter(models.Model):
    """One message to a system, written before it is sent, sent until it is taken.

    `sealed` is the body under the vault, the same for every attempt; it is forgotten when the
    handover has ended and the letter was taken.
    """

    KINDS: ClassVar = list(rules.LETTERS.items())

    number = models.CharField("消息号", max_length=64, unique=True)
    handover = models.ForeignKey(Handover, models.CASCADE, related_name="letters")
    kind = models.CharField("种类", max_length=30, choices=KINDS)
    sealed = models.TextField("内容（密文）", blank=True, default="")
    digest = models.CharField("摘要", max_length=64)
    recorded = models.CharField("交换记录", max_length=40, blank=True, default="")
    made_at = models.DateTimeField("写成", default=timezone.now)
    attempts = models.PositiveIntegerField("尝试", default=0)
    refusals = models.PositiveIntegerField("被拒", default=0)
    taken_at = models.DateTimeField("对方收到", null=True)
    dead_at = models.DateTimeField("停止重试", null=True)
    error = models.CharField("失败原因", max_length=300, blank=True, default="")
    skipped_by = models.CharField("跳过人", max_length=120, blank=True, default="")
    reason = models.CharField("处理理由", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "发出的消息"
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["handover"], condition=models.Q(taken_at=None), name="letter_waiting"
            )
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"letter:{self.number}"

    @property
    def standing(self) -> tuple[str, str]:
        """What became of it, in words and as a tone."""
        if self.skipped_by:
            return "不再发送", "grey"
        if self.taken_at is not None:
            return "对方已收到", "green"
        if self.dead_at is not None:
            return "死信", "red"
        return ("待重试", "amber") if self.attempts else ("待发送", "blue")


class Message(models.Model):
    """One message of a system, kept once by its number, whatever it did; `sealed` under the vault."""

    EFFECTS: ClassVar = [(k, v[0]) for k, v in rules.EFFECTS.items()]

    system = models.ForeignKey(System, models.PROTECT, related_name="messages")
    handover = models.ForeignKey(Handover, models.CASCADE, related_name="messages")
    number = models.CharField("消息号", max_length=64)
    kind = models.CharField("种类", max_length=20, choices=list(rules.KINDS.items()))
    at = models.DateTimeField("对方时间")
    received_at = models.DateTimeField("收到", default=timezone.now)
    pulled = models.BooleanField("核对取得", default=False)
    sealed = models.TextField("内容（密文）")
    digest = models.CharField("摘要", max_length=64)
    effect = models.CharField("处理", max_length=12, choices=EFFECTS)
    words = models.CharField("说明", max_length=400, blank=True, default="")
    settled_by = models.CharField("处理人", max_length=120, blank=True, default="")
    reason = models.CharField("处理理由", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "收到的消息"
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["system", "number"], name="relay_message_once")
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"relay_message:{self.pk}"

    @property
    def standing(self) -> tuple[str, str]:
        """What became of it, in words and as a tone."""
        words, tone = rules.EFFECTS[self.effect]
        return (f"{words}（已处理）", "grey") if self.settled_by else (words, tone)


__all__ = ["Handover", "Letter", "Message", "System"]
