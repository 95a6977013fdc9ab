"""Edition: one published version of a declaration; it is never changed and never taken away."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Party


class OrderedJSON(models.JSONField):
    """JSON kept as text: the order of keys is part of what people wrote, and jsonb would not keep it."""

    def db_type(self, connection: Any) -> str:
        """A plain text column."""
        return "text"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """What was written."""
        return None if value is None else json.loads(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> str | None:
        """As the database keeps it."""
        return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


class Edition(models.Model):
    """One version of a declared thing (`kind` is the packs' folder: forms, licences) with its content."""

    kind = models.CharField("类别", max_length=20)
    code = models.CharField("标识", max_length=60)
    number = models.PositiveIntegerField("版本")
    content = OrderedJSON("内容")
    digest = models.CharField("摘要", max_length=64)
    note = models.CharField("说明", max_length=300, blank=True, default="")
    at = models.DateTimeField("发布时间", default=timezone.now)
    by = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="发布人"
    )

    class Meta:
        verbose_name = verbose_name_plural = "已发布声明"
        ordering = ["kind", "code", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "code", "number"], name="edition_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind}/{self.code} v{self.number}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"edition:{self.kind}/{self.code}@{self.number}"


__all__ = ["Edition"]
