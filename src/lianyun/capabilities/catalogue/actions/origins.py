"""Origin actions: entries of another node, kept here as that node tells them; nobody here edits them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party, Resource
from lianyun.kernel.resource import move

from ..models import CatalogueClass
from ..queries import world
from ..rules.entries import split_code
from . import store

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def origin_of(resource: Resource) -> str:
    """The name of the node an entry comes from; empty for our own."""
    origin = resource.data.get("origin") or {}
    return str(origin.get("name") or "")


def refuse_foreign(resource: Resource) -> None:
    """Raise UserError for an entry that another node keeps."""
    if name := origin_of(resource):
        raise UserError(f"该目录来自{name}，由原单位维护，本级不能修改；确有问题请与其联系")


@action("catalogue.import")
def adopt_entry(
    *,
    owner: Party,
    content: Mapping[str, Any],
    origin: Mapping[str, Any],
    publish: bool = True,
    by: Actor,
) -> Resource:
    """Keep another node's entry here under the department that stands for it; again = bring up to date.

    `content` has the keys of an entry with `code` and `name` as they are to be here, and may have
    `rules`; `origin` says where it comes from (name, node, code, department). Elements that are not
    known here lose their tie. Raises UserError where it cannot be kept.
    """
    store.lock()
    around = world(by)
    category, _ = split_code(str(content["code"]))
    if not CatalogueClass.objects.filter(code=category).exists():
        raise UserError(f"分类代码“{category}”不在本级目录分类中")
    old = Resource.objects.filter(code=content["code"]).first()
    if old is not None and not origin_of(old):
        raise UserError(f"资源代码 {old.code} 是本级目录《{old.title}》，不能覆盖")
    items = [
        {
            **{k: i.get(k, "") for k in ("name", "title", "type", "format", "note")},
            "element": i.get("element") if i.get("element") in around.elements else "",
            "required": bool(i.get("required")),
            "key": bool(i.get("key")),
        }
        for i in content["items"]
    ]
    full: dict[str, Any] = {
        **{k: content.get(k) or "" for k in ("code", "name", "title", "summary", "format")},
        "class": category,
        "provider": owner.slug,
        "cycle": content.get("cycle") or "不定期",
        "level": int(content.get("level") or 1),
        "share": {**content["share"]},
        "open": {
            "type": int((content.get("open") or {}).get("type") or 0),
            "conditions": str((content.get("open") or {}).get("conditions") or ""),
        },
        "published_on": str(content.get("published_on") or ""),
        "related": [],
        "items": items,
    }
    extra = {
        "origin": dict(origin),
        "rules": list(content.get("rules") or ()),
        "contract": "evolve",
    }
    row = store.put(
        [full],
        publish=publish,
        by=by,
        note=f"来自{origin['name']}",
        extra={full["code"]: extra},
    )[0]
    record(
        "resource.adopted",
        row,
        by=by,
        data={"title": f"收录{origin['name']}的目录", "code": row.code, "version": row.version},
    )
    return row


@action("catalogue.import")
def retire_entry(*, resource: Resource, reason: str, by: Actor) -> None:
    """Another node withdrew its entry: it leaves the catalogue here; its versions stay."""
    row = Resource.objects.select_for_update().get(pk=resource.pk)
    if not origin_of(row):
        raise UserError("本级目录不能由其他节点撤销")
    if row.state == Resource.PUBLISHED:
        move(row, Resource.WITHDRAWN)
    resource.state = row.state
    record("resource.withdrawn", row, by=by, data={"title": "原单位撤销目录", "reason": reason})
