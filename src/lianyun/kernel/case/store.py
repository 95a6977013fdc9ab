"""Store: a step's rows read in one statement and written in one, for a step is what happens most."""

from __future__ import annotations

import json

from django.db import connection

from ..party import Party
from ..rows import inserting, together
from .rows import Case, WorkItem


def fetch(item: int) -> tuple[Case, WorkItem]:
    """A case and one of its work items with its desk, both rows held until the transaction ends."""
    found = together(
        ((Case, "c"), (WorkItem, "i"), (Party, "d")),
        "FROM kernel_workitem i JOIN kernel_case c ON c.id = i.case_id"
        " LEFT JOIN kernel_party d ON d.id = i.department_id WHERE i.id = %s FOR UPDATE OF c, i",
        [item],
    )
    if not found:
        raise WorkItem.DoesNotExist(item)
    case, row, desk = found[0]
    row.case, row.department = case, desk
    return case, row


def write(case: Case, fields: list[str], closed: list[WorkItem], opened: list[WorkItem]) -> None:
    """Write a case's named fields, its closed work items and its new ones in one statement.

    A case that has begun in memory only is written whole.
    """
    parts, values = [], []
    for number, row in enumerate(closed):
        parts.append(
            f"closed_{number} AS (UPDATE kernel_workitem SET done_at = %s, by_id = %s,"
            " outcome = %s, note = %s WHERE id = %s)"
        )
        values += [row.done_at, row.by_id, row.outcome, row.note, row.pk]
    if opened:
        text, more = inserting(opened)
        parts.append(f"opened AS ({text})")
        values += more
    if case._state.adding:
        text, more = inserting([case], numbered=True)
    else:
        told = ", ".join(f'"{name}" = %s' for name in fields)
        more = [json.dumps(case.data) if f == "data" else getattr(case, f) for f in fields]
        text, more = f"UPDATE kernel_case SET {told or 'id = id'} WHERE id = %s", [*more, case.pk]
    before = f"WITH {', '.join(parts)} " if parts else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{before}{text}", [*values, *more])
    case._state.adding, case._state.db = False, connection.alias
