"""Tags: words that the pages of forms need."""

from __future__ import annotations

from collections.abc import Iterable

from django import template

from .. import rules

register = template.Library()
_DESKS = {
    "identity": "“我的身份”",
    "entity": "登记机关",
    "licence": "发证机关",
    "library": "数据来源部门",
    "dataset": "数据来源部门",
}


@register.filter
def source_desk(kind: str) -> str:
    """Where a value of this kind of source is put right."""
    return _DESKS.get(kind, "数据来源部门")


@register.filter
def kinds_of(accept: Iterable[str]) -> str:
    """Accepted kinds of files in words."""
    return "、".join(rules.FILES[a] for a in accept)
