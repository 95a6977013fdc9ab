"""Seal: an organ's or a person's mark: its picture, its keys with their certificates, each of its uses.

Personal data: the keeper's and users' names by reference to the kernel's parties; a personal seal's
engraved name. Documents themselves are never kept, only their digests.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Grant, Party

from . import rules


class Authority(models.Model):
    """A key of the issuing authority, or a certificate of a higher one, which has no key here."""

    ROOT, ISSUER, RESPONDER, STAMPER = "root", "issuer", "responder", "stamper"
    USES: ClassVar = [
        (ROOT, "根证书"),
        (ISSUER, "印章签发机构"),
        (RESPONDER, "证书状态应答"),
        (STAMPER, "时间戳"),
    ]

    use = models.CharField("用途", max_length=20, choices=USES)
    label = models.CharField("密钥标识", max_length=80, blank=True, default="")
    store = models.CharField("密钥库", max_length=20, blank=True, default="")
    certificate = models.TextField("证书")
    thumbprint = models.CharField("证书指纹", max_length=64)
    above = models.ForeignKey("self", models.PROTECT, null=True, related_name="below")
    made_at = models.DateTimeField("建立时间", default=timezone.now)
    retired_at = models.DateTimeField("停用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "签发机构密钥"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_use_display()} {self.thumbprint[:12]}"


class KeptKey(models.Model):
    """A key of the software store, encrypted under the installation's vault."""

    label = models.CharField("密钥标识", max_length=80, unique=True)
    secret = models.TextField("密文")
    made_at = models.DateTimeField("生成时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "软件密钥"

    def __str__(self) -> str:
        return self.label


class Seal(models.Model):
    """A seal: its right stands in the grant (held, lost, stopped), its form here."""

    grant = models.OneToOneField(Grant, models.PROTECT, related_name="seal")
    kind = models.CharField("类别", max_length=20, choices=rules.KINDS)
    title = models.CharField("印章名称", max_length=120)
    name = models.CharField("刻字", max_length=60)
    below = models.CharField("下方文字", max_length=20, blank=True, default="")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="所属部门")
    keeper = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="保管人"
    )
    case = models.ForeignKey(Case, models.PROTECT, null=True, related_name="+")
    automatic = models.JSONField("授权自动用印", default=list)
    size = models.FloatField("尺寸（毫米）")
    path = models.TextField("图形")
    made_at = models.DateTimeField("制作时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "电子印章"
        ordering = ["department_id", "kind", "id"]
        indexes = [models.Index(fields=["department", "kind"])]

    def __str__(self) -> str:
        return self.title

    @property
    def code(self) -> str:
        """The seal's number."""
        return self.grant.code

    @property
    def state(self) -> str:
        """Held, lost or stopped: the grant's state."""
        return self.grant.state

    @property
    def state_title(self) -> str:
        """The state in words."""
        return rules.STATES.get(self.state, self.state)

    @property
    def state_tone(self) -> str:
        """The state's colour."""
        return rules.TONES.get(self.state, "grey")


class SealKey(models.Model):
    """A key of a seal with its certificate; the newest one that is not retired signs."""

    seal = models.ForeignKey(Seal, models.PROTECT, related_name="keys")
    algorithm = models.CharField("算法", max_length=20)
    serial = models.CharField("证书序列号", max_length=40, unique=True)
    label = models.CharField("密钥标识", max_length=80, unique=True)
    store = models.CharField("密钥库", max_length=20)
    certificate = models.TextField("证书")
    issuer = models.ForeignKey(Authority, models.PROTECT, related_name="issued")
    made_at = models.DateTimeField("签发时间", default=timezone.now)
    ends_at = models.DateTimeField("证书到期")
    retired_at = models.DateTimeField("换发时间", null=True)
    withdrawn_at = models.DateTimeField("吊销时间", null=True)
    withdrawn_for = models.CharField("吊销原因", max_length=20, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "印章证书"
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["issuer"], name="sealkey_gone", condition=~models.Q(withdrawn_at=None)
            )
        ]

    def __str__(self) -> str:
        return self.serial


class Use(models.Model):
    """One use of a seal: on which document, for what, by whom; never changed."""

    seal = models.ForeignKey(Seal, models.PROTECT, related_name="uses", verbose_name="印章")
    key = models.ForeignKey(SealKey, models.PROTECT, related_name="uses")
    at = models.DateTimeField("时间", default=timezone.now)
    by = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="用印人"
    )
    use = models.CharField("用印方式", max_length=40, blank=True, default="")
    purpose = models.CharField("用途", max_length=rules.LONGEST_PURPOSE)
    title = models.CharField("文件名称", max_length=200, blank=True, default="")
    document_digest = models.CharField("文件摘要", max_length=64)

    class Meta:
        verbose_name = verbose_name_plural = "用印记录"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["seal", "-id"]),
            models.Index(fields=["document_digest"]),
        ]

    def __str__(self) -> str:
        return f"{self.seal_id} {self.at:%Y-%m-%d %H:%M:%S}"
