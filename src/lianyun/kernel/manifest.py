"""Manifest: what a capability says of itself: owner, needs, permissions, menu, listeners, jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

CAPABILITIES = Path(__file__).resolve().parent.parent / "capabilities"

_KEYS = {"title", "owner", "needs", "permissions", "menu", "listens", "jobs", "settings"}


class BadManifest(Exception):
    """A manifest.yaml that cannot be used; the message names the file and the key."""


@dataclass(frozen=True)
class MenuEntry:
    """One entry of the workbench menu; shown only to actors who hold `permission`."""

    title: str
    url: str
    permission: str
    icon: str = "file"
    group: str = "其他"
    order: int = 100


@dataclass(frozen=True)
class Job:
    """A scheduled job: `run` is the dotted path of a function, `every` a cron line (Asia/Shanghai)."""

    name: str
    run: str
    every: str


@dataclass(frozen=True)
class Manifest:
    """A capability's declaration, as read from its manifest.yaml."""

    name: str
    title: str
    owner: str
    needs: tuple[str, ...] = ()
    permissions: dict[str, str] = field(default_factory=dict)
    menu: tuple[MenuEntry, ...] = ()
    listens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def read_manifest(file: Path) -> Manifest:
    """Read one manifest.yaml; raises BadManifest with the file and key that is wrong."""
    name = file.parent.name
    data = yaml.safe_load(file.read_text("utf-8")) or {}
    unknown = set(data) - _KEYS
    if unknown:
        raise BadManifest(f"{name}/manifest.yaml: unknown keys {sorted(unknown)}")
    for key in ("title", "owner"):
        if not data.get(key):
            raise BadManifest(f"{name}/manifest.yaml: '{key}' is missing")
    permissions = data.get("permissions") or {}
    for permission in permissions:
        if permission.split(".")[0] != name:
            raise BadManifest(f"{name}/manifest.yaml: permission {permission} is not {name}.*")
    listens = {
        kind: tuple(run if isinstance(run, list) else [run])
        for kind, run in (data.get("listens") or {}).items()
    }
    return Manifest(
        name=name,
        title=data["title"],
        owner=data["owner"],
        needs=tuple(data.get("needs") or ()),
        permissions=permissions,
        menu=tuple(MenuEntry(**entry) for entry in data.get("menu") or ()),
        listens=listens,
        jobs=tuple(Job(**job) for job in data.get("jobs") or ()),
        settings=data.get("settings") or {},
    )


@cache
def manifests() -> tuple[Manifest, ...]:
    """All capabilities' manifests, by name; read once per process."""
    return tuple(read_manifest(file) for file in sorted(CAPABILITIES.glob("*/manifest.yaml")))


@cache
def permissions() -> dict[str, str]:
    """Every permission that any capability declares: `capability.verb` → Chinese title."""
    return {p: title for m in manifests() for p, title in m.permissions.items()}


@cache
def listeners(kind: str) -> tuple[tuple[str, str], ...]:
    """Actions that want to hear of events of this kind, each with its mark: `kind@path` hears those
    of cases of one path only, `kind@?key` those of cases whose data hold a key."""
    told = [(n.partition("@"), runs) for m in manifests() for n, runs in m.listens.items()]
    return tuple((run, mark) for (what, _, mark), runs in told if what == kind for run in runs)


def function_at(path: str) -> Any:
    """The function at a dotted path; raises ImportError naming it."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        raise ImportError(f"{path} does not exist") from error
