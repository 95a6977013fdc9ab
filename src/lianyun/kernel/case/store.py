"""Store: a step's rows read in one statement and written in one, for a step is what happens most."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.db import connection, models

from ..party import Party
from .rows import Case, WorkItem


@cache
def _columns(model: type[models.Model], table: str) -> tuple[list[str], str]:
    """A model's attributes and, in the same order, its columns of a table's alias."""
    fields = model._meta.concrete_fields
    return [f.attname for f in fields], ", ".join(f'{table}."{f.column}"' for f in fields)


def fetch(item: int) -> tuple[Case, WorkItem]:
    """A case and one of its work items with its desk, both rows held until the transaction ends."""
    (cases, of_case), (items, of_item) = _columns(Case, "c"), _columns(WorkItem, "i")
    parties, of_party = _columns(Party, "d")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {of_case}, {of_item}, {of_party} FROM kernel_workitem i"
            " JOIN kernel_case c ON c.id = i.case_id"
            " LEFT JOIN kernel_party d ON d.id = i.department_id"
            " WHERE i.id = %s FOR UPDATE OF c, i",
            [item],
        )
        found = cursor.fetchone()
    if found is None:
        raise WorkItem.DoesNotExist(item)
    one, two = len(cases), len(cases) + len(items)
    case, row = _made(Case, cases, found[:one]), _made(WorkItem, items, found[one:two])
    row.case = case
    row.department = _made(Party, parties, found[two:]) if row.department_id else None
    return case, row


def _made(model: Any, names: list[str], values: tuple[Any, ...]) -> Any:
    at = names.index("data") if "data" in names else None
    if at is not None and isinstance(values[at], str):
        values = (*values[:at], json.loads(values[at]), *values[at + 1 :])
    return model.from_db(connection.alias, names, values)


def write(case: Case, fields: list[str], closed: list[WorkItem], opened: list[WorkItem]) -> None:
    """Write a case's named fields, its closed work items and its new ones in one statement."""
    parts, values = [], []
    for number, row in enumerate(closed):
        parts.append(
            f"closed_{number} AS (UPDATE kernel_workitem SET done_at = %s, by_id = %s,"
            " outcome = %s, note = %s WHERE id = %s)"
        )
        values += [row.done_at, row.by_id, row.outcome, row.note, row.pk]
    if opened:
        names = [f for f in WorkItem._meta.concrete_fields if not f.primary_key]
        listed = ", ".join(f'"{f.column}"' for f in names)
        places = ", ".join([f"({', '.join(['%s'] * len(names))})"] * len(opened))
        parts.append(f"opened AS (INSERT INTO kernel_workitem ({listed}) VALUES {places})")
        values += [getattr(row, f.attname) for row in opened for f in names]
    text = f"WITH {', '.join(parts)} " if parts else ""
    told = ", ".join(f'"{name}" = %s' for name in fields)
    values += [json.dumps(case.data) if f == "data" else getattr(case, f) for f in fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"{text}UPDATE kernel_case SET {told or 'id = id'} WHERE id = %s", [*values, case.pk]
        )
