"""Resource: what is managed and shared: a dataset, a library, a service, a page, a device, a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from .party import Party

if TYPE_CHECKING:
    from .access import Actor


class Resource(models.Model):
    """One catalogued thing; type-specific fields live in `terms` (share and use) and `data`."""

    DATASET, LIBRARY, SERVICE = "dataset", "library", "service"
    PAGE, DEVICE, LAYER = "page", "device", "layer"
    KINDS: ClassVar = [
        (DATASET, "数据集"), (LIBRARY, "基础库"), (SERVICE, "数据服务"),
        (PAGE, "页面"), (DEVICE, "设备"), (LAYER, "图层"),
    ]  # fmt: skip
    DRAFT, REGISTERING, REGISTERED = "draft", "registering", "registered"
    PUBLISHING, PUBLISHED, WITHDRAWN = "publishing", "published", "withdrawn"
    STATES: ClassVar = [
        (DRAFT, "草稿"),
        (REGISTERING, "待注册审核"),
        (REGISTERED, "已注册"),
        (PUBLISHING, "待发布审核"),
        (PUBLISHED, "已发布"),
        (WITHDRAWN, "已撤销"),
    ]

    code = models.CharField("资源代码", max_length=80, unique=True)
    name = models.SlugField("标识", max_length=63, unique=True)
    kind = models.CharField("类别", max_length=20, choices=KINDS)
    title = models.CharField("名称", max_length=300)
    owner = models.ForeignKey(
        Party, models.PROTECT, related_name="resources", verbose_name="提供方"
    )
    level = models.PositiveSmallIntegerField("安全级别", default=1)
    state = models.CharField("状态", max_length=20, choices=STATES, default=DRAFT)
    version = models.PositiveIntegerField("版本", default=0)
    terms = models.JSONField("共享条款", default=dict, blank=True)
    data = models.JSONField("其他", default=dict, blank=True)
    search = SearchVectorField("检索", null=True)
    created_at = models.DateTimeField("建立时间", auto_now_add=True)
    changed_at = models.DateTimeField("变更时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "资源"
        ordering = ["code"]
        indexes = [
            models.Index(fields=["kind", "state", "owner"]),
            GinIndex(fields=["search"], name="resource_search"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"{self.kind}:{self.name}"


class ResourceVersion(models.Model):
    """A resource as it stood when it was published: kept for ever and comparable."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField("版本")
    at = models.DateTimeField("时间", auto_now_add=True)
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    note = models.CharField("说明", max_length=300, blank=True, default="")
    snapshot = models.JSONField("内容")

    class Meta:
        verbose_name = verbose_name_plural = "资源版本"
        ordering = ["resource", "-number"]
        constraints = [models.UniqueConstraint(fields=["resource", "number"], name="version_once")]

    def __str__(self) -> str:
        return f"{self.resource} v{self.number}"


def register(
    *,
    code: str,
    name: str,
    kind: str,
    title: str,
    owner: Party,
    level: int = 1,
    terms: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> tuple[Resource, bool]:
    """Create the resource with this code, or bring it up to date; returns it and whether it is new.

    Its state is not touched: publishing is a verb of its own.
    """
    told = {"name": name, "kind": kind, "title": title, "owner": owner, "level": level}
    told |= {"terms": terms or {}, "data": data or {}}
    return Resource.objects.update_or_create(code=code, defaults=told)


def publish(resource: Resource, snapshot: dict[str, Any], *, by: Actor, note: str = "") -> int:
    """Publish a resource and keep `snapshot` as its next version; returns the version's number.

    The row is locked so that two publishers get two numbers.
    """
    row = Resource.objects.select_for_update().get(pk=resource.pk)
    row.version += 1
    row.state = Resource.PUBLISHED
    row.save(update_fields=["version", "state", "changed_at"])
    ResourceVersion.objects.create(
        resource=row, number=row.version, by=by.party, note=note, snapshot=snapshot
    )
    resource.version, resource.state = row.version, row.state
    return row.version


def move(resource: Resource, state: str) -> None:
    """Put the resource into another state of its life; the caller's action says who may and why."""
    resource.state = state
    resource.save(update_fields=["state", "changed_at"])
