"""Compare: what changed between two versions of an entry, field by field and item by item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entries import LEVELS, OPEN, SHARE

FIELDS = (
    ("code", "资源代码"),
    ("title", "名称"),
    ("provider", "提供方"),
    ("summary", "摘要"),
    ("format", "资源格式"),
    ("share.type", "共享类型"),
    ("share.conditions", "共享条件"),
    ("share.basis", "法律依据"),
    ("share.method", "共享方式"),
    ("open.type", "开放属性"),
    ("open.conditions", "开放条件"),
    ("cycle", "更新周期"),
    ("level", "安全分级"),
    ("related", "关联资源"),
)
ITEM_FIELDS = (
    ("position", "序号"),
    ("title", "名称"),
    ("element", "数据元"),
    ("type", "数据类型"),
    ("format", "格式"),
    ("required", "必填"),
    ("key", "主键"),
    ("note", "说明"),
)


@dataclass(frozen=True)
class ItemChange:
    """One item that was added, removed or changed; `fields` are (label, old, new)."""

    kind: str
    name: str
    title: str
    fields: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The difference of two versions: fields as (label, old, new), and items."""

    fields: tuple[tuple[str, str, str], ...]
    items: tuple[ItemChange, ...]

    @property
    def same(self) -> bool:
        """True where nothing differs."""
        return not self.fields and not self.items


def shown(field: str, value: Any) -> str:
    """A value as a person reads it."""
    if field == "share.type":
        return SHARE.get(value, "")
    if field == "open.type":
        return OPEN.get(value, "")
    if field == "level":
        return LEVELS.get(value, str(value or ""))
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, list | tuple):
        return "、".join(str(v) for v in value)
    return "" if value is None else str(value)


def value_of(content: Mapping[str, Any], field: str) -> Any:
    """A field by its dotted name."""
    head, _, rest = field.partition(".")
    found = content.get(head)
    return value_of(found or {}, rest) if rest else found


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """What changed from `old` to `new`; items are matched by their English name."""
    fields = []
    for field, label in FIELDS:
        before, after = shown(field, value_of(old, field)), shown(field, value_of(new, field))
        if before != after:
            fields.append((label, before, after))
    before_items = {i["name"]: (n, i) for n, i in enumerate(old.get("items") or [], 1)}
    after_items = {i["name"]: (n, i) for n, i in enumerate(new.get("items") or [], 1)}
    kept_before = [n for n in before_items if n in after_items]
    kept_after = [n for n in after_items if n in before_items]
    changes = [
        ItemChange("added", name, item["title"])
        for name, (_, item) in after_items.items()
        if name not in before_items
    ]
    changes += [
        ItemChange("removed", name, item["title"])
        for name, (_, item) in before_items.items()
        if name not in after_items
    ]
    for name in kept_after:
        (old_at, was), (new_at, now) = before_items[name], after_items[name]
        parts = []
        for field, label in ITEM_FIELDS:
            # An item has moved only if its place among those that stayed is another one.
            if field == "position":
                if kept_before.index(name) != kept_after.index(name):
                    parts.append((label, str(old_at), str(new_at)))
                continue
            left, right = shown(field, was.get(field)), shown(field, now.get(field))
            if left != right:
                parts.append((label, left, right))
        if parts:
            changes.append(ItemChange("changed", name, now["title"], tuple(parts)))
    return Comparison(tuple(fields), tuple(changes))
