"""Account: how a person enters; what the person may do stands in the kernel's access."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party

from . import rules


class User(AbstractBaseUser):
    """One account, of one person at most."""

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
