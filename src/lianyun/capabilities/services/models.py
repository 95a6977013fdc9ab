"""Service: a published table that may be asked in one way, the credentials for it, and their use."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Grant, Party, Resource


class Service(models.Model):
    """One service: which data it gives, of which kind, in which version, by which conditions.

    `design` holds what the kind needs: `ranges` (query), `values`, `least`, `tell`, `tries`
    (verify), `by`, `measures`, `group` (statistics), the source's address (federated). Limits of 0
    leave it to the grant. All services of one source read the same served table.
    """

    resource = models.OneToOneField(Resource, models.CASCADE, related_name="service")
    source = models.ForeignKey(Resource, models.PROTECT, related_name="served", verbose_name="数据")
    kind = models.CharField("类型", max_length=20, default="query")
    version = models.PositiveSmallIntegerField("版本", default=1)
    table = models.CharField("表", max_length=130)
    lookups = models.JSONField("查询条件", default=list)
    columns = models.JSONField("数据项", default=list)
    design = models.JSONField("设计", default=dict, blank=True)
    calls_per_day = models.PositiveIntegerField("每日次数上限", default=0)
    calls_per_second = models.PositiveIntegerField("每秒次数上限", default=0)
    sunset_on = models.DateField("停止日期", null=True)
    rows = models.BigIntegerField("行数", default=0)
    batch = models.CharField("批次", max_length=80, blank=True, default="")
    published_at = models.DateTimeField("刷新时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "数据服务"
        ordering = ["source_id", "kind", "version"]
        constraints = [
            models.UniqueConstraint(fields=["source", "kind", "version"], name="service_once")
        ]

    def __str__(self) -> str:
        return self.source.title


class Trial(models.Model):
    """A test credential of a department: it reaches invented rows only, for a while."""

    client_id = models.CharField("凭证号", max_length=40, unique=True)
    source = models.ForeignKey(Resource, models.CASCADE, related_name="trials", verbose_name="数据")
    department = models.ForeignKey(Party, models.CASCADE, related_name="+", verbose_name="部门")
    secret_hash = models.CharField(max_length=64)
    valid_to = models.DateTimeField("有效期至")

    class Meta:
        verbose_name = verbose_name_plural = "测试凭证"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.client_id

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"trial:{self.client_id}"


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


class ClientKey(models.Model):
    """A public key or certificate that a department registered for a credential.

    Several may be good at once, so that a key is changed without an outage: add, change over, end.
    `kid` is the SHA-256 of the key (SubjectPublicKeyInfo) or of the certificate (RFC 8705), hex.
    """

    SIGNATURE, CERTIFICATE = "signature", "certificate"
    USES = [(SIGNATURE, "请求签名"), (CERTIFICATE, "双向 TLS 证书")]

    client = models.ForeignKey(Client, models.CASCADE, related_name="keys")
    use = models.CharField("用途", max_length=20, choices=USES)
    algorithm = models.CharField("算法", max_length=40)
    kid = models.CharField("标识", max_length=64)
    pem = models.TextField("公钥")
    subject = models.CharField("名称", max_length=200, blank=True, default="")
    added_at = models.DateTimeField("登记时间", default=timezone.now)
    ends_at = models.DateTimeField("停用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "登记的公钥"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["client", "use", "kid"], name="client_key_once")
        ]

    def __str__(self) -> str:
        return f"{self.use} {self.kid[:12]}"

    @property
    def good(self) -> bool:
        """Whether it may still be used."""
        return self.ends_at is None or timezone.now() < self.ends_at


class UsedNonce(models.Model):
    """A nonce of a signed request that was accepted: no worker accepts it again."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="+")
    nonce = models.CharField(max_length=64)
    at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "用过的随机数"
        constraints = [
            models.UniqueConstraint(fields=["client", "nonce"], name="client_nonce_once")
        ]
        indexes = [BrinIndex(fields=["at"], name="nonce_at")]

    def __str__(self) -> str:
        return self.nonce


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


class Pace(models.Model):
    """How many calls a grant may make at this instant: a bucket that fills with each second."""

    grant = models.OneToOneField(Grant, models.CASCADE, related_name="+", primary_key=True)
    level = models.FloatField("余量")
    at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "每秒余量"

    def __str__(self) -> str:
        return f"{self.grant_id} {self.level}"


class Miss(models.Model):
    """How often a day a department has had 不一致 for one subject of one source.

    Guessing values must not pay, neither under several grants nor by several look-ups.
    """

    party = models.ForeignKey(Party, models.CASCADE, related_name="+")
    source = models.ForeignKey(Resource, models.CASCADE, related_name="+")
    key_hash = models.CharField(max_length=64)
    day = models.DateField("日期")
    tries = models.PositiveIntegerField("次数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "核验不一致次数"
        constraints = [
            models.UniqueConstraint(fields=["party", "source", "key_hash", "day"], name="miss_once")
        ]

    def __str__(self) -> str:
        return f"{self.party_id} {self.day} {self.tries}"
