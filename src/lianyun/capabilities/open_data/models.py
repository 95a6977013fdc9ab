"""Opening: a dataset given to everybody: by which recipe, in which versions, and what people make of it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Batch, Case, Party, Resource

from . import rules


class Opening(models.Model):
    """One opened dataset: what was approved, and the version that stands on the site now.

    `recipe` is what the lake carries out: {treatments, k, l, form, small, scope}. `held` says why the
    newest batch was not published; the version before stays.
    """

    STAGES: ClassVar = list(rules.STAGES)

    name = models.SlugField("标识", max_length=63, unique=True)
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="openings", verbose_name="数据集"
    )
    provider = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="提供部门")
    title = models.CharField("名称", max_length=200)
    summary = models.TextField("简介", blank=True, default="")
    kind = models.CharField(
        "开放属性", max_length=20, choices=rules.KINDS, default=rules.UNCONDITIONAL
    )
    licence = models.CharField("许可", max_length=40)
    cycle = models.CharField("更新承诺", max_length=20)
    theme = models.CharField("主题", max_length=40)
    recipe = models.JSONField("开放方案")
    risk = models.JSONField("风险评估", default=dict)
    stage = models.CharField("状态", max_length=20, choices=rules.STAGES, default=rules.PROPOSED)
    held = models.TextField("暂缓原因", blank=True, default="")
    case = models.ForeignKey(Case, models.PROTECT, null=True, related_name="+")
    current = models.OneToOneField(
        "Version", models.SET_NULL, null=True, related_name="+", verbose_name="现行版本"
    )
    text = models.TextField("检索文本", blank=True, default="")
    stars = models.FloatField("评分", null=True)
    uses = models.BigIntegerField("使用次数", default=0)
    proposed_at = models.DateTimeField("提出时间", default=timezone.now)
    opened_at = models.DateTimeField("首次开放", null=True)
    updated_at = models.DateTimeField("最近更新", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "开放数据集"
        ordering = ["-updated_at", "id"]
        indexes = [
            models.Index(fields=["stage", "-updated_at"]),
            models.Index(fields=["resource"]),
            GinIndex(fields=["text"], name="opening_text", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"opening:{self.name}"

    @property
    def conditional(self) -> bool:
        """Whether the rows go only to those who were allowed."""
        return self.kind == rules.CONDITIONAL


class Version(models.Model):
    """One publication: its rows in files, their digests, what was measured, and what pages show.

    `columns` are {name, title, type, note, how, domain, codes}; `files` {format: {bytes, sha256}}.
    """

    opening = models.ForeignKey(Opening, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField("版本")
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="+")
    rows = models.BigIntegerField("行数")
    columns = models.JSONField("数据项")
    files = models.JSONField("文件")
    risk = models.JSONField("风险评估")
    preview = models.JSONField("预览")
    profile = models.JSONField("概况")
    points = models.JSONField("点位", default=list)
    kept = models.BooleanField("保留文件", default=True)
    made_at = models.DateTimeField("生成时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "开放版本"
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["opening", "number"], name="open_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.opening_id} v{self.number}"

    @property
    def types(self) -> dict[str, str]:
        """Names and types of the columns, in their order."""
        return {c["name"]: c["type"] for c in self.columns}

    @property
    def titles(self) -> dict[str, str]:
        """Names and headings of the columns."""
        return {c["name"]: c["title"] for c in self.columns}


class Key(models.Model):
    """A key for the interface; only its digest is kept. `allowed` are conditional openings' names."""

    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField("密钥开头", max_length=12)
    title = models.CharField("用途", max_length=100)
    allowed = models.JSONField("获准的数据集", default=list)
    stopped = models.BooleanField("停用", default=False)
    created_at = models.DateTimeField("申领时间", default=timezone.now)
    used_on = models.DateField("最近使用", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "接口密钥"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.hint

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"open_key:{self.pk}"


class Tally(models.Model):
    """How often something was done in one window of time, by whom; swept after a day.

    `who` is a keyed digest of an address, or a key's own number.
    """

    what = models.CharField(max_length=20)
    who = models.CharField(max_length=64)
    slot = models.BigIntegerField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = verbose_name_plural = "限速计数"
        constraints = [models.UniqueConstraint(fields=["what", "who", "slot"], name="tally_once")]
        indexes = [models.Index(fields=["slot"])]

    def __str__(self) -> str:
        return f"{self.what} {self.slot}"


class Use(models.Model):
    """How often an opening was downloaded or asked on a day."""

    opening = models.ForeignKey(Opening, models.CASCADE, related_name="used")
    day = models.DateField("日期")
    downloads = models.PositiveIntegerField("下载", default=0)
    calls = models.PositiveIntegerField("接口调用", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "使用情况"
        constraints = [models.UniqueConstraint(fields=["opening", "day"], name="open_use_once")]

    def __str__(self) -> str:
        return f"{self.opening_id} {self.day}"


class Rating(models.Model):
    """One visitor's stars for one opening; a second rating of the same visitor replaces the first."""

    opening = models.ForeignKey(Opening, models.CASCADE, related_name="ratings")
    who = models.CharField(max_length=64)
    stars = models.PositiveSmallIntegerField("星级")
    at = models.DateTimeField("时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "评分"
        constraints = [
            models.UniqueConstraint(fields=["opening", "who"], name="rating_once"),
            models.CheckConstraint(
                condition=models.Q(stars__gte=1, stars__lte=5), name="rating_stars"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.opening_id} {self.stars}"


class Voice(models.Model):
    """What somebody from the public asked for, found wrong, or made with the data.

    `contact` is seen by the officers who answer and by nobody else. `code` is what the visitor keeps
    to read the answer. `shown` puts it on the site.
    """

    KINDS: ClassVar = list(rules.VOICES)

    code = models.CharField("查询码", max_length=20, unique=True)
    kind = models.CharField("类别", max_length=20, choices=rules.VOICES)
    opening = models.ForeignKey(Opening, models.CASCADE, null=True, related_name="voices")
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    title = models.CharField("标题", max_length=100)
    told = models.TextField("内容")
    who = models.CharField("单位或个人", max_length=100, blank=True, default="")
    contact = models.CharField("联系方式", max_length=100, blank=True, default="")
    url = models.URLField("网址", max_length=300, blank=True, default="")
    key = models.ForeignKey(Key, models.SET_NULL, null=True, related_name="+")
    case = models.ForeignKey(Case, models.PROTECT, null=True, related_name="+")
    answer = models.TextField("答复", blank=True, default="")
    shown = models.BooleanField("公开", default=False)
    at = models.DateTimeField("时间", default=timezone.now)
    answered_at = models.DateTimeField("答复时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "公众意见"
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "shown", "-id"])]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"voice:{self.code}"
