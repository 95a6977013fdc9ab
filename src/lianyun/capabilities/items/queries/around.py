"""Around: what items lean on and may refer to, read from packs and departments."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from lianyun.capabilities.editions import api as editions
from lianyun.decision.closed import evaluate, fault_of
from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.element import credit_code_ok
from lianyun.kernel.models import Decision, Party, Path

from ..rules.checks import Finding, Known, check
from ..rules.content import spelled
from ..rules.item import Around, BadItem, Item, read

holds = evaluate
"""Evaluates a condition over answers in the kernel's closed language."""

CODE_LISTS = (
    "item_type", "exercise_level", "body_nature", "service_channel", "special_procedure",
    "person_theme", "entity_theme", "life_event", "service_object", "divisions",
)  # fmt: skip


@cache
def standard_materials() -> dict[str, dict[str, Any]]:
    """The standard materials of all packs (materials.yaml) by id, without the pack's name."""
    out = {}
    for entry in packs.lists("materials.yaml"):
        told = {k: v for k, v in entry.items() if k not in ("pack", "id")}
        out[str(entry["id"])] = told
    return out


@cache
def windows() -> dict[str, dict[str, Any]]:
    """Each department's window (places, hours, telephones); `default` holds the common one."""
    return dict(packs.mapping("core", "windows.yaml"))


@cache
def names_of(code_list: str) -> dict[str, str]:
    """Code → name of one of the packs' code lists."""
    for name, file in packs.code_files():
        if name == code_list:
            pack = file.parent.parent.name
            return {row["code"]: row["name"] for row in packs.table(pack, f"codes/{name}.csv")}
    return {}


def departments(viewer: Actor) -> dict[str, Party]:
    """All departments by slug; they are public."""
    return {p.slug or "": p for p in Party.objects.filter(kind=Party.DEPARTMENT)}


def around(parties: dict[str, Party]) -> Around:
    """What a declaration is read against."""
    return Around(
        departments={slug: (p.code or "", p.name) for slug, p in parties.items()},
        materials=standard_materials(),
        windows=windows(),
        division=str(packs.mapping("core", "city.yaml").get("division", "")),
    )


@cache
def _declared() -> dict[str, Any]:
    def columns(entries: list[dict[str, Any]]) -> frozenset[str]:
        return frozenset(str(e["name"]) for e in entries)

    libraries = {}
    for d in packs.declarations("libraries"):
        keys = d.data.get("key") or []
        libraries[d.name] = columns(d.data.get("fields") or []) | frozenset(
            [keys] if isinstance(keys, str) else keys
        )
    return {
        "codes": {name: frozenset(names_of(name)) for name in CODE_LISTS if names_of(name)},
        "licences": frozenset(d.name for d in packs.declarations("licences")),
        "libraries": libraries,
        "datasets": {
            d.name: columns(d.data.get("items") or []) for d in packs.declarations("datasets")
        },
        "forms": frozenset(str(d.data.get("code") or d.name) for d in packs.declarations("forms")),
        "decisions": frozenset(file.stem for file in packs.packs_dir().glob("*/decisions/*.*")),
    }


def known(viewer: Actor, parties: dict[str, Party]) -> Known:
    """What an item may refer to, in packs or published in the browser; the same for every viewer."""
    told = _declared()
    tables = frozenset(Decision.objects.values_list("key", flat=True).distinct())
    more = {
        "forms": told["forms"] | editions.codes("forms"),
        "licences": told["licences"] | editions.codes("licences"),
        "decisions": told["decisions"] | tables,
    }
    return Known(
        departments={slug: p.name for slug, p in parties.items()},
        paths=frozenset(Path.objects.values_list("key", flat=True).distinct())
        | frozenset(d.name for d in packs.declarations("paths")),
        body_code_ok=credit_code_ok,
        expression_problem=fault_of,
        **{**told, **more},
    )


def read_content(viewer: Actor, content: Mapping[str, Any]) -> Item:
    """The item of a declaration, standard materials spelled out; raises BadItem."""
    lean = around(departments(viewer))
    return read(spelled(content, lean), lean)


def faults_with(
    viewer: Actor, content: Mapping[str, Any], more: Mapping[str, frozenset[str]]
) -> list[Finding]:
    """What is wrong with a declaration if these names existed as well; unreadable: one finding."""
    parties = departments(viewer)
    lean, facts = around(parties), known(viewer, parties)
    facts = replace(facts, **{k: getattr(facts, k) | names for k, names in more.items()})
    try:
        return check(read(spelled(content, lean), lean), facts)
    except (BadItem, KeyError, TypeError, ValueError, AttributeError) as error:
        return [Finding("内容", str(error).partition("：")[2] or str(error))]


def declared_by_pack(code: str) -> bool:
    """Whether a pack declares this item."""
    return any(d.name == code or d.file.stem == code for d in packs.declarations("items"))


def pack_faults() -> list[str]:
    """What is wrong with the items that packs declare, without a database: file and finding."""
    parties = {
        row["slug"]: Party(slug=row["slug"], code=row["code"], name=row["name"])
        for row in packs.table("core", "departments.csv")
    }
    lean = around(parties)
    facts = Known(
        departments={slug: p.name for slug, p in parties.items()},
        paths=frozenset(d.name for d in packs.declarations("paths")),
        body_code_ok=credit_code_ok,
        expression_problem=fault_of,
        **_declared(),
    )
    out, codes = [], dict[str, str]()
    for d in packs.declarations("items"):
        where = f"{d.pack}/items/{d.file.name}"
        try:
            item = read(spelled(d.data, lean), lean)
        except (BadItem, KeyError, TypeError, ValueError) as error:
            out.append(f"{where}：{error}")
            continue
        if item.code != d.file.stem:
            out.append(f"{where}：code 应与文件同名")
        if codes.setdefault(item.implementing_code, item.code) != item.code:
            out.append(f"{where}：实施编码与 {codes[item.implementing_code]} 重复")
        out += [f"{where}：{f.text}" for f in check(item, facts)]
    return out


def declared_items() -> dict[str, Item]:
    """The items that packs declare and that can be read, by code, without a database."""
    parties = {
        row["slug"]: Party(slug=row["slug"], code=row["code"], name=row["name"])
        for row in packs.table("core", "departments.csv")
    }
    lean = around(parties)
    out = {}
    for d in packs.declarations("items"):
        with suppress(BadItem, KeyError, TypeError, ValueError):  # pack_faults tells of it
            item = read(spelled(d.data, lean), lean)
            out[item.code] = item
    return out


def parsed(code: str, number: int, stamp: str, content: dict[str, Any], party: Party) -> Item:
    """The item of a published content; read once for each version and stamp in this process."""
    key = (code, number, stamp, party.code, party.name)
    found = _PARSED.get(key)
    if found is None:
        found = read(content, around({party.slug or "": party}))
        if len(_PARSED) > 4096:
            _PARSED.clear()
        _PARSED[key] = found
    return found


def already(code: str, number: int, stamp: str, owner: str | None, name: str) -> Item | None:
    """The item of a version and stamp, if this process has read it; `owner` and `name` its department's."""
    return _PARSED.get((code, number, stamp, owner, name))


_PARSED: dict[tuple[Any, ...], Item] = {}
