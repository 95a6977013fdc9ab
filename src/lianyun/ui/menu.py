"""Menu: the workbench's side menu, drawn from manifests and cut to what the actor may open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.urls import NoReverseMatch, reverse

from lianyun.kernel.manifest import manifests

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

GROUPS = (
    "工作台",
    "数据资源",
    "数据归集",
    "数据质量",
    "共享交换",
    "数据交付",
    "数据服务",
    "开放与级联",
    "政务服务",
    "城市运行",
    "监督审计",
    "运行维护",
    "系统管理",
    "其他",
)


@dataclass(frozen=True)
class Item:
    """One entry with its resolved address; `current` when the page lies under it."""

    title: str
    url: str
    icon: str
    current: bool = False


@dataclass
class Group:
    """A titled group of entries."""

    title: str
    items: list[Item] = field(default_factory=list)


def menu(actor: Actor, path: str = "") -> list[Group]:
    """The groups in their fixed order, unknown groups after them; empty groups are left out."""
    found: list[tuple[int, str, str, str, str]] = []
    for manifest in manifests():
        for entry in manifest.menu:
            if not actor.may(entry.permission):
                continue
            try:
                url = reverse(entry.url)
            except NoReverseMatch:
                continue
            found.append((entry.order, entry.group, entry.title, url, entry.icon))
    # The longest address that begins the current one is where we are.
    here = max((f[3] for f in found if path.startswith(f[3])), key=len, default=None)
    groups: dict[str, Group] = {}
    for _, group, title, url, icon in sorted(found, key=lambda f: f[0]):
        groups.setdefault(group, Group(group)).items.append(Item(title, url, icon, url == here))
    order = {name: i for i, name in enumerate(GROUPS)}
    return sorted(groups.values(), key=lambda g: order.get(g.title, len(order)))
