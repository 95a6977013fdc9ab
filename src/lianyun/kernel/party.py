"""Party: who acts or is acted for: a person, a legal entity, a department, a system."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Party(models.Model):
    """One party; `code` is the government's number (credit code), `slug` a department's short name."""

    PERSON, LEGAL_ENTITY, DEPARTMENT, SYSTEM = "person", "legal_entity", "department", "system"
    KINDS: ClassVar = [
        (PERSON, "自然人"), (LEGAL_ENTITY, "法人"), (DEPARTMENT, "部门"), (SYSTEM, "系统")
    ]  # fmt: skip

    kind = models.CharField("类别", max_length=20, choices=KINDS)
    code = models.CharField("代码", max_length=64, null=True, unique=True)
    slug = models.SlugField("简码", max_length=60, null=True, unique=True)
    name = models.CharField("名称", max_length=200)
    short = models.CharField("简称", max_length=60, blank=True, default="")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    active = models.BooleanField("有效", default=True)
    data = models.JSONField("其他", default=dict, blank=True)
    created_at = models.DateTimeField("建立时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "主体"
        ordering = ["kind", "id"]
        indexes = [models.Index(fields=["kind", "name"])]

    def __str__(self) -> str:
        return self.short or self.name

    @property
    def ref(self) -> str:
        """Portable pointer: by slug for departments and systems, by row for the others."""
        return f"{self.kind}:{self.slug or self.pk}"


def department(slug: str) -> Party:
    """The department with this slug; raises Party.DoesNotExist."""
    return Party.objects.get(kind=Party.DEPARTMENT, slug=slug)
