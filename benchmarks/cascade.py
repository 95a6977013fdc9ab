"""Rows from a county's node up to its city's, whole and as a day's changes, as the table grows.

Ours is the whole way between two real nodes on this machine, each with a web server of its own: the
rows are read from the lake, put on record with everybody they name, written in chunks, announced in a
signed message, sent, checked row by row against the city's entry (check digits, code lists, area),
merged by key, and the verdict is told back. The peer is a bare COPY of the same rows (the same
columns, the same primary key) from one PostgreSQL database into another through one process. Neither
side waits for the disk. The day's change is 1,600 updates, 300 new rows and 100 deletions, whatever
the size of the table; beside it stands what the peer, which knows only the whole, needs that day.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RATIO, GROWTH = 40.0, 1.5
"""Whole upload against the bare COPY; a day's change at the greatest size against the least."""
UPDATED, NEW, DELETED = 1600, 300, 100

_PEOPLE = """
import csv, datetime as dt
from lianyun.lake.land import open_file
W = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
D = [(dt.date(1950, 1, 1) + dt.timedelta(days=n)).strftime('%Y%m%d') for n in range(20000)]
def person(place, salt):
    day = D[place % 20000]
    body = f'320707{day}{place // 20000:03d}'
    own = body + '10X98765432'[sum(w * int(d) for w, d in zip(W, body)) % 11]
    return [own, f'王{(place * 31 + salt) % 9973}', day, '1' if int(own[16]) % 2 else '2', '320707',
            '01', f'{place:09d}', '2026-01-02 08:00:00']
path, mode, places, salt = given
columns = ['citizen_number', 'name', 'birth_date', 'sex', 'region_code', 'nationality',
           'household_number', 'update_time']
with open(path, 'w', newline='', encoding='utf-8') as file:
    out = csv.writer(file)
    out.writerow(columns)
    for first, last in places:
        out.writerows(person(p, salt) for p in range(first, last))
b = collection.begin_file(dataset='ga_residents', label='bench', mode=mode, by=SYSTEM)
b = collection.carry(b, lambda: open_file(path), by=SYSTEM, allow_shrink=True)
assert b.state == 'succeeded', b.message
assert b.rejected == 0, [r.reasons for r in collection.rejected(b, SYSTEM, limit=2)]
answer = collection.figures(b)
"""

_GONE = """
from lianyun.lake import merge
from lianyun.lake.land import from_rows
import pyarrow as pa
spec = collection.dataset_spec(Resource.objects.get(name='ga_residents'))
with collection.lake().connect(read_only=True) as con:
    keys = [r[0] for r in con.execute('SELECT citizen_number FROM lake.trusted.ga_residents '
            f'ORDER BY hash(citizen_number) LIMIT {given}').fetchall()]
b = collection.begin_file(dataset='ga_residents', label='bench', mode='incremental', by=SYSTEM)
b = collection.carry(b, lambda: from_rows(['citizen_number'], []), by=SYSTEM,
                     gone=lambda: pa.table({'citizen_number': keys}))
assert b.outcome['deleted'] == given, (b.message, b.outcome)
"""

_SEND = """
f = actions.arrange_upload(resource=Resource.objects.get(name='ga_residents'), link=link(), auto=False, by=SYSTEM)
answer = actions.send_flow(flow=f, by=SYSTEM).code
"""

_TOLD = """
t = Transfer.objects.get(code=given)
answer = dict(stage=t.stage, error=t.error, bytes=t.manifest.get('bytes'), rows=t.manifest.get('rows'),
              gone=t.manifest.get('gone'), since=t.manifest.get('since'), verdict=t.verdict)
"""


def meet(pair: Any) -> None:
    """Enrol the county with the city, which keeps the entry of its residents."""
    upper, lower = pair.upper, pair.lower
    for side in pair.both():
        side.ready()
        side.do(
            "Resource.objects.filter(kind='dataset').exclude(name='ga_residents').update(state='draft')"
        )
    identify = "actions.identify(code=given[0], name=given[1], level=given[2], address=given[3], by=SYSTEM)"
    upper.do(identify, ["320700", "连云港市", "city", upper.wire.address])
    lower.do("""
row = Resource.objects.get(name='ga_residents')
row.title, row.code = '赣榆区户籍人口', row.code.split('/')[0] + '/900001'
row.save()
""")
    lower.do(identify, ["320707", "赣榆区", "county", lower.wire.address])
    code = upper.do(
        "answer = actions.invite(code='320707', name='赣榆区', level='county', by=SYSTEM)[1]"
    )
    lower.do(
        "actions.join(address=given[0], invitation=given[1], by=SYSTEM)", [upper.wire.address, code]
    )
    upper.do("actions.confirm_link(link=link(), address=given, by=SYSTEM)", lower.wire.address)
    pair.settle()
    upper.do("Mirror.objects.exclude(resource=None).get()")


def send(pair: Any) -> tuple[float, dict[str, Any]]:
    """Send what the city does not have; seconds until the verdict is back, and what was sent."""
    begun = time.perf_counter()
    code = pair.lower.do(_SEND)
    while True:
        pair.settle(1)
        told = dict(pair.lower.do(_TOLD, code))
        if told["stage"] == "done":
            return time.perf_counter() - begun, told
        if told["stage"] == "failed" or time.perf_counter() - begun > 300:
            raise SystemExit(f"{told['stage']}：{told['error']}")


def bare(file: Path, urls: list[str]) -> float:
    """A COPY of the same rows out of one database into an empty table of another; seconds."""
    import psycopg

    columns = file.open(encoding="utf-8").readline().strip().split(",")
    listed = ", ".join(f"{c} text" for c in columns)
    with (
        psycopg.connect(urls[0], autocommit=True) as one,
        psycopg.connect(urls[1], autocommit=True) as two,
    ):
        for con in (one, two):
            con.execute("DROP TABLE IF EXISTS bare")
            con.execute(f"CREATE TABLE bare ({listed}, PRIMARY KEY (citizen_number))")
        with (
            file.open("rb") as opened,
            one.cursor().copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as fill,
        ):
            while piece := opened.read(1 << 20):
                fill.write(piece)
        begun = time.perf_counter()
        with (
            one.cursor().copy("COPY bare TO STDOUT (FORMAT binary)") as out,
            two.cursor().copy("COPY bare FROM STDIN (FORMAT binary)") as into,
        ):
            for block in out:
                into.write(block)
        return time.perf_counter() - begun


def measure(size: int, folder: Path, urls: list[str]) -> dict[str, Any]:
    """Everything at one size, between two nodes that are new."""
    from lianyun.capabilities.cascade.tests.pair import Pair

    pair = Pair(folder / str(size))
    file = folder / f"{size}.csv"
    try:
        meet(pair)
        pair.lower.do(_PEOPLE, [str(file), "full", [[0, size]], 0])
        seconds, told = send(pair)
        assert told["verdict"]["accepted"] == size, told
        peer = min(bare(file, urls) for _ in range(2))
        days = []
        for day in (1, 2):
            first = (size // 3) * (day - 1)
            places = [[first, first + UPDATED], [size + day * NEW, size + day * NEW + NEW]]
            pair.lower.do(_PEOPLE, [str(folder / "day.csv"), "incremental", places, day])
            pair.lower.do(_GONE, DELETED)
            days.append(send(pair))
        took, change = min(days, key=lambda d: d[0])
        assert change["since"], change
        assert change["rows"] + change["gone"] <= UPDATED + NEW + DELETED
        return {
            "rows": size,
            "rows_per_second": round(size / seconds),
            "seconds": round(seconds, 2),
            "bare_copy_seconds": round(peer, 2),
            "ratio": round(seconds / peer, 1),
            "sent_bytes": told["bytes"],
            "change_rows": change["rows"] + change["gone"],
            "change_seconds": round(took, 2),
            "change_bytes": change["bytes"],
        }
    finally:
        pair.close()


def main() -> int:
    """Print each size's figures and how a day's change grows; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    given = os.environ.get("LIANYUN_BENCH_CASCADE", "25000,100000")
    parser.add_argument("--sizes", default=given, help="rows of the table, comma between")
    asked = parser.parse_args()
    from lianyun.project.testing import create_database, drop_database

    names = [f"bare_{n}_{os.getpid()}" for n in (1, 2)]
    urls = [create_database(name) for name in names]
    told = []
    try:
        with tempfile.TemporaryDirectory(prefix="lianyun-bench-") as folder:
            for size in [int(s) for s in asked.sizes.split(",")]:
                told.append(measure(size, Path(folder), urls))
                print(json.dumps(told[-1], ensure_ascii=False), flush=True)
    finally:
        for name in names:
            drop_database(name)
    growth = told[-1]["change_seconds"] / told[0]["change_seconds"]
    more = told[-1]["change_bytes"] / told[0]["change_bytes"]
    failed = told[-1]["ratio"] > RATIO or growth > GROWTH or more > 1.1
    print(
        f"一天的变更：表大 {told[-1]['rows'] / told[0]['rows']:.0f} 倍，"
        f"用时 {growth:.2f} 倍，字节 {more:.2f} 倍"
    )
    print(
        f"目标：全量 ≤ 裸 COPY 的 {RATIO:.0f} 倍，变更用时增长 ≤ {GROWTH} 倍、字节 ≤ 1.1 倍："
        f"{'未达到' if failed else '达到'}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
