"""Quality on an engine: the verdict of every check on every row of a batch, computed once.

A cluster reads the landed rows, and what it finds (typed values, warnings, reasons) stands in for
the checks' own SQL from then on: the merge that follows asks the same questions and gets the same
answers, only read instead of computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import duckdb

from ..check import Checked
from ..shelves import quote
from . import Run, chosen, least

LANDED, JUDGED, REASONED = "landed_rows", "judged_rows", "reasoned_rows"


def worth(rows: int) -> bool:
    """Whether the environment's cluster judges so many rows.

    Behind Spark Connect may be a Sail, which reads numbers with exponents differently: not there.
    """
    return chosen().startswith("spark://") and rows >= least()


@dataclasses.dataclass
class Judged(Checked):
    """Checks whose verdicts have been given: their SQL reads them by line."""

    def verdicts(
        self, relation: str, carry: Sequence[str] = ("_line",), *, plain: bool = False
    ) -> str:
        """SQL of the verdicts on the rows of `relation`; there is no cheaper plain reading."""
        values = ", ".join(f"j.{quote(c.name)}" for c in self.columns())
        kept = ", ".join(f"r.{quote(c)}" for c in carry)
        listed = ", ".join(quote(c) for c in carry)
        return (
            f"SELECT {kept}, {values}, j._ok, j._warnings FROM (SELECT {listed} FROM {relation}) r "
            f"JOIN {JUDGED} j ON j._line = r._line"
        )

    def reasons(self, relation: str, carry: Sequence[str] = ("_line",)) -> str:
        """SQL of the refused rows' codes and reasons; other rows have none."""
        kept = ", ".join(f"r.{quote(c)}" for c in carry)
        listed = ", ".join(quote(c) for c in carry)
        empty = "CAST([] AS VARCHAR[])"
        return (
            f"SELECT {kept}, coalesce(j._codes, {empty}) AS _codes, "
            f"coalesce(j._reasons, {empty}) AS _reasons FROM (SELECT {listed} FROM {relation}) r "
            f"LEFT JOIN {REASONED} j ON j._line = r._line"
        )


def judge(run: Run, con: duckdb.DuckDBPyConnection, checks: Checked, relation: str) -> Judged:
    """Gives the verdicts on `relation` (rows with ``_line`` and one text per item) on an engine.

    `checks.prepare(con)` must have run: the code lists go to the cluster with the rows.
    """
    con.execute(f"CREATE OR REPLACE TEMP VIEW {LANDED} AS SELECT * FROM {relation}")
    run.lay(JUDGED, checks.verdicts(LANDED))
    refused = f"(SELECT r.* FROM {LANDED} r JOIN {JUDGED} j ON j._line = r._line WHERE NOT j._ok)"
    run.lay(REASONED, checks.reasons(refused))
    return Judged(**{f.name: getattr(checks, f.name) for f in dataclasses.fields(Checked)})
