"""DuckDB as an engine: every statement runs in the connection that holds the transaction."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from ..shelves import quote


class DuckRun:
    """A run in this process (see `engines.Run`)."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def make(self, name: str, sql: str) -> None:
        """Makes a temporary table."""
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {sql}")

    def lay(self, name: str, sql: str) -> None:
        """Makes a temporary table: on one machine a large one is no different."""
        self.make(name, sql)

    def append(self, schema: str, table: str, columns: Sequence[str], sql: str) -> int:
        """Inserts the rows of a query."""
        listed = ", ".join(quote(c) for c in columns)
        row = self.con.execute(
            f"INSERT INTO lake.{quote(schema)}.{quote(table)} ({listed}) "
            f"SELECT {listed} FROM ({sql}) q"
        ).fetchone()
        return int(row[0]) if row else 0
