"""Call record: who read whose data, when, under which grant and for what; chained, sealed, time-stamped."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.utils import timezone

from .rules import CHANNELS, OPERATIONS, OUTCOMES


class CallLink(models.Model):
    """One batch of call records: its chain value covers the one before and every record in it.

    `root` is the root of the hash tree over the records under `digest`; links from before exchanges
    could be proven one by one have neither.
    """

    number = models.BigIntegerField("链序", primary_key=True)
    at = models.DateTimeField("时间")
    count = models.PositiveIntegerField("条数")
    digest = models.CharField("散列算法", max_length=10, blank=True, default="")
    root = models.CharField("树根", max_length=64, blank=True, default="")
    hash = models.CharField("链值", max_length=64)

    class Meta:
        verbose_name = verbose_name_plural = "调用记录链"

    def __str__(self) -> str:
        return f"{self.number}"


class CallRecord(models.Model):
    """One reading; the keys looked up stand here as keyed hashes only.

    Written thousands of times a second, so every index here must be worth its price.
    """

    uid = models.CharField(max_length=40)
    at = models.DateTimeField("时间")
    channel = models.CharField("途径", max_length=20, choices=list(CHANNELS.items()))
    client = models.CharField("凭证", max_length=40, blank=True, default="")
    by = models.CharField("调用者", max_length=120)
    by_name = models.CharField("调用者名称", max_length=120, blank=True, default="")
    department_id = models.BigIntegerField("部门", null=True)
    grant_code = models.CharField("授权", max_length=160, blank=True, default="")
    resource = models.CharField("数据", max_length=80)
    purpose = models.CharField("用途", max_length=300, blank=True, default="")
    key_hash = models.CharField("对象", max_length=32, blank=True, default="")
    others = ArrayField(models.CharField(max_length=32), null=True, verbose_name="涉及的其他人")
    rows = models.IntegerField("行数", default=0)
    micros = models.BigIntegerField("耗时（微秒）", default=0)
    outcome = models.CharField("结果", max_length=20, choices=list(OUTCOMES.items()))
    operation = models.CharField(
        "操作", max_length=20, choices=list(OPERATIONS.items()), blank=True, default=""
    )
    version = models.IntegerField("服务版本", default=0)
    case_code = models.CharField("办件", max_length=80, blank=True, default="")
    request_digest = models.CharField("请求摘要", max_length=64, blank=True, default="")
    response_digest = models.CharField("应答摘要", max_length=64, blank=True, default="")
    link = models.BigIntegerField("链序")

    class Meta:
        verbose_name = verbose_name_plural = "调用记录"
        indexes = [
            models.Index(
                fields=["key_hash", "-at"], name="call_of", condition=~models.Q(key_hash="")
            ),
            GinIndex(
                fields=["others"], name="call_others", condition=models.Q(others__isnull=False)
            ),
            models.Index(fields=["department_id", "id"], name="call_by"),
            models.Index(fields=["resource", "id"], name="call_on"),
            BrinIndex(fields=["at"], name="call_at", pages_per_range=32),
            BrinIndex(fields=["link"], name="call_in", pages_per_range=32),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def milliseconds(self) -> float:
        """How long the reading took, in milliseconds."""
        return self.micros / 1000


class CallSeal(models.Model):
    """A run of links, signed and time-stamped together: `note` is what is signed and the signatures.

    The note is kept as the very text; its first line names the seal before, the tree over the links
    and the end of the chain of events; `token` is the RFC 3161 token over the note (DER).
    """

    number = models.BigIntegerField("签章序号", primary_key=True)
    at = models.DateTimeField("时间")
    first_link = models.BigIntegerField("起始链序")
    last_link = models.BigIntegerField("终止链序")
    calls = models.BigIntegerField("调用数")
    note = models.TextField("签章内容")
    token = models.BinaryField("时间戳")

    class Meta:
        verbose_name = verbose_name_plural = "调用记录签章"
        indexes = [models.Index(fields=["last_link"], name="seal_to")]

    def __str__(self) -> str:
        return f"{self.number}"


class SigningKey(models.Model):
    """A key of this installation: the authority's (root), the signer's (seal), the time stamp's (stamp).

    The private key is kept in the vault's form and never leaves; the certificate is for everybody.
    """

    ROOT, SEAL, STAMP = "root", "seal", "stamp"
    USES = [(ROOT, "根证书"), (SEAL, "签名"), (STAMP, "时间戳")]

    kid = models.CharField("密钥标识", max_length=64, unique=True)
    use = models.CharField("用途", max_length=10, choices=USES)
    algorithm = models.CharField("算法", max_length=30)
    certificate = models.TextField("证书")
    secret = models.TextField()
    made_at = models.DateTimeField("启用时间", default=timezone.now)
    retired_at = models.DateTimeField("停用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "签名密钥"
        ordering = ["-made_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["use", "algorithm"],
                name="signing_key_one",
                condition=models.Q(retired_at=None),
            )
        ]

    def __str__(self) -> str:
        return self.kid


class SealerTry(models.Model):
    """How the sealer's newest try went (one row); what it tells stands on the health page."""

    at = models.DateTimeField("时间", default=timezone.now)
    failed_since = models.DateTimeField("失败起始", null=True)
    reason = models.CharField("原因", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "签章进程"

    def __str__(self) -> str:
        return self.reason or "正常"
