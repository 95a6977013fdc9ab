"""Models: the list of items with each one's published content and copy in work, versions, imports."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party


class Listing(models.Model):
    """One item on the city's list: what is published of it, the copy in work, what pages find it by.

    `content` is the published declaration (see rules.item), `draft` the next version while it is
    edited and reviewed; where the review stands is the case's own matter. A retired item keeps its
    versions, and cases under way go on.
    """

    code = models.SlugField("标识", max_length=60, unique=True)
    name = models.CharField("事项名称", max_length=200)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="实施主体")
    implementing_code = models.CharField("实施编码", max_length=33, db_index=True)
    version = models.PositiveIntegerField("版本", default=0)
    content = models.JSONField("已发布内容", null=True)
    draft = models.JSONField("修订稿", null=True)
    case = models.ForeignKey(Case, models.SET_NULL, null=True, related_name="+")
    retired_on = models.DateField("停办日期", null=True)
    retired_why = models.CharField("停办理由", max_length=300, blank=True, default="")
    type = models.CharField("事项类型", max_length=2)
    kind = models.CharField("办件类型", max_length=12)
    objects_served = ArrayField(models.CharField(max_length=10), verbose_name="服务对象")
    legal_days = models.PositiveIntegerField("法定时限", default=0)
    promised_days = models.PositiveIntegerField("承诺时限", default=0)
    visits = models.PositiveSmallIntegerField("到现场次数", default=0)
    online = models.BooleanField("网办", default=True)
    person_themes = ArrayField(models.CharField(max_length=10), default=list)
    entity_themes = ArrayField(models.CharField(max_length=10), default=list)
    life = ArrayField(models.CharField(max_length=10), default=list)
    reach = ArrayField(models.CharField(max_length=10), default=list)
    hot = models.PositiveIntegerField("常办", default=0)
    faults = models.PositiveIntegerField("检查问题数", default=0)
    generated = models.BooleanField("生成数据", default=False)
    heading = models.CharField("检索名称", max_length=300, default="")
    text = models.TextField("检索文本", default="")
    search = SearchVectorField("检索", null=True)
    pack = models.CharField("来源包", max_length=60, blank=True, default="")
    declared = models.CharField(max_length=64, blank=True, default="")
    changed_at = models.DateTimeField("变更时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "事项"
        ordering = ["code"]
        indexes = [
            models.Index(fields=["department", "-hot"]),
            models.Index(fields=["case"], name="listing_in_review"),
            models.Index(
                fields=["-hot", "code"],
                name="listing_public",
                condition=models.Q(version__gt=0, retired_on=None),
            ),
            GinIndex(fields=["search"], name="listing_search"),
            GinIndex(fields=["heading"], name="listing_heading", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"item:{self.code}"

    @property
    def public(self) -> bool:
        """Whether people may ask for it."""
        return self.version > 0 and self.retired_on is None


class ItemVersion(models.Model):
    """An item as it stood when it was published: kept for ever; running cases read theirs."""

    listing = models.ForeignKey(Listing, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField("版本")
    content = models.JSONField("内容")
    at = models.DateTimeField("时间", default=timezone.now)
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    note = models.CharField("说明", max_length=300, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "事项版本"
        ordering = ["listing", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["listing", "number"], name="item_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.listing} v{self.number}"


class ItemImport(models.Model):
    """One import of an Excel file of items: how far it is, what it took and what it refused."""

    code = models.CharField("编号", max_length=40, unique=True)
    file_name = models.CharField("文件", max_length=255)
    file = models.BinaryField("内容", null=True)
    publish = models.BooleanField("直接发布", default=False)
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    started_at = models.DateTimeField("开始", default=timezone.now)
    finished_at = models.DateTimeField("结束", null=True)
    progress = models.FloatField("进度", default=0)
    message = models.CharField("说明", max_length=500, blank=True, default="")
    failed = models.BooleanField("失败", default=False)
    report = models.JSONField("结果", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "事项导入"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.code} {self.file_name}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"item_import:{self.code}"
