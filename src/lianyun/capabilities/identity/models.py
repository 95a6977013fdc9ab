"""Account: how a person enters; what the person may do stands in the kernel's access."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from lianyun.kernel.models import Party


class Accounts(BaseUserManager["User"]):
    """Makes and finds accounts."""

    def create_user(self, username: str, password: str | None = None, **fields: object) -> User:
        """A new account; without a password it cannot log in."""
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """One account, of one person at most."""

    username = models.CharField("账号", max_length=60, unique=True)
    party = models.OneToOneField(
        Party, models.PROTECT, null=True, related_name="account", verbose_name="人员"
    )
    is_active = models.BooleanField("启用", default=True)

    objects: ClassVar[Accounts] = Accounts()
    USERNAME_FIELD = "username"

    class Meta:
        verbose_name = verbose_name_plural = "账号"

    def __str__(self) -> str:
        return self.username
