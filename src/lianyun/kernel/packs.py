"""Pack: a sector's declarations (datasets, elements, codes, paths, libraries), never code."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml


class BadPack(Exception):
    """A declaration that cannot be used; the message names the file and what is wrong in it."""


@dataclass(frozen=True)
class Declaration:
    """One declared thing: the pack it stands in, its name, its content and its file."""

    pack: str
    name: str
    data: dict[str, Any]
    file: Path


def packs_dir() -> Path:
    """The folder of packs: LIANYUN_PACKS, else `packs/` beside `src/` of this checkout."""
    configured = os.environ.get("LIANYUN_PACKS")
    return Path(configured) if configured else Path(__file__).resolve().parents[3] / "packs"


@cache
def pack_names() -> tuple[str, ...]:
    """Installed packs, `core` first, the others by name."""
    names = sorted(p.parent.name for p in packs_dir().glob("*/pack.yaml"))
    return tuple(sorted(names, key=lambda name: (name != "core", name)))


def _yaml(file: Path) -> Any:
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(file.read_text("utf-8"), Loader=loader)
    except yaml.YAMLError as error:
        raise BadPack(f"{file.parent.parent.name}/{file.name}: {error}") from error


@cache
def declarations(kind: str) -> tuple[Declaration, ...]:
    """Every `packs/*/{kind}/*.yaml` of a kind (datasets, libraries, paths …); names are unique.

    Raises BadPack where two packs declare the same name or a file is not a mapping.
    """
    found: dict[str, Declaration] = {}
    for pack in pack_names():
        for file in sorted((packs_dir() / pack / kind).glob("*.yaml")):
            data = _yaml(file)
            if not isinstance(data, dict):
                raise BadPack(f"{pack}/{kind}/{file.name}: expected a mapping")
            name = str(data.get("name") or data.get("key") or file.stem)
            if name in found:
                raise BadPack(f"{pack}/{kind}/{file.name}: {name} stands in {found[name].pack} too")
            found[name] = Declaration(pack, name, data, file)
    return tuple(found.values())


def declaration(kind: str, name: str) -> Declaration:
    """The one declaration of a kind with this name; raises KeyError if there is none."""
    for found in declarations(kind):
        if found.name == name:
            return found
    raise KeyError(f"no {kind} named {name}")


@cache
def lists(file: str) -> tuple[dict[str, Any], ...]:
    """All entries of a list file (`elements.yaml`) over all packs; each entry gains its `pack`."""
    out: list[dict[str, Any]] = []
    for pack in pack_names():
        path = packs_dir() / pack / file
        if path.exists():
            out.extend({**entry, "pack": pack} for entry in _yaml(path) or [])
    return tuple(out)


def table(pack: str, file: str) -> Iterator[dict[str, str]]:
    """Rows of a pack's CSV file (UTF-8, first row names the columns)."""
    with (packs_dir() / pack / file).open(encoding="utf-8-sig", newline="") as handle:
        yield from csv.DictReader(handle)


def files(kind: str, suffix: str) -> Iterator[Path]:
    """Every `packs/*/{kind}/*.{suffix}` file, such as paths drawn elsewhere (`bpmn`)."""
    for pack in pack_names():
        yield from sorted((packs_dir() / pack / kind).glob(f"*.{suffix}"))


def code_files() -> Iterator[tuple[str, Path]]:
    """Every code list file of every pack, as (list name, file)."""
    for pack in pack_names():
        for file in sorted((packs_dir() / pack / "codes").glob("*.csv")):
            yield file.stem, file


@cache
def mapping(pack: str, file: str) -> dict[str, Any]:
    """A pack's single YAML mapping, such as core's city.yaml."""
    data = _yaml(packs_dir() / pack / file)
    if not isinstance(data, dict):
        raise BadPack(f"{pack}/{file}: expected a mapping")
    return data
