"""World: what really exists to choose from, and how the editor's pages are laid out over it."""

from __future__ import annotations

from functools import cache
from typing import Any

from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Party
from lianyun.kernel.path import Decision, Path

from ..rules import layout, steps

Choice = tuple[str, str]


@cache
def _declared() -> dict[str, Any]:
    """Choices that packs give: elements, code lists, libraries, datasets, standard materials."""
    elements = [(str(e["code"]), str(e["title"])) for e in packs.lists("elements.yaml")]
    libraries, datasets, columns = [], [], {}
    for found in packs.declarations("libraries"):
        fields = found.data.get("fields") or []
        if fields:
            libraries.append((found.name, str(found.data.get("title") or found.name)))
            columns[f"library:{found.name}"] = [
                (str(f["name"]), str(f.get("title") or f["name"])) for f in fields
            ]
    for found in packs.declarations("datasets"):
        datasets.append((found.name, str(found.data.get("title") or found.name)))
        columns[f"dataset:{found.name}"] = [
            (str(i["name"]), str(i.get("title") or i["name"]))
            for i in found.data.get("items") or []
        ]
    titles = {str(t["name"]): str(t.get("title") or t["name"]) for t in packs.lists("codes.yaml")}
    return {
        "elements": elements,
        "codelists": [(name, titles.get(name, name)) for name, _ in packs.code_files()],
        "libraries": libraries,
        "datasets": datasets,
        "columns": columns,
        "standards": [
            (name, str(told.get("name") or name))
            for name, told in items.standard_materials().items()
        ],
        "levels": [("0", "0 不需要登录核验"), ("1", "1 手机"), ("2", "2 两要素"), ("3", "3 实人"), ("4", "4 数字证书")],
    }  # fmt: skip


_CODES = ("item_type", "exercise_level", "body_nature", "service_channel", "special_procedure",
          "person_theme", "entity_theme", "life_event")  # fmt: skip


def lists(viewer: Actor, page: str) -> dict[str, Any]:
    """The choices that one page of the editor offers, by name: [(value, title), …]."""
    viewer.require("builder.read")
    wanted = layout.LISTS.get(page, ())
    told = _declared()
    out: dict[str, Any] = {}
    for name in wanted:
        if name in told:
            out[name] = told[name]
        elif name in _CODES:
            out[name] = [(c, f"{c} {t}") for c, t in items.code_names(name).items()]
        elif name == "departments":
            found = Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")
            out[name] = [(p.slug, p.short or p.name) for p in found]
        elif name == "licences":
            out[name] = [(n, k.title) for n, k in licences.kinds().items()]
        elif name == "licence_elements":
            out[name] = {
                n: [(i.name, i.title) for i in k.items] for n, k in licences.kinds().items()
            }
        elif name == "forms":
            out[name] = sorted(forms.titles().items())
        elif name == "paths":
            ways = Path.objects.filter(key__startswith="item_").order_by("key", "-version")
            out[name] = [(w.key, w.title) for w in ways.distinct("key").defer("bpmn")]
        elif name == "decisions":
            rows = Decision.objects.order_by("key", "-version").distinct("key").defer("dmn")
            out[name] = [(d.key, d.title) for d in rows]
        elif name == "palette":
            out[name] = [
                {"kind": k, "title": t, "note": n, "step": s} for k, t, n, s in steps.PALETTE
            ]
        elif name == "permissions":
            out[name] = list(steps.BY.items())
        elif name == "desks":
            out[name] = list(steps.AT.items())
        elif name == "kinds":
            out[name] = list(forms.KINDS.items())
    return out


def schema(page: str) -> list[dict[str, Any]]:
    """The groups and fields of one page of the editor."""
    return layout.PAGES.get(page, [])
