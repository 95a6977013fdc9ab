"""Service: a published table that may be queried by key, the credentials for it, and their use per day."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Grant, Resource


class Service(models.Model):
    """One query service: which data it serves, from which table, by which look-ups."""

    resource = models.OneToOneField(Resource, models.CASCADE, related_name="service")
    source = models.OneToOneField(
        Resource, models.PROTECT, related_name="served", verbose_name="数据"
    )
    table = models.CharField("表", max_length=130)
    lookups = models.JSONField("查询条件", default=list)
    columns = models.JSONField("数据项", default=list)
    rows = models.BigIntegerField("行数", default=0)
    published_at = models.DateTimeField("刷新时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "数据服务"
        ordering = ["id"]

    def __str__(self) -> str:
        return self.source.title


class Client(models.Model):
    """One credential of a grant: an open id and the hash of a long random secret.

    A second secret stays good for a while after a rotation, so that callers can change over.
    """

    client_id = models.CharField("凭证号", max_length=40, unique=True)
    grant = models.OneToOneField(Grant, models.CASCADE, related_name="client")
    secret_hash = models.CharField(max_length=64, blank=True, default="")
    former_hash = models.CharField(max_length=64, blank=True, default="")
    former_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField("建立时间", default=timezone.now)
    collected_at = models.DateTimeField("领取时间", null=True)
    rotated_at = models.DateTimeField("更换时间", null=True)
    closed_at = models.DateTimeField("注销时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "调用凭证"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.client_id

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"client:{self.client_id}"


class Usage(models.Model):
    """How many calls of a day a grant has used up, leases of the workers included."""

    grant = models.ForeignKey(Grant, models.CASCADE, related_name="usage")
    day = models.DateField("日期")
    used = models.PositiveIntegerField("次数", default=0)
    told = models.PositiveIntegerField("已登记次数", default=0, db_default=0)

    class Meta:
        verbose_name = verbose_name_plural = "用量"
        constraints = [models.UniqueConstraint(fields=["grant", "day"], name="usage_once")]

    def __str__(self) -> str:
        return f"{self.grant_id} {self.day} {self.used}"
