"""Account: how a person enters and how surely we know who it is; what he may do stands in access."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party

from . import rules


class User(AbstractBaseUser):
    """One login, of one person at most."""

    username = models.CharField("账号", max_length=60, unique=True)
    party = models.OneToOneField(
        Party, models.PROTECT, null=True, related_name="account", verbose_name="人员"
    )
    is_active = models.BooleanField("启用", default=True)
    failed = models.PositiveSmallIntegerField("连续失败次数", default=0)
    locked_until = models.DateTimeField("锁定至", null=True, blank=True)
    must_change = models.BooleanField("须修改密码", default=False)
    password_set_at = models.DateTimeField("密码设置时间", null=True, blank=True)
    former = models.JSONField("历史密码", default=list, blank=True)
    created_at = models.DateTimeField("建立时间", default=timezone.now)

    objects = BaseUserManager()
    USERNAME_FIELD = "username"

    class Meta:
        verbose_name = verbose_name_plural = "账号"
        ordering = ["username"]

    def __str__(self) -> str:
        return self.username

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"account:{self.username}"

    @property
    def locked(self) -> bool:
        """Whether it is locked out at this moment."""
        return rules.is_locked(self.locked_until, timezone.now())

    @property
    def standing(self) -> str:
        """active | locked | disabled, for the badge."""
        if not self.is_active:
            return "disabled"
        return "locked" if self.locked else "active"


class Account(models.Model):
    """Who a person is to the city: the citizen number, encrypted and hashed, and how it was proven.

    `number_*` is proven (or comes from a department's register) and belongs to one account only;
    `claim_*` is what the person says of himself, and two people may say the same. The row exists
    without a login (`party.account`) for holders whom only a register knows: level 0.
    """

    LEVELS: ClassVar = list(rules.LEVELS.items())
    WAYS: ClassVar = list(rules.WAYS.items())

    party = models.OneToOneField(
        Party, models.PROTECT, related_name="identity", verbose_name="主体"
    )
    level = models.PositiveSmallIntegerField("实名等级", choices=LEVELS, default=0)
    way = models.CharField("核验方式", max_length=20, choices=WAYS, blank=True, default="")
    simulated = models.BooleanField("模拟核验", default=False)
    proved_at = models.DateTimeField("核验时间", null=True)
    number_sealed = models.TextField("证件号码（密文）", blank=True, default="")
    number_hash = models.CharField("证件号码（键控摘要）", max_length=32, null=True, unique=True)
    claim_sealed = models.TextField("自行申报的号码（密文）", blank=True, default="")
    claim_hash = models.CharField(
        "自行申报的号码（键控摘要）", max_length=32, null=True, db_index=True
    )
    phone_sealed = models.TextField("手机号码（密文）", blank=True, default="")
    phone_hash = models.CharField("手机号码（键控摘要）", max_length=32, null=True, unique=True)
    mail_sealed = models.TextField("电子邮箱（密文）", blank=True, default="")
    certified_until = models.DateTimeField("数字证书有效至", null=True)
    erase_on = models.DateField("注销生效日期", null=True)
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="merged", verbose_name="并入"
    )
    created_at = models.DateTimeField("建立时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "身份"

    def __str__(self) -> str:
        return f"{self.party} {self.get_level_display()}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"identity:{self.party_id}"


class FormerNumber(models.Model):
    """A number that a person had before it was changed; it still finds the person."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="former_numbers")
    number_hash = models.CharField("原号码（键控摘要）", max_length=32, unique=True)
    number_sealed = models.TextField("原号码（密文）")
    basis = models.CharField("变更依据", max_length=200)
    changed_at = models.DateTimeField("变更时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "原号码"

    def __str__(self) -> str:
        return f"{self.account_id} {self.changed_at:%Y-%m-%d}"


class Agency(models.Model):
    """A person acts for another: a firm's representative or agent, a child's guardian."""

    KINDS: ClassVar = list(rules.AGENCIES.items())

    kind = models.CharField("关系", max_length=20, choices=KINDS)
    principal = models.ForeignKey(
        Party, models.PROTECT, related_name="agents", verbose_name="被代理人"
    )
    agent = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="agencies", verbose_name="代理人"
    )
    invited_hash = models.CharField("受邀人号码（键控摘要）", max_length=32, blank=True, default="")
    invited_mask = models.CharField("受邀人（脱敏）", max_length=60, blank=True, default="")
    scope = models.JSONField("代理事项", default=list)
    basis = models.CharField("依据", max_length=200, blank=True, default="")
    since = models.DateField("开始")
    until = models.DateField("结束", null=True)
    made_at = models.DateTimeField("建立时间", default=timezone.now)
    accepted_at = models.DateTimeField("接受时间", null=True)
    ended_at = models.DateTimeField("终止时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "代理关系"
        ordering = ["-id"]
        indexes = [models.Index(fields=["invited_hash"])]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "principal", "agent"],
                condition=models.Q(ended_at=None) & ~models.Q(kind=rules.AGENT),
                name="agency_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} → {self.principal} {self.get_kind_display()}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"agency:{self.pk}"

    @property
    def standing(self) -> str:
        """waiting | ended | expired | future | active, for the badge."""
        return rules.agency_standing(
            self.accepted_at is not None,
            self.ended_at is not None,
            self.since,
            self.until,
            timezone.localdate(),
        )

    @property
    def badge(self) -> tuple[str, str]:
        """The standing in words and its tone."""
        return rules.STANDINGS[self.standing]

    @property
    def scope_titles(self) -> str:
        """The scope in words."""
        return rules.scope_titles(self.scope)


class Linked(models.Model):
    """An account of the national platform that is a person's here; its name there kept as a digest."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="linked")
    issuer = models.CharField("平台", max_length=200)
    subject = models.CharField("平台内标识（键控摘要）", max_length=32)
    made_at = models.DateTimeField("关联时间", default=timezone.now)
    used_at = models.DateTimeField("最近登录", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "外部平台账号"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="linked_once")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.issuer}"


class Authority(models.Model):
    """The key by which this installation certifies persons' own keys; its secret half is in the vault."""

    certificate = models.TextField("证书")
    sealed = models.TextField("私钥（密文）")
    made_at = models.DateTimeField("建立时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "个人证书签发机构"

    def __str__(self) -> str:
        return f"{self.made_at:%Y-%m-%d}"


class Certificate(models.Model):
    """A person's certificate: asked for with a key that never leaves the browser, issued at a counter."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="certificates")
    public = models.TextField("公钥")
    kid = models.CharField("公钥摘要", max_length=64, db_index=True)
    serial = models.CharField("序列号", max_length=40, null=True, unique=True)
    pem = models.TextField("证书", blank=True, default="")
    device = models.CharField("设备", max_length=80, blank=True, default="")
    asked_at = models.DateTimeField("申请时间", default=timezone.now)
    issued_at = models.DateTimeField("签发时间", null=True)
    until = models.DateTimeField("有效至", null=True)
    ended_at = models.DateTimeField("停用时间", null=True)
    used_at = models.DateTimeField("最近使用", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "个人数字证书"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.account_id} {self.kid[:8]}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"certificate:{self.pk}"

    @property
    def badge(self) -> tuple[str, str]:
        """How it stands in words and its tone."""
        if self.ended_at is not None:
            return ("已停用", "grey")
        if self.until is None:
            return ("待窗口签发", "amber")
        return ("有效", "green") if timezone.now() < self.until else ("已到期", "grey")

    @property
    def words(self) -> str:
        """What the person and the officer compare: the digest's first twelve digits."""
        return rules.spoken(self.kid)


class Notice(models.Model):
    """One message to a person about his account, by one channel; made once for each event."""

    CHANNELS: ClassVar = [("sms", "短信"), ("mail", "电子邮件")]

    account = models.ForeignKey(Account, models.CASCADE, related_name="notices")
    event = models.BigIntegerField("事件")
    channel = models.CharField("渠道", max_length=10, choices=CHANNELS)
    where = models.CharField("送往（脱敏）", max_length=80)
    to_sealed = models.TextField("送往（密文）")
    text = models.CharField("内容", max_length=300)
    made_at = models.DateTimeField("生成时间", default=timezone.now)
    sent_at = models.DateTimeField("发出时间", null=True)
    simulated = models.BooleanField("模拟发送", default=False)
    problem = models.CharField("未发出原因", max_length=100, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "账号通知"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "event", "channel"], name="notice_once")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.channel} {self.made_at:%Y-%m-%d %H:%M}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"notice:{self.pk}"


class Factor(models.Model):
    """A second factor of a login: an authenticator's secret or a security key's public key."""

    KINDS: ClassVar = list(rules.FACTORS.items())

    user = models.ForeignKey(User, models.CASCADE, related_name="factors", verbose_name="账号")
    kind = models.CharField("类别", max_length=10, choices=KINDS)
    title = models.CharField("名称", max_length=60)
    secret = models.TextField("密钥（密文）或公钥")
    credential = models.CharField("凭证标识", max_length=400, null=True, unique=True)
    counter = models.BigIntegerField("已用计数", default=0)
    confirmed_at = models.DateTimeField("启用时间", null=True)
    used_at = models.DateTimeField("最近使用", null=True)
    made_at = models.DateTimeField("登记时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "第二因素"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.user} {self.title}"


class RecoveryCode(models.Model):
    """One of the codes for the day on which no second factor is at hand; good once."""

    user = models.ForeignKey(User, models.CASCADE, related_name="recovery_codes")
    digest = models.CharField("摘要", max_length=64)
    used_at = models.DateTimeField("使用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "恢复码"
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="recovery_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {'已用' if self.used_at else '未用'}"


class Seat(models.Model):
    """One open login of an account: which session, from where, with what."""

    user = models.ForeignKey(User, models.CASCADE, related_name="seats", verbose_name="账号")
    key = models.CharField("会话", max_length=40, unique=True)
    address = models.GenericIPAddressField("地址", null=True)
    device = models.CharField("设备", max_length=80, blank=True, default="")
    began_at = models.DateTimeField("登录时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "登录"
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"{self.user} {self.device}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"seat:{self.pk}"


class Device(models.Model):
    """A browser from which an account has entered; known by a random cookie, kept as its digest."""

    user = models.ForeignKey(User, models.CASCADE, related_name="devices", verbose_name="账号")
    digest = models.CharField("标识摘要", max_length=64)
    name = models.CharField("设备", max_length=80)
    address = models.GenericIPAddressField("首次登录地址", null=True)
    first_at = models.DateTimeField("首次登录", default=timezone.now)
    last_at = models.DateTimeField("最近登录", default=timezone.now)
    told_at = models.DateTimeField("本人确认", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "登录设备"
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="device_once")]

    def __str__(self) -> str:
        return f"{self.user} {self.name}"


class Cover(models.Model):
    """Leave cover (代理): the posts of one officer that another fills for some days."""

    absent = models.ForeignKey(Party, models.PROTECT, related_name="covered_by")
    deputy = models.ForeignKey(Party, models.PROTECT, related_name="covers")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+")
    roles = models.JSONField("代理的角色")
    since = models.DateField("开始")
    until = models.DateField("结束")
    reason = models.CharField("事由", max_length=100)
    made_at = models.DateTimeField("建立时间", default=timezone.now)
    ended_at = models.DateTimeField("提前结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "代理安排"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.deputy} 代 {self.absent}"

    @property
    def standing(self) -> str:
        """future | active | ended, for the badge."""
        today = timezone.localdate()
        if self.ended_at is not None or today > self.until:
            return "ended"
        return "future" if today < self.since else "active"

    @property
    def badge(self) -> tuple[str, str]:
        """The standing in words and its tone."""
        return rules.STANDINGS[self.standing]


class TextCode(models.Model):
    """A code sent to a telephone, good for minutes and few tries."""

    phone_hash = models.CharField("手机号码（键控摘要）", max_length=32, db_index=True)
    use = models.CharField("用途", max_length=20)
    digest = models.CharField("摘要", max_length=64)
    tries = models.PositiveSmallIntegerField("已试次数", default=0)
    made_at = models.DateTimeField("发送时间", default=timezone.now)
    used_at = models.DateTimeField("使用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "短信验证码"

    def __str__(self) -> str:
        return f"{self.use} {self.made_at:%Y-%m-%d %H:%M}"


class Visit(models.Model):
    """A person comes to a counter to be proven: the code on his phone that the officer types."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="visits")
    code = models.CharField("到窗码", max_length=8)
    made_at = models.DateTimeField("生成时间", default=timezone.now)
    closed_at = models.DateTimeField("办结时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "窗口核验"
        constraints = [
            models.UniqueConstraint(
                fields=["code"], condition=models.Q(closed_at=None), name="visit_code_once"
            )
        ]

    def __str__(self) -> str:
        return self.code


class Tries(models.Model):
    """How often something limited was tried in a window of time; the key is a digest."""

    key = models.CharField("对象摘要", max_length=64)
    window = models.DateTimeField("时段")
    count = models.PositiveIntegerField("次数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "限次计数"
        constraints = [models.UniqueConstraint(fields=["key", "window"], name="tries_once")]

    def __str__(self) -> str:
        return f"{self.window:%Y-%m-%d %H:%M} {self.count}"


class Policy(models.Model):
    """Which of the declared access policies (packs/core/access.yaml) was chosen, when and by whom."""

    name = models.CharField("策略", max_length=40)
    chosen_at = models.DateTimeField("选定时间", default=timezone.now)
    chosen_by = models.CharField("选定人", max_length=120)

    class Meta:
        verbose_name = verbose_name_plural = "登录策略"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name
