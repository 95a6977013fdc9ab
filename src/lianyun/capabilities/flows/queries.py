"""Queries: paths and decisions with their versions and running cases, and what is proposed for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Case as Case_
from django.db.models import Count, Q, Value, When
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Coalesce, Greatest

from lianyun.decision import BadTable, Table, Verdict, decide, load
from lianyun.decision.way import Step, steps_of
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.case import Case, WorkItem
from lianyun.kernel.manifest import permissions
from lianyun.kernel.models import Event, Party
from lianyun.kernel.path import Decision, Path

from . import rules
from .models import Proposal

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


def _asking(key: str) -> models.QuerySet[Case]:
    """Running cases whose path asks this decision, by its key or by what the case names."""
    fixed, named = [], Q(pk=None)
    for pk, steps in Path.objects.values_list("pk", "data__steps"):
        for step in steps or ():
            asked = str(step.get("decide") or "")
            if asked == key:
                fixed.append(pk)
            elif asked.startswith("=") and asked[1:].strip().isidentifier():
                named |= Q(path=pk, **{f"data__{asked[1:].strip()}": key})
    return Case.objects.filter(Q(path__in=fixed) | named, state__in=RUNNING)


def _judged(key: str) -> models.QuerySet[Any]:
    """Running cases that ask this decision, each with the version (`table`) that judges it."""
    rows = list(Decision.objects.filter(key=key).order_by("version"))
    first = rows[0].version if rows else 0
    also = max((r.version for r in rows if r.data.get("also_running")), default=0)
    then = [When(opened_at__gte=r.created_at, then=Value(r.version)) for r in reversed(rows)]
    began: Any = Case_(*then, default=Value(first)) if then else Value(0)
    put = Cast(KeyTextTransform(key, KeyTransform("judged_by", "data")), models.IntegerField())
    return _asking(key).annotate(table=Greatest(Coalesce(put, began), Value(also)))


def judged_by_older(key: str, viewer: Actor) -> models.QuerySet[Any]:
    """Running cases that an older version of a decision judges."""
    viewer.require("flows.read")
    return _judged(key).filter(table__lt=newest_version(rules.DECISION, key, viewer))


def judged(key: str, viewer: Actor) -> dict[int, int]:
    """How many running cases each version of a decision judges."""
    viewer.require("flows.read")
    rows = _judged(key).order_by().values("table").annotate(n=Count("pk"))
    return {row["table"]: row["n"] for row in rows}


def tried(row: Decision, facts: dict[str, Any], viewer: Actor) -> Verdict | str:
    """What a decision answers to facts, or why it cannot; nothing is written."""
    viewer.require("flows.read")
    try:
        return decide(row.model, facts)
    except BadTable as error:
        return str(error)


# ---- what somebody has written ------------------------------------------------------------------

FLOW_PATH = "publish_flow"


def known(viewer: Actor) -> rules.Known:
    """What a text may name in this city."""
    del viewer  # names and titles are no secret; who may publish is asked where it is done
    return rules.Known(
        permissions=permissions(),
        departments=frozenset(
            slug
            for slug in Party.objects.filter(kind=Party.DEPARTMENT).values_list("slug", flat=True)
            if slug
        ),
        decisions=frozenset(Decision.objects.values_list("key", flat=True)),
        paths={d.name: d.data for d in packs.declarations("paths")},
    )


def reading(kind: str, key: str, text: str, viewer: Actor) -> rules.Reading:
    """A text as it was read, with everything that is wrong with it; nothing is written."""
    if kind == rules.DECISION:
        return rules.read_decision(key, text)
    return rules.read_path(key, text, known(viewer))


def newest(kind: str, key: str, viewer: Actor) -> Any:
    """The newest version's row (a Path or a Decision); None where there is none yet."""
    del viewer  # versions are listed to everybody who may read flows, and asked by who publishes
    rows = (Decision if kind == rules.DECISION else Path).objects.filter(key=key)
    return rows.order_by("-version").first()


def newest_version(kind: str, key: str, viewer: Actor) -> int:
    """The number of the newest version; 0 where there is none yet."""
    row = newest(kind, key, viewer)
    return int(row.version) if row is not None else 0


def is_current(found: rules.Reading, viewer: Actor) -> bool:
    """Whether a text is the newest version already."""
    row = newest(found.kind, found.key, viewer)
    if row is None:
        return False
    made, also = (
        (row.dmn, row.data.get("also_running", ""))
        if found.kind == rules.DECISION
        else (row.bpmn, "")
    )
    return (made, row.title, also) == (found.made, found.title, found.also_running)


def proposals(viewer: Actor) -> models.QuerySet[Proposal]:
    """Everything that was proposed, the newest first."""
    viewer.require("flows.read")
    return Proposal.objects.select_related("case", "by").defer("text", "made").order_by("-id")


def proposal(viewer: Actor, number: int) -> Proposal:
    """One proposal; raises UserError."""
    viewer.require("flows.read")
    found = Proposal.objects.select_related("case__path", "by").filter(pk=number).first()
    if found is None:
        raise UserError("没有这项修改")
    return found


def proposal_of(viewer: Actor, code: str) -> Proposal:
    """The proposal behind a case's code; raises UserError."""
    viewer.require("flows.read")
    found = Proposal.objects.select_related("case__path", "by").filter(case__code=code).first()
    if found is None:
        raise UserError("没有这项修改")
    return found


def open_proposal(viewer: Actor, kind: str, key: str) -> Proposal | None:
    """The proposal on this text that still waits for its second person."""
    del viewer  # whether one waits is told to whoever would write another
    rows = Proposal.objects.filter(kind=kind, key=key, case__state=Case.OPEN)
    return rows.select_related("by").first()


def open_step(viewer: Actor, row: Proposal) -> WorkItem | None:
    """The step of a review that the viewer may do now; never on one's own proposal."""
    step = row.case.items.filter(done_at=None).select_related("case__path", "department").first()
    if step is None or not viewer.may(step.permission, step.department):
        return None
    return None if viewer.party is not None and viewer.party.pk == row.by_id else step


def compared(viewer: Actor, row: Proposal) -> list[tuple[str, str, str]]:
    """How a proposed path differs from the version that it was written on."""
    viewer.require("flows.read")
    if row.kind == rules.DECISION:
        return []
    before = Path.objects.filter(key=row.key, version=row.base).first()
    return rules.changes(before.steps if before else {}, steps_of(row.made), permissions())


def table_changes(viewer: Actor, row: Proposal) -> list[rules.TableChange]:
    """How a proposed decision differs from the version that it was written on; none of a new one."""
    viewer.require("flows.read")
    before = Decision.objects.filter(key=row.key, version=row.base).first()
    if row.kind != rules.DECISION or before is None:
        return []
    return rules.compare_tables(before.model.tables, load(row.made).tables)


def marks(viewer: Actor, row: Proposal) -> dict[str, list[str]]:
    """The steps of a proposed path that are new, gone or changed, by id."""
    viewer.require("flows.read")
    before = Path.objects.filter(key=row.key, version=row.base).first()
    return rules.step_marks(before.steps, steps_of(row.made)) if before is not None else {}


def steps_read(viewer: Actor, found: rules.Reading) -> list[Step]:
    """The steps of a path that was read; none of a decision, or of what cannot be read."""
    del viewer  # what the viewer has just read
    return list(steps_of(found.made).values()) if found.made and found.kind == rules.PATH else []


def tables_read(viewer: Actor, found: rules.Reading) -> tuple[Table, ...]:
    """The tables of a decision that was read."""
    del viewer
    return load(found.made).tables if found.made and found.kind == rules.DECISION else ()


def source(kind: str, key: str, viewer: Actor) -> str:
    """The newest text of a path or decision to go on from: as it was written, else BPMN or DMN."""
    viewer.require("flows.read")
    row = newest(kind, key, viewer)
    if row is None:
        return ""
    last = Proposal.objects.filter(kind=kind, key=key, version=row.version).first()
    if last is not None:
        return last.text
    for declared in packs.declarations("paths" if kind == rules.PATH else "decisions"):
        if declared.name == key and "published" not in row.data:
            return declared.file.read_text("utf-8")
    return str(row.dmn if kind == rules.DECISION else row.bpmn)


def events(viewer: Actor, row: Proposal) -> list[Event]:
    """What became of a proposal, newest first."""
    viewer.require("flows.read")
    return list(Event.objects.filter(case_id_ref=row.case_id).order_by("-id")[:20])
