"""Licences: issued in bulk and as signed PDFs, checked, held; beside pyHanko in a loop and the bare cost.

``python benchmarks/licences.py [--rows N] [--files N] [--peer N]`` sets up an installation of its own
with a department, its seal and a register of N rows, and measures: rows issued from the register;
files drawn, sealed (PAdES B-LT) and kept by the product's bulk way over all cores, beside the same
sheets drawn by the same warm compiler and signed by pyHanko called per file in a loop; the product on
one core beside the bare cost of layout (QR code and typst) and signature (CMS with time stamp), CPU
seconds, which nothing can save; files checked on one core, whole verdict with seal, register and
database; what a person with five licences holds; how the bulk way grows with ten times the files.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from installation import installation

PEER_TARGET, CORE_TARGET, CHECK_TARGET, HELD_TARGET = 3.0, 0.8, 200.0, 0.010
KIND = "residence_permit"


def numbers(count: int) -> list[str]:
    """Citizen numbers of people who do not exist, with right check characters."""
    import datetime as dt

    from lianyun.kernel.element import citizen_check_digit

    out = []
    for n in range(count):
        day = dt.date(1950, 1, 1) + dt.timedelta(days=n % 20_000)
        body = f"320703{day:%Y%m%d}{n // 20_000 * 100 + n % 97:03d}"
        out.append(body + citizen_check_digit(body))
    return list(dict.fromkeys(out))


def prepare(count: int) -> Any:
    """A register of so many rows, a seal for its department; returns the department."""
    import pyarrow as pa

    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.seals import api as seals
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    people = numbers(count)
    table = pa.table(
        {
            "licence_number": [f"3207{n:012d}" for n in range(len(people))],
            "citizen_number": people,
            "name": [f"张{n}" for n in range(len(people))],
            "residence_address": [f"海州区苍梧路{n}号" for n in range(len(people))],
            "issued_on": ["2026-05-20"] * len(people),
        }
    )
    with collection.lake().connect() as con:
        con.register("rows_given", table)
        con.execute(
            "CREATE OR REPLACE TABLE lake.trusted.ga_residence_permits AS"
            " SELECT * REPLACE (CAST(issued_on AS DATE) AS issued_on) FROM rows_given"
        )
    police = department("ga")
    case = seals.request_seal(
        department=police,
        kind="organ",
        title="市公安局证照专用章",
        name=police.name,
        below="证照专用章",
        automatic=list(seals.AUTOMATIC),
        reason="试",
        by=SYSTEM,
    )
    while (item := case.items.filter(done_at=None).first()) is not None:
        case = seals.do_step(item=item, outcome=item.declared.outcomes[0].name, by=SYSTEM)
    return police


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of this process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def wall(work: Callable[[], Any]) -> float:
    """Seconds by the clock."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def tell(name: str, **figures: Any) -> None:
    """One line a figure."""
    print(json.dumps({"figure": name, **figures}, ensure_ascii=False), flush=True)


def measure(given: Any) -> bool:
    """All figures; whether every target was met."""
    from seals import House  # the bench beside this one: an authority for pyHanko

    from lianyun.capabilities.licences import actions, api
    from lianyun.capabilities.licences.adapters import press, shelf
    from lianyun.capabilities.licences.models import Document, Licence
    from lianyun.capabilities.licences.queries import licences, verdicts
    from lianyun.kernel.access import ANONYMOUS, SYSTEM, actor_of
    from lianyun.trust import cms

    prepare(given.rows)
    seconds = wall(lambda: actions.issue_from_register(KIND, by=SYSTEM))
    again = wall(lambda: actions.issue_from_register(KIND, by=SYSTEM))
    tell(
        "issued_from_register",
        rows=given.rows,
        seconds=round(seconds, 2),
        per_second=round(given.rows / seconds),
        run_again_seconds=round(again, 2),
    )

    cores = os.cpu_count() or 1
    house = House()
    sign, signer = house.theirs(), house.ours()
    rows = list(Licence.objects.select_related("grant__grantor").order_by("-pk")[: given.peer + 1])
    sheets = [actions.sheet_of(row, row.check_code) for row in rows]
    press.draw(sheets[0])
    sign(press.draw(sheets[0]))

    def peer() -> None:
        for sheet in sheets[1:]:
            sign(press.draw(sheet))

    def bare() -> None:
        for sheet in sheets[1:]:
            press.draw(sheet)
            cms.make(signer.key, signer.certificate, signer.between, b"1" * 32, signer.stamp)

    def ours(count: int, cores: int) -> None:
        done = actions.make_files(KIND, limit=count, cores=cores, by=SYSTEM)
        assert done == count, done

    ours(actions.PORTION, 1)  # what is made at the first time only: authority, answers, compiler
    rounds = range(3)
    single = statistics.median(cpu(lambda: ours(given.peer, 1)) / cpu(bare) for _ in range(5))
    told = []
    for _ in rounds:
        theirs = wall(peer) / given.peer
        mine = wall(lambda: ours(given.files, cores)) / given.files
        told.append((theirs / mine, mine, theirs))
    ratio, mine, theirs = sorted(told)[1]
    tell(
        "signed_pdfs",
        cores=cores,
        per_second=round(1 / mine, 1),
        pyhanko_loop=round(1 / theirs, 1),
        ratio=round(ratio, 2),
        target=PEER_TARGET,
    )
    tell("signed_pdfs_per_core", of_bare_cost=round(1 / single, 2), target=CORE_TARGET)
    long = wall(lambda: ours(given.files * 5, cores)) / given.files / 5
    tell("signed_pdfs_growth", files=given.files * 5, time_ratio_per_file=round(long / mine, 2))

    digests = list(Document.objects.values_list("digest", flat=True)[:60])
    files = [shelf.get(digest) or b"" for digest in digests]
    assert all(verdicts.by_file(ANONYMOUS, file).good for file in files[:3])
    verify = len(files) / statistics.median(
        cpu(lambda: [verdicts.by_file(ANONYMOUS, file) for file in files]) for _ in rounds
    )
    tell("verified_per_core", per_second=round(verify), target=CHECK_TARGET)

    first = rows[0]
    holder = first.grant.grantee
    told_of = licences.elements(first)
    for n in range(4):
        api.issue(
            "freight_permit",
            holder,
            {
                "holder_name": told_of["name"],
                "holder_number": told_of["citizen_number"],
                "plate_number": f"苏G1234{n}",
                "route": "海连路",
            },
            once=f"bench-{n}",
            by=SYSTEM,
        )
    viewer = actor_of(holder)
    held = statistics.median(wall(lambda: api.held(holder, viewer)) for _ in range(50))
    assert len(api.held(holder, viewer)) == 5
    tell("held", licences=5, milliseconds=round(held * 1000, 1), target=HELD_TARGET * 1000)
    return (
        ratio >= PEER_TARGET
        and 1 / single >= CORE_TARGET
        and verify >= CHECK_TARGET
        and held <= HELD_TARGET
    )


def main() -> int:
    """Parse, prepare a new installation, measure; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--peer", type=int, default=40)
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # pyHanko warns at each file that it may not fetch
    with installation():
        met = measure(given)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
