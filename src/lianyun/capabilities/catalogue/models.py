"""Models: what the kernel's Resource cannot hold: classes, entries, items, lineage, imports."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party, Resource


class CatalogueClass(models.Model):
    """One class of the tree 类·项·目·细目 (发改高技术〔2017〕1272号); its code holds its parents'."""

    CLASS, ITEM, ORDER, DETAIL = "类", "项", "目", "细目"

    code = models.CharField("分类代码", max_length=40, unique=True)
    name = models.CharField("名称", max_length=200)
    level = models.CharField("层级", max_length=4)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")

    class Meta:
        verbose_name = verbose_name_plural = "目录分类"
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Entry(models.Model):
    """A resource's catalogue entry: what lists filter by, the folded text, and the copy in work.

    `draft` is the next version of a published resource while it is being edited and reviewed; the
    published one stays what everybody sees. Where the review stands is the case's own matter.
    """

    SHARE: ClassVar = [(1, "无条件共享"), (2, "有条件共享"), (3, "不予共享")]
    OPEN: ClassVar = [(0, "不予开放"), (1, "有条件开放"), (2, "无条件开放")]

    resource = models.OneToOneField(
        Resource, models.CASCADE, related_name="entry", verbose_name="资源"
    )
    category = models.ForeignKey(
        CatalogueClass, models.PROTECT, related_name="entries", verbose_name="分类"
    )
    serial = models.CharField("顺序码", max_length=40)
    share_type = models.PositiveSmallIntegerField("共享类型", choices=SHARE)
    open_type = models.PositiveSmallIntegerField("开放属性", choices=OPEN, default=0)
    cycle = models.CharField("更新周期", max_length=20)
    format = models.CharField("格式", max_length=60)
    item_count = models.PositiveIntegerField("信息项数", default=0)
    published_on = models.DateField("发布日期", null=True)
    heading = models.CharField("检索名称", max_length=300, default="")
    text = models.TextField("检索文本", default="")
    draft = models.JSONField("修订稿", null=True)
    case = models.ForeignKey(Case, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = verbose_name_plural = "目录条目"
        indexes = [
            models.Index(fields=["category", "serial"]),
            models.Index(fields=["case"], name="entry_in_review"),
            GinIndex(fields=["text"], name="entry_text", opclasses=["gin_trgm_ops"]),
            GinIndex(fields=["heading"], name="entry_heading", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.category_id}/{self.serial}"


class Item(models.Model):
    """One information item 信息项 of a resource: a column with its data element, type and format."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="items")
    position = models.PositiveIntegerField("序号")
    name = models.CharField("英文名", max_length=63)
    title = models.CharField("信息项名称", max_length=200)
    element = models.CharField("数据元", max_length=80, blank=True, default="", db_index=True)
    type = models.CharField("数据类型", max_length=1)
    format = models.CharField("格式", max_length=60)
    required = models.BooleanField("必填", default=False)
    key = models.BooleanField("主键", default=False)
    note = models.CharField("说明", max_length=500, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "信息项"
        ordering = ["resource", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "name"],
                name="item_name_once",
                deferrable=models.Deferrable.DEFERRED,
            )
        ]

    def __str__(self) -> str:
        return self.title


class Edge(models.Model):
    """One step of lineage: `target` is made from `source`; `origin` says who declared it."""

    origin = models.CharField("来源", max_length=160)
    source = models.CharField("上游", max_length=160)
    source_title = models.CharField("上游名称", max_length=300)
    target = models.CharField("下游", max_length=160)
    target_title = models.CharField("下游名称", max_length=300)
    note = models.CharField("说明", max_length=500, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "血缘"
        indexes = [models.Index(fields=["source"]), models.Index(fields=["target"])]
        constraints = [
            models.UniqueConstraint(fields=["origin", "source", "target"], name="edge_once")
        ]

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


class Import(models.Model):
    """One import of a catalogue file: how far it is, and what it took and refused."""

    code = models.CharField("编号", max_length=40, unique=True)
    file_name = models.CharField("文件", max_length=255)
    content = models.BinaryField("内容", null=True)
    by = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="导入人"
    )
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    started_at = models.DateTimeField("开始", default=timezone.now)
    finished_at = models.DateTimeField("结束", null=True)
    progress = models.FloatField("进度", default=0)
    message = models.CharField("说明", max_length=500, blank=True, default="")
    failed = models.BooleanField("失败", default=False)
    report = models.JSONField("结果", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "目录导入"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.code} {self.file_name}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"catalogue_import:{self.code}"
