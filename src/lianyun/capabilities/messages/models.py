"""Message, sending, choice, cursor: what was told to whom, by which way, what each chose, how far was read."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from lianyun.kernel.models import Party

from .rules import declared


class Message(models.Model):
    """One thing told to one person; `about` is on whose behalf (a firm, a child), if not the reader.

    `once` tells what it came from (an event, a day): the same is never told twice.
    """

    URGENCIES: ClassVar = list(declared.URGENCIES.items())

    party = models.ForeignKey(Party, models.CASCADE, related_name="+", verbose_name="收件人")
    about = models.ForeignKey(
        Party, models.CASCADE, null=True, related_name="+", verbose_name="代谁"
    )
    key = models.CharField("类别", max_length=60)
    once = models.CharField(max_length=80)
    title = models.CharField("标题", max_length=200)
    text = models.TextField("内容")
    link = models.CharField("去处", max_length=160, blank=True, default="")
    urgency = models.CharField("缓急", max_length=10, choices=URGENCIES)
    legal = models.BooleanField("法定告知", default=False)
    shown = models.BooleanField("进消息中心", default=True)
    made_at = models.DateTimeField("时间", default=timezone.now)
    read_at = models.DateTimeField("已读时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "消息"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["key", "once", "party"], name="inbox_told_once")
        ]
        indexes = [
            models.Index(fields=["party", "-id"], condition=Q(shown=True), name="inbox_of"),
            models.Index(
                fields=["party"], condition=Q(shown=True, read_at=None), name="inbox_unread"
            ),
            models.Index(fields=["made_at"], name="inbox_made"),
        ]

    def __str__(self) -> str:
        return f"{self.party_id} {self.title}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"message:{self.pk}"


class Sending(models.Model):
    """A message on its way by mail or text: tried until it is out, or ended with the reason.

    The address is not kept: it is the person's own of the moment. Where a sending was tried, `due_at`
    already stands at the next try, so that a worker that dies leaves nothing behind.
    """

    CHANNELS: ClassVar = [(c, declared.CHANNELS[c]) for c in declared.OUTER]

    message = models.ForeignKey(Message, models.CASCADE, related_name="sendings")
    channel = models.CharField("渠道", max_length=10, choices=CHANNELS)
    made_at = models.DateTimeField("生成时间", default=timezone.now)
    due_at = models.DateTimeField("不早于")
    digest = models.BooleanField("并入每日汇总", default=False)
    tries = models.PositiveSmallIntegerField("已试次数", default=0)
    where = models.CharField("送往（脱敏）", max_length=80, blank=True, default="")
    sent_at = models.DateTimeField("发出时间", null=True)
    simulated = models.BooleanField("模拟发送", default=False)
    problem = models.CharField("未发出原因", max_length=120, blank=True, default="")
    ended_at = models.DateTimeField("不再发送", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "发送"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "channel"], name="inbox_sent_once")
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(sent_at=None, ended_at=None), name="inbox_waits"
            ),
            models.Index(fields=["made_at"], name="inbox_sending_made"),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} {self.channel}"

    @property
    def badge(self) -> tuple[str, str]:
        """How it stands, in words, and the tone."""
        if self.sent_at is not None:
            return ("模拟数据：未真正发送", "amber") if self.simulated else ("已发出", "green")
        if self.ended_at is not None:
            return ("未发送", "red" if self.tries else "grey")
        return ("待重试", "amber") if self.tries else ("待发送", "blue")


class Choice(models.Model):
    """What a person chose for one kind by one way; nothing chosen is as declared."""

    party = models.ForeignKey(Party, models.CASCADE, related_name="+", verbose_name="本人")
    key = models.CharField("类别", max_length=60)
    channel = models.CharField("渠道", max_length=10)
    on = models.BooleanField("接收")

    class Meta:
        verbose_name = verbose_name_plural = "接收设置"
        constraints = [
            models.UniqueConstraint(fields=["party", "key", "channel"], name="inbox_chosen_once")
        ]

    def __str__(self) -> str:
        return f"{self.party_id} {self.key} {self.channel}"


class Cursor(models.Model):
    """How far the sealed ledger was read; one row, held by whoever reads on."""

    seq = models.BigIntegerField("链序", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "台账读到"

    def __str__(self) -> str:
        return str(self.seq)


__all__ = ["Choice", "Cursor", "Message", "Sending"]
