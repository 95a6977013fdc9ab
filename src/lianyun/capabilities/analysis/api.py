"""Analysis' door: ask read-only questions with one's own rights and masks."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lianyun.kernel.access import Actor, UserError

from . import actions, queries


def ask(sql: str, by: Actor, limit: int = 1000) -> pa.Table:
    """Read-only SQL with the asker's rights and masks, as an Arrow table; raises UserError."""
    return actions.ask_now(sql=sql, by=by, limit=limit)


def allowed_tables(viewer: Actor) -> list[str]:
    """Names of the tables that the viewer may ask questions of."""
    return sorted(queries.allowed_tables(viewer))


def keep(
    *, sql: str, title: str, purpose: str, sharing: str, chart: dict[str, Any], by: Actor
) -> int:
    """Ask, keep the answer a day and the question for good; returns the answer's rows.

    `sharing` is own, department or city. A question of this title that one has kept already stays.
    Raises UserError where it cannot be answered.
    """
    if queries.questions(by).filter(owner=by.party, title=title).exists():
        return 0
    run = actions.begin(sql=sql, purpose=purpose, title=title, chart=chart, by=by)
    done = actions.carry(run.code, by=by, confirmed=True, watched=False)
    if not done.good:
        raise UserError(done.error)
    actions.keep(run=done, title=title, sharing=sharing, by=by)
    return done.rows


__all__ = ["allowed_tables", "ask", "keep"]
