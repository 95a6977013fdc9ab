"""Analysis' door: ask read-only questions with one's own rights and masks."""

from __future__ import annotations

import pyarrow as pa

from lianyun.kernel.access import Actor

from . import actions, queries


def ask(sql: str, by: Actor, limit: int = 1000) -> pa.Table:
    """Read-only SQL with the asker's rights and masks, as an Arrow table; raises UserError."""
    return actions.ask_now(sql=sql, by=by, limit=limit)


def allowed_tables(viewer: Actor) -> list[str]:
    """Names of the tables that the viewer may ask questions of."""
    return sorted(queries.allowed_tables(viewer))


__all__ = ["allowed_tables", "ask"]
