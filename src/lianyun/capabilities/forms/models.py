"""Draft: a form that somebody fills in, under the vault; its files, and the form as it stood."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party


class Draft(models.Model):
    """One filling of one form (or several merged). Its content is sealed; `declared` names the forms as
    they were when it was closed (digests of `Declaration`), so that it can be read when packs have
    moved on. Drafts of before ADR 0046 hold the declarations themselves."""

    code = models.CharField("草稿号", max_length=24, unique=True)
    forms = models.JSONField("表单")
    owner = models.ForeignKey(Party, models.PROTECT, related_name="drafts", verbose_name="申请人")
    helper = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="帮办人"
    )
    subject = models.CharField("对象", max_length=160)
    once = models.CharField("一次性标识", max_length=120)
    back_to = models.CharField("返回地址", max_length=300)
    next_to = models.CharField("下一步地址", max_length=300)
    sealed = models.TextField("内容（密文）")
    version = models.PositiveIntegerField("版本", default=0)
    declared = models.JSONField("提交时的表单", null=True)
    opened_at = models.DateTimeField("开始填写", default=timezone.now)
    changed_at = models.DateTimeField("最近修改", default=timezone.now)
    closed_at = models.DateTimeField("提交时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "申请表草稿"
        ordering = ["-changed_at"]
        indexes = [models.Index(fields=["owner", "-changed_at"])]
        constraints = [models.UniqueConstraint(fields=["owner", "once"], name="draft_once")]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"draft:{self.code}"


class Declaration(models.Model):
    """A form as it stood on some day, under the SHA-256 of its text: kept once for all its drafts."""

    digest = models.CharField("摘要", max_length=64, primary_key=True)
    content = models.JSONField("表单")
    kept_at = models.DateTimeField("保存时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "表单存档"

    def __str__(self) -> str:
        return self.digest


class Attachment(models.Model):
    """One file attached to a draft, in one of its slots; the bytes stand encrypted on the shelf."""

    code = models.CharField("附件号", max_length=24, unique=True)
    draft = models.ForeignKey(Draft, models.CASCADE, related_name="attachments")
    slot = models.CharField("位置", max_length=200)
    name = models.CharField("文件名", max_length=120)
    media = models.CharField("类型", max_length=100)
    size = models.PositiveIntegerField("字节数")
    sha256 = models.CharField("摘要", max_length=64)
    added_at = models.DateTimeField("上传时间", default=timezone.now)
    added_by = models.CharField("上传人", max_length=120)

    class Meta:
        verbose_name = verbose_name_plural = "附件"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["draft", "slot", "sha256"], name="attached_once")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"attachment:{self.code}"

    @property
    def picture(self) -> bool:
        """Whether a browser shows it as a picture."""
        return self.media.startswith("image/")


__all__ = ["Attachment", "Declaration", "Draft"]
