"""Queries: paths and decisions with their versions and running cases; every function takes its viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from lianyun.decision import BadTable, Verdict, decide
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import Case
from lianyun.kernel.path import Decision, Path

RUNNING = (Case.OPEN, Case.SUSPENDED)


@dataclass(frozen=True)
class Version:
    """One version of a path with its cases: those running and all."""

    path: Path
    running: int
    newest: bool


def _running() -> dict[int, int]:
    rows = Case.objects.filter(state__in=RUNNING).values("path").annotate(n=Count("pk"))
    return {row["path"]: row["n"] for row in rows.order_by()}


def paths(viewer: Actor) -> list[dict[str, Any]]:
    """Every path's newest version, with how many versions and running cases it has."""
    viewer.require("flows.read")
    running = _running()
    out: dict[str, dict[str, Any]] = {}
    rows = Path.objects.defer("bpmn").order_by("key", "-version")
    for row in rows:
        entry = out.setdefault(
            row.key,
            {
                "key": row.key,
                "title": row.title,
                "version": row.version,
                "steps": len(row.data.get("steps") or ()),
                "basis": row.data.get("basis") or "",
                "created_at": row.created_at,
                "running": 0,
                "behind": 0,
            },
        )
        entry["running"] += running.get(row.pk, 0)
        entry["behind"] += running.get(row.pk, 0) if row.version != entry["version"] else 0
    return sorted(out.values(), key=lambda e: (-e["running"], e["title"]))


def versions(key: str, viewer: Actor) -> list[Version]:
    """A path's versions, the newest first; raises UserError where there is none."""
    viewer.require("flows.read")
    rows = list(Path.objects.filter(key=key).order_by("-version"))
    if not rows:
        raise UserError(f"没有名为 {key} 的流程")
    running = _running()
    return [Version(row, running.get(row.pk, 0), row is rows[0]) for row in rows]


def path(key: str, version: int | None, viewer: Actor) -> Path:
    """One version of a path (without a number the newest); raises UserError."""
    viewer.require("flows.read")
    rows = Path.objects.filter(key=key).order_by("-version")
    found = (rows if version is None else rows.filter(version=version)).first()
    if found is None:
        raise UserError("没有这个流程或版本")
    return found


def moves(key: str, viewer: Actor) -> list[Case]:
    """Running cases that stay on an older version of a path, the oldest first, at most 20."""
    viewer.require("flows.read")
    newest = path(key, None, viewer)
    rows = Case.objects.filter(path__key=key, state__in=RUNNING).exclude(path=newest)
    return list(
        rows.select_related("path", "department").defer("engine", "data").order_by("id")[:20]
    )


def decisions(viewer: Actor) -> list[Decision]:
    """Every decision's newest version."""
    viewer.require("flows.read")
    return list(Decision.objects.order_by("key", "-version").distinct("key"))


def decision(key: str, version: int | None, viewer: Actor) -> tuple[Decision, list[Decision]]:
    """One version of a decision (without a number the newest), and all its versions."""
    viewer.require("flows.read")
    rows = list(Decision.objects.filter(key=key).order_by("-version"))
    found = next((r for r in rows if version is None or r.version == version), None)
    if found is None:
        raise UserError("没有这张决策表或版本")
    return found, rows


def tried(row: Decision, facts: dict[str, Any], viewer: Actor) -> Verdict | str:
    """What a decision answers to facts, or why it cannot; nothing is written."""
    viewer.require("flows.read")
    try:
        return decide(row.model, facts)
    except BadTable as error:
        return str(error)
