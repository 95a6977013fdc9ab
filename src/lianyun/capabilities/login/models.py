"""Admission: one person's entry to one system, with its code and tokens; the systems; their directories."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oidc.core import AuthorizationCodeMixin
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party

from . import rules


class ClientSystem(models.Model, ClientMixin):
    """A department's system that people enter with their city account, or that calls others.

    Its name stands in its Party (kind system). A second secret stays good for a while after a
    rotation, so that the system can change over. `scopes` maps what it may ask to why it needs it.
    """

    CONFIDENTIAL, PUBLIC = "confidential", "public"
    KINDS = [(CONFIDENTIAL, "有后台服务（凭密钥）"), (PUBLIC, "手机应用或网页（无密钥，仅 PKCE）")]

    party = models.OneToOneField(Party, models.PROTECT, related_name="client_system")
    department = models.ForeignKey(
        Party, models.PROTECT, related_name="client_systems", verbose_name="部门"
    )
    client_id = models.CharField("系统标识", max_length=40, unique=True)
    kind = models.CharField("类型", max_length=20, choices=KINDS, default=CONFIDENTIAL)
    purpose = models.CharField("用途", max_length=200)
    redirect_uris = models.JSONField("回调地址", default=list)
    logout_uris = models.JSONField("退出后返回地址", default=list)
    backchannel_uri = models.CharField("退出通知地址", max_length=400, blank=True, default="")
    scopes = models.JSONField("可获取的信息", default=dict)
    api_scopes = models.JSONField("接口范围", default=list)
    grants = models.JSONField("方式", default=list)
    level = models.PositiveSmallIntegerField("最低实名等级", default=1)
    secret_hash = models.CharField(max_length=64, blank=True, default="")
    former_hash = models.CharField(max_length=64, blank=True, default="")
    former_until = models.DateTimeField(null=True)
    made_at = models.DateTimeField("登记时间", default=timezone.now)
    rotated_at = models.DateTimeField("更换时间", null=True)
    closed_at = models.DateTimeField("停用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "接入系统"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.party.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"system:{self.client_id}"

    # What authlib asks of a client.

    def get_client_id(self) -> str:
        """The open name."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: every request names its address (RFC 9700, 4.1.3)."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scopes that a login may have; None refuses a request that is no login."""
        found = rules.known_scopes(scope, self.scopes)
        return " ".join(found) if "openid" in found else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exactly one of those registered, character by character."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """The present secret, or the former one within the overlap."""
        former = self.former_until is not None and timezone.now() < self.former_until
        return rules.good_secret(
            client_secret, [self.secret_hash, self.former_hash if former else ""]
        )

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A system with a secret always shows it; one without shows none."""
        return (method == "none") == (self.kind == self.PUBLIC)

    def check_response_type(self, response_type: str) -> bool:
        """A code, for systems that people log in to."""
        return response_type == "code" and "authorization_code" in self.grants

    def check_grant_type(self, grant_type: str) -> bool:
        """One of the registered ways."""
        return grant_type in self.grants

    @property
    def client_metadata(self) -> dict[str, Any]:
        """What authlib's end-session endpoint looks at."""
        return {"post_logout_redirect_uris": self.logout_uris}


class Consent(models.Model):
    """A person lets a system have some claims, each for the reason given then, until withdrawn."""

    system = models.ForeignKey(ClientSystem, models.CASCADE, related_name="consents")
    party = models.ForeignKey(Party, models.CASCADE, related_name="login_consents")
    scopes = models.JSONField("同意提供的信息", default=dict)
    given_at = models.DateTimeField("同意时间", default=timezone.now)
    withdrawn_at = models.DateTimeField("撤回时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "登录授权"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["system", "party"],
                condition=models.Q(withdrawn_at=None),
                name="login_consent_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.party_id} → {self.system_id}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"consent:{self.pk}"


class Admission(models.Model, AuthorizationCodeMixin):
    """One person's entry to one system: its code (good once), and the family of tokens after it.

    `seat` is the session at the city under which it came about: with it the admission ends, and
    with the admission all its tokens.
    """

    sid = models.CharField("登入编号", max_length=43, unique=True)
    system = models.ForeignKey(ClientSystem, models.CASCADE, related_name="admissions")
    party = models.ForeignKey(Party, models.CASCADE, related_name="admissions")
    seat = models.CharField("会话", max_length=40, db_index=True)
    issuer = models.CharField("签发者", max_length=200)
    scope = models.CharField("范围", max_length=200)
    level = models.PositiveSmallIntegerField("实名等级")
    simulated = models.BooleanField("模拟核验", default=False)
    amr = models.JSONField("登录方式", default=list)
    entered_at = models.DateTimeField("登录时间")
    code_hash = models.CharField(max_length=64, unique=True)
    code_until = models.DateTimeField()
    code_used_at = models.DateTimeField(null=True)
    redirect_uri = models.CharField(max_length=400)
    challenge = models.CharField(max_length=128)
    nonce = models.CharField(max_length=255, blank=True, default="")
    began_at = models.DateTimeField("开始时间", default=timezone.now)
    until = models.DateTimeField("最晚结束")
    told = models.JSONField("已提供的信息", default=list)
    ended_at = models.DateTimeField("结束时间", null=True)
    why = models.CharField("结束原因", max_length=40, blank=True, default="")
    logout_told_at = models.DateTimeField("已通知退出", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "登入"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["party", "-id"]),
            models.Index(
                fields=["until"], name="admission_open", condition=models.Q(ended_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party_id} {self.system_id}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"admission:{self.pk}"

    # What authlib asks of an authorization code.

    @property
    def code_challenge(self) -> str:
        """The S256 challenge of the request."""
        return self.challenge

    @property
    def code_challenge_method(self) -> str:
        """Always S256."""
        return "S256"

    def get_redirect_uri(self) -> str:
        """The address of the request."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What was consented to."""
        return self.scope

    def get_nonce(self) -> str:
        """The system's own word against injected codes."""
        return self.nonce

    def get_auth_time(self) -> int:
        """When the person logged in at the city."""
        return int(self.entered_at.timestamp())

    def get_acr(self) -> str:
        """The level of proof of the person."""
        return rules.acr_of(self.level)

    def get_amr(self) -> list[str]:
        """How the person logged in (RFC 8176)."""
        return list(self.amr)


class Token(models.Model, TokenMixin):
    """An access or refresh token, kept as its digest; it is good while its admission is."""

    ACCESS, REFRESH = "access", "refresh"

    digest = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=10)
    system = models.ForeignKey(ClientSystem, models.CASCADE, related_name="tokens")
    admission = models.ForeignKey(Admission, models.CASCADE, null=True, related_name="tokens")
    scope = models.CharField(max_length=400, blank=True, default="")
    made_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = "令牌"

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:8]}"

    # What authlib asks of a token.

    def check_client(self, client: ClientSystem) -> bool:
        """Whether it was given to this system."""
        return self.system_id == client.pk

    def get_scope(self) -> str:
        """What it reaches."""
        return self.scope

    def get_expires_in(self) -> int:
        """Seconds of its whole life."""
        return int((self.until - self.made_at).total_seconds())

    def is_expired(self) -> bool:
        """Whether its time is over."""
        return timezone.now() >= self.until

    def is_revoked(self) -> bool:
        """Whether it was taken back."""
        return self.ended_at is not None

    def get_client(self) -> ClientSystem:
        """Whose it is."""
        return self.system

    def get_user(self) -> Party | None:
        """Of whom it tells."""
        return self.admission.party if self.admission else None


class SigningKey(models.Model):
    """A key pair that signs ID and logout tokens for a while; the secret half rests in the vault."""

    kid = models.CharField("标识", max_length=64, unique=True)
    algorithm = models.CharField("算法", max_length=10)
    public = models.JSONField("公钥")
    sealed = models.TextField("私钥（密文）")
    made_at = models.DateTimeField("生成时间", default=timezone.now)
    signs_from = models.DateTimeField("开始签名")
    signs_until = models.DateTimeField("停止签名", null=True)
    known_until = models.DateTimeField("停止公布", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "登录签名密钥"
        ordering = ["-signs_from"]

    def __str__(self) -> str:
        return self.kid

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"login-key:{self.kid}"


class Directory(models.Model):
    """A department's own staff directory that writes its people here by SCIM, and its token."""

    department = models.OneToOneField(Party, models.PROTECT, related_name="staff_directory")
    party = models.OneToOneField(Party, models.PROTECT, related_name="directory_system")
    token_hash = models.CharField(max_length=64, db_index=True)
    former_hash = models.CharField(max_length=64, blank=True, default="", db_index=True)
    former_until = models.DateTimeField(null=True)
    made_at = models.DateTimeField("建立时间", default=timezone.now)
    rotated_at = models.DateTimeField("更换时间", null=True)
    closed_at = models.DateTimeField("停用时间", null=True)
    used_at = models.DateTimeField("最近同步", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "部门人员目录"
        ordering = ["department_id"]

    def __str__(self) -> str:
        return f"{self.department}人员目录"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"directory:{self.department.slug}"


class Member(models.Model):
    """One person of a department as its directory says (a SCIM User), and the account made of it."""

    directory = models.ForeignKey(Directory, models.CASCADE, related_name="members")
    uid = models.CharField(max_length=32, unique=True)
    user_name = models.CharField("目录账号", max_length=200)
    folded = models.CharField(max_length=200)
    username = models.CharField("账号", max_length=60, blank=True, default="")
    data = models.JSONField("目录内容", default=dict)
    active = models.BooleanField("在岗", default=True)
    version = models.PositiveIntegerField(default=1)
    made_at = models.DateTimeField("建立时间", default=timezone.now)
    changed_at = models.DateTimeField("更改时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "目录人员"
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["directory", "folded"], name="member_once")]

    def __str__(self) -> str:
        return self.user_name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"member:{self.uid}"
