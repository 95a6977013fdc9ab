"""Linkage on a cluster: where Splink computes when `match.run` is given this backend.

Splink writes its own Spark SQL; a session gives it the text similarities of the jar that Splink
ships. Prepared rows go to the cluster through this process and scored pairs come back through it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot

from ..shelves import LakeError
from . import check, chosen, least, spark


class SparkBackend:
    """Splink's Spark API over a session of ours (see `match.Backend`)."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def api(self) -> Any:
        """Splink's database API."""
        from splink import SparkAPI

        return SparkAPI(
            spark_session=self.session,
            break_lineage_method="persist",
            num_partitions_on_repartition=int(
                self.session.conf.get("spark.sql.shuffle.partitions", "200")
            ),
        )

    def table(self, name: str, file: str) -> str:
        """Hands over a Parquet file of this machine as a view of that name."""
        self.session.createDataFrame(pq.read_table(file)).createOrReplaceTempView(name)
        return name

    def arrow(self, sql: str) -> pa.Table:
        """The result of a query in DuckDB's dialect."""
        return self.session.sql(sqlglot.transpile(sql, read="duckdb", write="spark")[0]).toArrow()


@contextlib.contextmanager
def backend(url: str) -> Iterator[SparkBackend]:
    """A backend for `match.run` on the engine `url`; Splink needs Spark itself (``spark://``)."""
    check(url)
    if not url.startswith("spark://"):
        raise LakeError("关联的 Splink 只能用 spark:// 集群，不能用 Spark Connect")
    with spark.session(url) as shared:
        session = shared.newSession()
        session.conf.set("spark.sql.ansi.enabled", "false")
        try:
            yield SparkBackend(session)
        finally:
            session.catalog.clearCache()


@contextlib.contextmanager
def environment(rows: int) -> Iterator[SparkBackend | None]:
    """The backend that ``LIANYUN_ENGINE`` names, if so many rows are worth it; None is DuckDB.

    A Connect server is no place for Splink, so linkage then stays with DuckDB.
    """
    url = chosen()
    if not url.startswith("spark://") or rows < least():
        yield None
        return
    with backend(url) as made:
        yield made
