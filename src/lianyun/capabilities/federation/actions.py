"""Actions: draw up a federated service, or change it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party, Resource

from . import queries, rules


@action("federation.design")
def draw_up(*, drawing: rules.Drawing, by: Actor) -> services.Service:
    """Make a logical library from tables and open its service; drawn up again, it is changed.

    It belongs to the department whose tables alone it asks, else to the data bureau, which must
    hold a grant of each other owner for what it asks of that owner's table; it is as sensitive as
    the most sensitive of them, and shared no more freely than the least shared. Raises UserError
    with everything that is wrong, or with every consent that is missing.
    """
    tables = queries.chosen(by, [t.ref for t in drawing.tables])
    known = {t.ref: queries.columns(by, t) for t in tables}
    wrong = rules.problems(drawing, known)
    old = Resource.objects.filter(name=drawing.name).first()
    if old is not None and not old.data.get("federated"):
        wrong["name"] = f"标识“{drawing.name}”已被“{old.title}”使用"
    if wrong:
        raise UserError("；".join(wrong.values()))
    owner = queries.provider_of(tables)
    by.require("federation.design", owner)
    if old is not None and old.owner_id != owner.pk:
        raise UserError(f"“{old.title}”属于{old.owner}，不能改由{owner}提供")
    if missing := queries.unconsented(by, owner, drawing, tables):
        raise UserError(
            f"{'；'.join(missing)}。请以{owner}的名义向其申请共享，使用方式选“联邦查询”，同意后再开通"
        )
    outputs = rules.outputs(drawing, known)
    fields = {t.ref: {f.name: f for f in services.fields(by, t.resource)} for t in tables}
    columns: list[services.Field] = []
    titles: set[str] = set()
    for name, (number, item, _) in outputs.items():
        one = fields[tables[number].ref][item]
        # Two departments may each have a 姓名: the catalogue wants to know which is meant.
        title = one.title if one.title not in titles else f"{one.title}（{tables[number].title}）"
        titles.add(title)
        columns.append(replace(one, name=name, title=title))
    share = max(
        (dict(t.resource.terms.get("share") or {}) for t in tables),
        key=lambda s: int(s.get("type") or 2),
    )
    category, _, _ = tables[0].resource.code.partition("/")
    serial = old.code.partition("/")[2] if old is not None else queries.next_serial(by)
    catalogue.declare_library(
        owner=owner,
        content={
            "name": drawing.name,
            "title": drawing.title.strip(),
            "class": old.code.partition("/")[0] if old is not None else category,
            "serial": serial,
            "summary": drawing.summary.strip(),
            "format": "数据库",
            "cycle": "实时",
            "level": max(t.resource.level for t in tables),
            "share": {**share, "type": int(share.get("type") or 2), "method": "服务接口"},
            "open": {"type": 0},
            "key": [drawing.lookups[0]],
            "items": [
                {
                    "name": f.name,
                    "title": f.title,
                    "element": f.element,
                    "type": f.type,
                    "format": f.format,
                    "required": f.name == drawing.lookups[0],
                }
                for f in columns
            ],
        },
        extra={"federated": [asdict(f) for f in columns], "key": [drawing.lookups[0]]},
        by=SYSTEM,  # drawn up by an officer whose right was asked for above
    )
    source = Resource.objects.select_related("owner").get(name=drawing.name)
    service = services.open_federated(
        source=source,
        columns=columns,
        lookups=[[c] for c in drawing.lookups],
        design=_design(drawing, tables, known, outputs, owner),
        origins=[(t.resource.ref, t.title) for t in tables],
        calls_per_day=drawing.calls_per_day,
        calls_per_second=drawing.calls_per_second,
        by=by,
    )
    for table in tables:
        if table.kind == "中心库":
            services.open_service(source=table.resource, by=by)
    record("federation.drawn_up", source, by=by, data={"tables": [t.ref for t in tables]})
    return service


def _design(
    drawing: rules.Drawing,
    tables: list[queries.Table],
    known: dict[str, list[rules.Column]],
    outputs: dict[str, tuple[int, str, str]],
    owner: Party,
) -> dict[str, Any]:
    """What the service keeps of a drawing: places, the columns there, and whose consent it rests on."""
    place = [{c.name: c.column for c in known[t.ref]} for t in tables]
    parts = []
    for number, (table, chosen) in enumerate(zip(tables, drawing.tables, strict=True)):
        one: dict[str, Any] = {"place": table.ref, "title": f"{table.owner}·{table.title}"}
        if number:
            one["key"] = place[number][chosen.key]
            one["on"] = place[0][chosen.on]
            one["optional"] = chosen.optional
        parts.append(one)
    return {
        "parts": parts,
        "provider": owner.pk,
        "consents": [
            {
                "part": number,
                "resource": table.resource.pk,
                "title": f"{table.owner}·{table.title}",
                "fields": rules.asked_of(drawing, number),
                "items": place[number],
            }
            for number, table in queries.others(owner, tables)
        ],
        "outputs": {name: [number, column] for name, (number, _, column) in outputs.items()},
        "ranges": list(drawing.ranges),
        "seconds": drawing.seconds,
        "drawing": asdict(drawing),
    }
