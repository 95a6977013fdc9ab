"""Licence: a grant with an identifier, its elements under lock; beside it files, showings, runs, keys."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Grant, Party


class Licence(models.Model):
    """One version of one licence; holder, issuer, case and state stand in its grant.

    The elements are kept under the vault, the holder's number as its keyed hash; what a list needs
    stands in columns.
    """

    REPLACED, REVOKED, WITHDRAWN, ANNULLED = "replaced", "revoked", "withdrawn", "annulled"
    ENDINGS: ClassVar = [
        ("", "未终止"),
        (REPLACED, "已换发"),
        (REVOKED, "吊销"),
        (WITHDRAWN, "撤销"),
        (ANNULLED, "注销"),
    ]

    grant = models.OneToOneField(Grant, models.PROTECT, related_name="licence", verbose_name="权利")
    kind = models.CharField("证照类型", max_length=60)
    identifier = models.CharField("电子证照标识", max_length=160, unique=True)
    number = models.CharField("证照编号", max_length=100)
    holder_hash = models.CharField("持证主体（散列）", max_length=64, db_index=True)
    sealed = models.TextField("要素（密文）")
    check_code = models.CharField("核验码", max_length=32, unique=True)
    trust = models.CharField("可信等级", max_length=1)
    source = models.CharField("来源", max_length=120, blank=True, default="")
    issued_on = models.DateField("发证日期")
    begins_on = models.DateField("有效期起")
    ends_on = models.DateField("有效期止", null=True)
    whole = models.BooleanField("要素完整", default=True)
    faults = models.JSONField("核查问题", default=list)
    ending = models.CharField("终止方式", max_length=10, choices=ENDINGS, blank=True, default="")
    left_on = models.DateField("登记簿中不再有此登记", null=True)
    due_told = models.PositiveSmallIntegerField("已提醒到期（提前天数）", null=True)
    replaces = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="replaced_by", verbose_name="换发自"
    )

    class Meta:
        verbose_name = verbose_name_plural = "电子证照"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["kind", "-id"]),
            models.Index(fields=["kind", "number"]),
            models.Index(fields=["ends_on"]),
            models.Index(fields=["kind"], name="licence_left", condition=~models.Q(left_on=None)),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"licence:{self.identifier}"


class Document(models.Model):
    """One file made of a licence: the licence itself, or a copy for one purpose (加注件)."""

    licence = models.ForeignKey(Licence, models.PROTECT, related_name="documents")
    copy = models.BooleanField("加注件", default=False)
    purpose = models.CharField("用途", max_length=200, blank=True, default="")
    recipient = models.CharField("提供给", max_length=100, blank=True, default="")
    ends_on = models.DateField("用途期限", null=True)
    check_code = models.CharField("核验码", max_length=32, unique=True)
    digest = models.CharField("摘要", max_length=64, db_index=True)
    ofd = models.CharField("OFD 文件摘要", max_length=64, blank=True, default="")
    sealed = models.BooleanField("已签章", default=False)
    made_at = models.DateTimeField("制作时间", default=timezone.now)
    made_by = models.CharField("制作者", max_length=120)
    withdrawn_at = models.DateTimeField("收回时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "证照文件"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["licence"], name="one_original", condition=models.Q(copy=False)
            )
        ]

    def __str__(self) -> str:
        return self.digest[:12]

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"document:{self.digest[:32]}"


class Showing(models.Model):
    """A licence shown once: by a code that lives a minute, or given by a link for one purpose.

    The code is kept as its keyed hash. An asked showing waits for the holder's word.
    """

    SHOW, GIVE = "show", "give"
    WAYS: ClassVar = [(SHOW, "亮证"), (GIVE, "一次性提供")]

    licence = models.ForeignKey(Licence, models.CASCADE, related_name="showings")
    holder = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="持证人")
    way = models.CharField("方式", max_length=10, choices=WAYS)
    code_hash = models.CharField("码（散列）", max_length=64, unique=True)
    made_at = models.DateTimeField("出示时间", default=timezone.now)
    expires_at = models.DateTimeField("失效时间")
    purpose = models.CharField("用途", max_length=200, blank=True, default="")
    recipient = models.CharField("提供给", max_length=100, blank=True, default="")
    wanted = models.JSONField("所需要素", default=list)
    asked_at = models.DateTimeField("扫码时间", null=True)
    asker = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField("答复时间", null=True)
    agreed = models.BooleanField("同意", null=True)
    seen_at = models.DateTimeField("查看时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "证照出示"
        ordering = ["-id"]
        indexes = [models.Index(fields=["holder", "-id"]), models.Index(fields=["asker", "-id"])]

    def __str__(self) -> str:
        return f"{self.licence} {self.get_way_display()}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"showing:{self.pk}"

    def waits(self, at: dt.datetime | None = None) -> bool:
        """Whether the holder has still to answer."""
        now = at or timezone.now()
        return self.asked_at is not None and self.answered_at is None and now < self.expires_at


class Run(models.Model):
    """One bulk issue from a department's register: every row issued, known already, or refused."""

    kind = models.CharField("证照类型", max_length=60)
    dataset = models.CharField("登记簿", max_length=60)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="部门")
    rows = models.PositiveIntegerField("登记簿行数", default=0)
    issued = models.PositiveIntegerField("新签发", default=0)
    known = models.PositiveIntegerField("已有", default=0)
    refused = models.PositiveIntegerField("未通过", default=0)
    left = models.PositiveIntegerField("登记簿中不再有", default=0)
    reasons = models.JSONField("未通过原因", default=dict)
    by_name = models.CharField("经办", max_length=120)
    began_at = models.DateTimeField("开始", default=timezone.now)
    ended_at = models.DateTimeField("结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "批量签发"
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "-id"])]
        constraints = [
            models.CheckConstraint(
                name="every_row_told",
                condition=models.Q(ended_at=None)
                | models.Q(
                    rows=models.F("issued") + models.F("known") + models.F("refused"),
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"licence-run:{self.pk}"


class IssuerKey(models.Model):
    """A key with which credentials and status lists are signed; old ones stay for checking."""

    kid = models.CharField("密钥名", max_length=64, unique=True)
    public = models.TextField("公钥（JWK）")
    sealed = models.TextField("私钥（密文）")
    since = models.DateTimeField("启用", default=timezone.now)
    until = models.DateTimeField("停用", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "凭证签名密钥"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.kid

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"licence-key:{self.kid[:16]}"


class Tally(models.Model):
    """How often one address (keyed hash) did something in one window of time."""

    what = models.CharField(max_length=20)
    who = models.CharField(max_length=32)
    slot = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = verbose_name_plural = "次数"
        constraints = [models.UniqueConstraint(fields=["what", "who", "slot"], name="counted_once")]

    def __str__(self) -> str:
        return f"{self.what} {self.times}"


__all__ = ["Document", "IssuerKey", "Licence", "Run", "Showing", "Tally"]
