"""Exchange: the bureau's page over a million call records, against counting the records themselves.

``python benchmarks/exchange.py [--calls N]`` writes N call records of 30 days under 200 grants into
a new installation, then times: counting them all by the hour (once in a life), counting after 1,000
more calls (each minute), looking at a day for misuse (each ten minutes), and what the page reads
(flows of 30 days, today's volume), each beside the same figure taken from the records by SQL; both
must agree. Targets: the page's figures in 200 ms, the minute's counting in 5 s.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GRANTS, DAYS = 200, 30
PAGE_MS, MINUTE_S = 200.0, 5.0
WRITE = """
INSERT INTO audit_callrecord (uid, at, channel, client, "by", by_name, department_id, grant_code,
  resource, purpose, key_hash, rows, micros, outcome, operation, version, case_code,
  request_digest, response_digest, link)
SELECT 'b' || i, now() - (%s * interval '1 day') * (i::float / %s), 'api', '', 'department:x', '',
  g.grantee_id, g.code, r.name, '', md5((i %% 50000)::text), 1, 900,
  CASE WHEN i %% 20 = 0 THEN 'empty' ELSE 'ok' END, 'query', 1, '', '', '', 1
FROM generate_series(%s, %s - 1) i
JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS n FROM kernel_grant) g ON g.n = i %% %s
JOIN kernel_resource r ON r.id = g.resource_id
"""
RAW = """
SELECT department_id, resource, grant_code, count(*), sum(rows) FROM audit_callrecord
WHERE at >= %s AND at < %s AND channel = 'api' GROUP BY 1, 2, 3
"""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds and result."""
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


def measure(calls: int) -> bool:
    """Fill, time, compare and print; whether the targets are met."""
    from django.db import connection

    from lianyun.capabilities.exchange import actions, queries
    from lianyun.capabilities.exchange.models import Hour, Mark
    from lianyun.kernel.access import SYSTEM

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE audit_callrecord")
        cursor.execute(WRITE, [DAYS, calls, 0, calls, GRANTS])
        cursor.execute("ANALYZE audit_callrecord")
    Hour.objects.all().delete()
    Mark.objects.all().delete()
    whole, hours = timed(actions.tally)
    with connection.cursor() as cursor:
        cursor.execute(WRITE, [DAYS, calls * 1000, 0, 1000, GRANTS])
        cursor.execute("ANALYZE")
    minute, _ = timed(actions.tally)
    watched, _ = timed(actions.watch)
    span = queries.span(DAYS)
    flows, found = timed(lambda: queries.flows(SYSTEM, *span))

    def raw() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(RAW, list(span))
            return cursor.fetchall()

    bare, listed = timed(raw)
    volume, today = timed(lambda: queries.volume(SYSTEM))
    if sum(f.calls for f in found) != sum(row[3] for row in listed):
        raise SystemExit("小时统计与调用记录的次数不一致")
    print(
        f"{calls:>9,} 条记录  全部统计 {whole / 1000:.1f} 秒（{hours} 个小时，{Hour.objects.count():,} 行），"
        f"每分钟统计 {minute:.0f} ms，查疑似 {watched:.0f} ms",
        flush=True,
    )
    print(
        f"{calls:>9,} 条记录  {DAYS} 天流向 {flows:.0f} ms（直接数记录 {bare:.0f} ms），"
        f"今日与平时 {volume:.0f} ms（今日 {today.calls:,} 次）",
        flush=True,
    )
    return flows <= PAGE_MS and volume <= PAGE_MS and minute / 1000 <= MINUTE_S


def main() -> int:
    """Measure at one tenth of the size and at the size; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=int(os.environ.get("CALLS", "1000000")))
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lianyun-bench-") as home:
        Path(home).chmod(0o755)
        os.environ.update(LIANYUN_HOME=home, DJANGO_SETTINGS_MODULE="lianyun.project.settings")
        from lianyun.project import postgres, schema

        server = postgres.Server(Path(home), durable=False)
        os.environ["LIANYUN_DATABASE_URL"] = server.start(dies_with_parent=True)
        try:
            import django

            django.setup()
            schema.main([])
            from lianyun.capabilities.catalogue import api as catalogue
            from lianyun.kernel import grant as grants
            from lianyun.kernel.access import SYSTEM
            from lianyun.kernel.models import Party, Resource

            catalogue.sync_declared(by=SYSTEM)
            takers = list(Party.objects.filter(kind=Party.DEPARTMENT).order_by("id")[:40])
            datasets = list(Resource.objects.filter(kind=Resource.DATASET).order_by("id"))
            for n in range(GRANTS):
                grants.issue(
                    kind="data", to=takers[n % len(takers)], resource=datasets[n % len(datasets)],
                    code=f"G{n}", terms={}, by=SYSTEM,
                )  # fmt: skip
            met = [measure(calls) for calls in (told.calls // 10, told.calls)]
            from django.db import connections

            connections.close_all()
        finally:
            server.stop()
    print(f"目标：页面各项 {PAGE_MS:.0f} ms 以内，每分钟统计 {MINUTE_S:.0f} 秒以内")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
