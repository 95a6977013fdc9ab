"""Subscription: where what a grant allows is brought to, how far it is, each delivery, each file."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Grant, Party

from . import rules


class Subscription(models.Model):
    """One receiver of one grant. `position` is the batch up to which everything has been taken.

    Personal data: none; the receiver's secret is kept encrypted (lianyun.trust.vault). `vouched`
    marks a receiver that the operator set up: it may lie at an address that is not on the list.
    """

    code = models.CharField("编号", max_length=40, unique=True)
    grant = models.ForeignKey(Grant, models.PROTECT, related_name="+", verbose_name="授权")
    kind = models.CharField("接收方式", max_length=20, choices=list(rules.KINDS.items()))
    location = models.CharField("地址", max_length=500, blank=True, default="")
    options = models.JSONField("选项", default=dict)
    secret = models.TextField("凭据（加密）", blank=True, default="")
    salt = models.TextField("行标识密钥（加密）")
    paused = models.BooleanField("暂停", default=False)
    vouched = models.BooleanField("运维登记", default=False)
    position = models.CharField("已接收至", max_length=200, blank=True, default="")
    shape = models.CharField(max_length=16, blank=True, default="")
    number = models.PositiveIntegerField("交付序号", default=0)
    anew = models.BooleanField("重新全量", default=False)
    taken_at = models.DateTimeField("最近接收", null=True)
    attempts = models.PositiveIntegerField("连续失败", default=0)
    next_at = models.DateTimeField("下次尝试", null=True)
    error = models.TextField("失败原因", blank=True, default="")
    made_at = models.DateTimeField("建立", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "订阅"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"subscription:{self.code}"

    @property
    def where(self) -> str:
        """The receiver in words, without any secret."""
        return self.location or rules.KINDS[self.kind]


class Delivery(models.Model):
    """One parcel: from which position to which, what was in it, and what became of it.

    Open until `finished_at`; `dead_at` marks one that the worker no longer tries by itself.
    """

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="deliveries")
    number = models.PositiveIntegerField("序号")
    since = models.CharField("起", max_length=200, blank=True, default="")
    upto = models.CharField("止", max_length=200)
    shape = models.CharField(max_length=16, blank=True, default="")
    upserts = models.BigIntegerField("新增或更新", default=0)
    deletes = models.BigIntegerField("删除", default=0)
    size = models.BigIntegerField("字节", default=0)
    digest = models.CharField("摘要", max_length=64, blank=True, default="")
    part = models.PositiveIntegerField("已送部分", default=0)
    recorded = models.CharField("交换记录", max_length=40, blank=True, default="")
    begun_at = models.DateTimeField("开始", default=timezone.now)
    finished_at = models.DateTimeField("完成", null=True)
    dead_at = models.DateTimeField("停止重试", null=True)
    attempts = models.PositiveIntegerField("尝试", default=0)
    error = models.TextField("失败原因", blank=True, default="")
    skipped_by = models.CharField("跳过人", max_length=120, blank=True, default="")
    reason = models.CharField("处理理由", max_length=500, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "交付"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription"],
                condition=models.Q(finished_at=None),
                name="one_open_delivery",
            )
        ]
        indexes = [
            models.Index(
                fields=["dead_at"], condition=models.Q(finished_at=None), name="dead_letters"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.number}"

    @property
    def full(self) -> bool:
        """Whether it held everything rather than a change."""
        return not self.since

    @property
    def standing(self) -> str:
        """delivered, skipped, dead, failed or sending."""
        if self.finished_at:
            return "skipped" if self.skipped_by else "delivered"
        if self.dead_at:
            return "dead"
        return "failed" if self.error else "sending"


class Download(models.Model):
    """One file made for the holder of a grant: how far its making is, and until when it is there."""

    code = models.CharField("编号", max_length=60, unique=True)
    grant = models.ForeignKey(Grant, models.PROTECT, related_name="+", verbose_name="授权")
    format = models.CharField("格式", max_length=20, choices=list(rules.DOWNLOADS.items()))
    asked_by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    position = models.CharField("数据截至", max_length=200, blank=True, default="")
    queued_at = models.DateTimeField("提交", default=timezone.now)
    finished_at = models.DateTimeField("完成", null=True)
    expires_at = models.DateTimeField("失效", null=True)
    progress = models.FloatField("进度", default=0)
    message = models.CharField("说明", max_length=200, blank=True, default="")
    error = models.TextField("失败原因", blank=True, default="")
    rows = models.BigIntegerField("行数", default=0)
    size = models.BigIntegerField("字节", default=0)
    digest = models.CharField("SHA-256", max_length=64, blank=True, default="")
    fetched = models.PositiveIntegerField("下载次数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "文件下载"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"download:{self.code}"

    def there(self, now: dt.datetime) -> bool:
        """Whether the file may still be fetched."""
        return bool(
            self.finished_at and not self.error and self.expires_at and now < self.expires_at
        )
