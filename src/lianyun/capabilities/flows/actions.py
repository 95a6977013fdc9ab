"""Actions: running cases are moved to a path's newest version; due timers go on."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.case import Case, WorkItem
from lianyun.kernel.event import record
from lianyun.kernel.path import current

MOST = 200
"""Cases moved by one press: more would keep their rows from those who work on them."""


@dataclass(frozen=True)
class Moved:
    """How many cases moved, how many are left, and why some could not."""

    done: int
    left: int
    failed: tuple[tuple[str, str], ...]


@action("flows.migrate")
def move_cases(
    key: str, version: int, *, reason: str, steps: dict[str, str] | None = None, by: Actor
) -> Moved:
    """Move the running cases of an older version to the newest one, each wholly or not at all.

    Every case records its own move; this act is recorded with what could not be moved and why.
    Raises UserError where nothing is to be moved.
    """
    newest = current(key)
    rows = Case.objects.filter(path__key=key, path__version=version).exclude(state=Case.CLOSED)
    left = rows.count()
    if newest.version == version or not left:
        raise UserError("这个版本没有需要迁移的在办件")
    done, failed = 0, []
    for row in rows.order_by("id")[:MOST]:
        try:
            with transaction.atomic():
                cases.migrate(row, newest.version, reason=reason, steps=steps, by=by)
                done += 1
        except UserError as error:
            failed.append((row.code, str(error)))
    record(
        "path.migrated",
        newest,
        by=by,
        data={
            "from": version,
            "to": newest.version,
            "reason": reason,
            "done": done,
            "failed": [{"case": code, "why": why} for code, why in failed],
        },
    )
    return Moved(done, left - done, tuple(failed))


@action(None)
def fire_timer(item: WorkItem, *, by: Actor) -> None:
    """Let one case go on by its due timer; raises UserError where somebody was faster."""
    if not cases.fire(item, by=by):
        raise UserError("该环节已经办理或中止")
