"""Declared: whether what packs' forms name exists: elements, code lists, libraries, datasets, licences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lianyun.kernel import packs

from .. import rules
from .means import world


def faults(told: Iterable[packs.Declaration] | None = None) -> Iterator[str]:
    """Everything wrong in these forms, in all of the packs' without, one Chinese line each."""
    items = {
        "library": {d.name: _names(d.data.get("fields")) for d in packs.declarations("libraries")},
        "dataset": {d.name: _names(d.data.get("items")) for d in packs.declarations("datasets")},
        "licence": {d.name: _names(d.data.get("elements")) for d in packs.declarations("licences")},
    }
    lists = {name for name, _ in packs.code_files()}
    for declared in packs.declarations("forms") if told is None else told:
        where = f"{declared.pack}/forms/{declared.file.name}"
        try:
            form = rules.read(declared.file.stem, declared.data, world())
        except (rules.BadForm, TypeError, ValueError) as error:
            yield f"{where}：{error}"
            continue
        for part in form.parts:
            for asked in part.fields:
                if asked.domain and asked.domain not in lists:
                    yield f"{where}：{asked.id}：代码表 {asked.domain} 不存在"
        for _, name, source in rules.all_sources([form]):
            if source.kind in items and source.item not in items[source.kind].get(source.name, ()):
                what = f"{rules.SOURCES[source.kind]} {source.name} 没有 {source.item}"
                yield f"{where}：{name}：来源不存在（{what}）"


def faults_of(code: str, data: Mapping[str, Any]) -> list[str]:
    """Everything wrong in one declaration, wherever it comes from, without a file's name in front."""
    told = packs.Declaration("", code, dict(data), Path(f"{code}.yaml"))
    return [fault.partition("：")[2] for fault in faults([told])]


def _names(entries: object) -> frozenset[str]:
    if not isinstance(entries, list):
        return frozenset()
    return frozenset(str(e["name"]) for e in entries)
