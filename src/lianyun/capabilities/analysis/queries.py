"""Queries: what a viewer may ask of, saved questions, runs and their answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
from django.db.models import Q, QuerySet
from django.utils import timezone

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.models import Code, Grant, Resource
from lianyun.lake.ask import Allowed, Cost

from . import adapters, rules
from .models import Question, Run

SHOWN = 200
"""Rows of an answer that a page shows."""
LOST = dt.timedelta(seconds=30)
"""A run without a sign of life for so long is dead."""


# ---- what may be asked of ----------------------------------------------------------------


def allowed_tables(viewer: Actor) -> dict[str, Allowed]:
    """What the viewer may ask read-only questions of, by name, with masks.

    The own department's datasets whole but masked, granted data as the grant says; who manages
    services (the bureau's operators) sees every dataset and library, masked.
    """
    return {name: found for name, (_, found) in _allowed(viewer).items()}


def _allowed(viewer: Actor) -> dict[str, tuple[Resource, Allowed]]:
    viewer.require("analysis.ask")
    kinds = [Resource.DATASET, Resource.LIBRARY]
    rows = (
        Resource.objects.filter(kind__in=kinds)
        .exclude(state=Resource.WITHDRAWN)
        .select_related("owner")
        .defer("search")
    )
    everything = viewer.may("services.manage")
    home = viewer.departments("analysis.ask")
    mine = rows if everything or home is None else rows.filter(owner_id__in=home)
    have = adapters.filled(collection.lake())
    out: dict[str, tuple[Resource, Allowed]] = {}
    for row in mine:
        if (row.kind, row.name) in have:
            found = _of(viewer, row, None)
            # What nobody has catalogued has no masks: sensitive data wait until it is.
            if found.columns or row.level < 3 or viewer.everything:
                out[row.name] = (row, found)
    if not everything and home:
        now = timezone.now()
        held = Grant.objects.filter(
            kind="data", grantee_id__in=home, state=Grant.ACTIVE, valid_from__lte=now
        ).filter(Q(valid_to=None) | Q(valid_to__gt=now))
        for grant in held.select_related("resource__owner"):
            given = grant.resource
            if given is not None and (given.kind, given.name) in have and given.name not in out:
                out[given.name] = (given, _of(viewer, given, grant))
    return out


def _of(viewer: Actor, row: Resource, grant: Grant | None) -> Allowed:
    """One table under the viewer's masks: own data or as a grant gives them.

    Masked citizen numbers get a link for joining, but only where no number of the table is plain:
    else the link would tie a plain number to another table's masked row.
    """
    columns = services.fields(viewer, row)
    scope: Mapping[str, Any] = {}
    if grant is None:
        # A dataset without catalogued items is asked as it stands in the lake.
        names, masks = [f.name for f in columns] or None, services.masks(viewer, row, ())
    else:
        names = list(grant.terms.get("fields", ()))
        masks = grant.terms.get("masks") or {}
        scope = grant.terms.get("scope") or {}
    numbers = [f.name for f in columns if f.check == "citizen_number"]
    shown = [n for n in numbers if names is None or n in names]
    masked = [n for n in shown if masks.get(n, "none") != "none"]
    return Allowed(
        f"{adapters.SHELVES[row.kind]}.{row.name}",
        names,
        masks,
        adapters.narrow(scope) if scope else None,
        person=numbers[0] if numbers else None,
        guarded=not viewer.everything
        and any(f.personal for f in columns)
        and any(m != "none" for m in masks.values()),
        links=masked if masked == shown else (),
    )


def tables(viewer: Actor) -> dict[str, rules.TableInfo]:
    """The tables a question may name, as builder and editor show them, by name."""
    out = {}
    for name, (row, allowed) in sorted(_allowed(viewer).items(), key=lambda e: e[1][0].title):
        listed = [
            rules.FieldInfo(
                f.name,
                f.title,
                "text" if allowed.masks.get(f.name, "none") != "none" else rules.kind_of(f.type),
                f.element,
                allowed.masks.get(f.name, "none") != "none",
                f.name in allowed.links,
            )
            for f in services.fields(viewer, row)
            if allowed.columns is None or f.name in allowed.columns
        ]
        out[name] = rules.TableInfo(
            name, row.title, str(row.owner), tuple(listed), row.level >= 3, allowed.guarded
        )
    return out


def rights(viewer: Actor, names: list[str], allowed: Mapping[str, Allowed] | None = None) -> str:
    """A fingerprint of the rights under which these tables are read; empty where one is not."""
    found = allowed if allowed is not None else allowed_tables(viewer)
    if any(name not in found for name in names):
        return ""
    return rules.fingerprint(
        [
            n,
            list(found[n].columns or ()),
            sorted(found[n].masks.items()),
            found[n].row_filter,
            found[n].guarded,
        ]
        for n in names
    )


# ---- questions and runs ------------------------------------------------------------------


def questions(viewer: Actor) -> QuerySet[Question]:
    """Saved questions that the viewer may open: own ones and those shared with him."""
    viewer.require("analysis.ask")
    rows = Question.objects.select_related("owner", "department")
    mine = Q(owner=viewer.party) if viewer.party else Q(pk=None)
    if viewer.department is not None:
        mine |= Q(sharing="department", department=viewer.department)
    return rows.filter(mine | Q(sharing="city"))


def question(code: str, viewer: Actor) -> Question:
    """A saved question; raises UserError where the viewer may not open it."""
    found = questions(viewer).filter(code=code).first()
    if found is None:
        raise UserError("没有这个查询，或它没有共享给您")
    return found


def runs(viewer: Actor) -> QuerySet[Run]:
    """The viewer's own runs, the newest first."""
    viewer.require("analysis.ask")
    return Run.objects.filter(by=viewer.party).select_related("question")


def run(code: str, viewer: Actor) -> Run:
    """One of the viewer's own runs; raises UserError."""
    found = runs(viewer).filter(code=code).first()
    if found is None:
        raise UserError("没有这次查询，或它不是您的")
    return found


def is_lost(found: Run) -> bool:
    """Whether the process that answered it is gone."""
    return found.finished_at is None and not found.waits and timezone.now() - found.beat_at > LOST


def readable(found: Run, viewer: Actor) -> bool:
    """Whether the viewer still has the rights under which the answer was made."""
    return found.good and found.rights == rights(viewer, list(found.tables))


def shown(found: Run, viewer: Actor) -> dict[str, Any] | None:
    """The head of a run's answer for its page: names, rows, kinds; None where it is gone.

    Raises UserError where the rights have changed since.
    """
    if not readable(found, viewer):
        raise UserError("您对这些数据的权限已经变化，请重新查询")
    table = adapters.answer_head(found.code, SHOWN)
    if table is None:
        return None
    kinds = {f.name: _kind(f.type) for f in table.schema}
    rows = [[plain(v) for v in row.values()] for row in table.to_pylist()]
    css = ["num" if kinds[name] == "number" else "" for name in table.column_names]
    words = _code_words(found, table.column_names)
    for at, name in enumerate(table.column_names):
        for row in rows if name in words else ():
            told = words[name].get(str(row[at]))
            row[at] = f"{told}（{row[at]}）" if told else row[at]
    return {
        "names": table.column_names,
        "rows": rows,
        "kinds": kinds,
        "coded": set(words),
        "heads": list(zip(table.column_names, css, strict=True)),
        "lines": [list(zip(row, css, strict=True)) for row in rows],
    }


def _code_words(found: Run, names: list[str]) -> dict[str, dict[str, str]]:
    """What the codes of an answer's columns mean, by column: those called like a coded item."""
    domains: dict[str, str] = {}
    for row in Resource.objects.filter(name__in=found.tables).defer("search"):
        for f in services.fields(SYSTEM, row):
            domain = f.domain or ("divisions" if f.check == "region" else "")
            if domain:
                domains |= {f.name: domain, f.title: domain}
    wanted = {name: domains[last] for name in names if (last := name.split("·")[-1]) in domains}
    lists: dict[str, dict[str, str]] = {}
    for domain, code, title in (
        Code.objects.filter(list__name__in=set(wanted.values()))
        .order_by("valid_to", "valid_from")  # the one in force comes last and stays
        .values_list("list__name", "code", "name")
    ):
        lists.setdefault(domain, {})[code] = title
    return {name: lists[domain] for name, domain in wanted.items() if domain in lists}


def _kind(kind: pa.DataType) -> str:
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return "number" if numeric else "text"


def plain(value: Any) -> Any:
    """A value as people read it."""
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Decimal):
        return (
            format(value.normalize(), "f") if value == value.to_integral() else format(value, "f")
        )
    if isinstance(value, bool):
        return "是" if value else "否"
    return value


def answer(found: Run, viewer: Actor) -> pa.Table:
    """All rows of a run; raises UserError where they are gone or the rights have changed."""
    if not readable(found, viewer):
        raise UserError("您对这些数据的权限已经变化，请重新查询")
    table = adapters.answer(found.code)
    if table is None:
        raise UserError("结果已过保存期限，请重新查询")
    return table


def names_of(found: Run, viewer: Actor) -> list[str]:
    """The titles of the tables that a run read."""
    titles = dict(Resource.objects.filter(name__in=found.tables).values_list("name", "title"))
    return [titles.get(name, name) for name in found.tables]


def facts(found: Run, viewer: Actor) -> dict[str, Any]:
    """What a run's page says beside the answer: cost in words, the fewest people of a group."""
    told = found.cost
    cost = Cost(int(told.get("rows", 0)), int(told.get("bytes", 0)), float(told.get("widest", 0)))
    return {"cost": cost.words, "group": adapters.limits().group}
