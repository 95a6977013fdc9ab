"""Packages: one package of five items filed, beside the same five items filed one by one.

``python benchmarks/packages.py [--families N] [--growth K]`` prepares N families whose child was born: each
has the package 新生儿出生一件事 complete up to the button, and the same five items complete as five single
applications. Timed is the press alone: one filing of the package (its own case, three items opened,
two handed over to wait) and five filings of the hall. Then K times as many, to see how it grows.
Beside it: how many questions and materials asking once spares. Target: at most 1.5 × the five.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
import zlib
from collections.abc import Callable
from statistics import median
from typing import Any

from installation import installation

TARGET = 1.5
PACKAGE = "newborn"
ANSWERS = {"follow": "father", "married": "yes", "insure": "yes", "settled": "no"}
TOLD = {
    "phone": "13812345678",
    "residence_address": "海州区某路 1 号",
    "birth_certificate": "S320000001",
    "newborn_name": "张小满",
    "sex": "1",
    "birth_time": "2026-11-01T08:30",
    "nationality": "01",
    "mother_name": "李四",
    "registered_address": "海州区某路 1 号",
    "truth": "1",
}


def number(n: int) -> str:
    """The n-th father's number, with its check digit."""
    from lianyun.kernel.element import citizen_check_digit

    first = f"3207031990{n // 28 % 12 + 1:02d}{n % 28 + 1:02d}{n * 2 % 1000 + 1:03d}"
    return first + citizen_check_digit(first)


def pour(low: int, high: int) -> None:
    """These fathers in the population library, each with his household."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.libraries import api as libraries
    from lianyun.kernel.access import SYSTEM
    from lianyun.lake.shelves import Column, ensure_table

    rows = [
        {
            "citizen_number": number(n),
            "name": f"张{n}",
            "household_number": f"H{n:04d}",
            "registered_address": "海州区某路 1 号",
            "phone": "13812345678",
            "update_time": "2026-11-02 08:00:00",
            "_batch": "b1",
            "_line": "1",
            "_loaded_at": "2026-11-02 08:00:00",
        }
        for n in range(low, high)
    ]
    with collection.lake().connect() as con:
        ensure_table(con, "trusted", "ga_residents", [Column(c) for c in rows[0]])
        marks = ", ".join("?" for _ in rows[0])
        con.execute("BEGIN")
        con.executemany(
            f"INSERT INTO lake.trusted.ga_residents ({', '.join(rows[0])}) VALUES ({marks})",
            [list(r.values()) for r in rows],
        )
        con.execute("COMMIT")
    libraries.build_library(name="population", by=SYSTEM)


def picture(shade: int) -> bytes:
    """A whole picture of one dot; another shade is another picture."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, shade, 255, 255]))),
        (b"IEND", b""),
    ):
        out += (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )
    return out


def fill_in(code: str, mother: str, by: Any) -> None:
    """Fill a draft's parts as its pages would; what is known already is left alone."""
    from lianyun.capabilities.forms import api as forms

    draft = forms.draft_of(code, by)
    told = {**TOLD, "mother_number": mother, "signed": by.name}
    seen = forms.answers(draft, by)
    for part in forms.merged(draft.forms).parts:
        values = {f.id: seen.get(f.id) or told.get(f.id) for f in part.fields}
        posted = {name: [str(value)] for name, value in values.items() if value}
        saved = forms.save_part(draft, part.id, posted, 0, by=by)
        assert saved.good, (part.id, saved.errors)


def package(by: Any, mother: str) -> Any:
    """One father's package, complete up to the button."""
    from lianyun.capabilities.packages import api
    from lianyun.capabilities.packages.models import Filing

    made = api.begin(PACKAGE, applicant=by.party, answers=ANSWERS, by=by)
    api.consent(made, keys=["library:population"], by=by)
    made = Filing.objects.get(pk=made.pk)
    fill_in(made.draft, mother, by)
    api.carry(made, by=by)
    api.verify(made, by=by)
    for shade, one in enumerate(api.materials(made, by)):
        if one.lacking:
            api.hand_in(made, one.id, f"{one.name}.png", picture(shade), by=by)
    return Filing.objects.get(pk=made.pk)


def singles(of: Any, by: Any, mother: str) -> list[Any]:
    """The package's items as single applications of the same father, complete up to the button."""
    from lianyun.capabilities.hall import api as hall
    from lianyun.kernel.access import SYSTEM

    out = []
    for begun in hall.of_bundle(of.ref, SYSTEM):
        made = hall.begin(begun.item, applicant=by.party, answers=begun.answers, by=by)
        keys = [f"{a['kind']}:{a['name']}" for a in made.asked if a["name"] == "population"]
        row = hall.consent(made, keys=keys, by=by)
        hall.look_up(row, by=by)
        row = type(made).objects.get(pk=made.pk)
        fill_in(row.draft, mother, by)
        hall.verify(row, by=by)
        for shade, one in enumerate(hall.materials(row, by)):
            if one.required and not one.met:
                hall.hand_in(row, one.id, (f"{one.name}.png", picture(shade)), by=by)
        out.append(type(made).objects.get(pk=made.pk))
    return out


def father(n: int) -> Any:
    """A father who was proven at a counter."""
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import actor_of

    party = identity.party_of_number(number(n), name=f"张{n}")
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    return actor_of(party)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def measure(families: int, growth: int) -> bool:
    """Prepare, press, print; whether the target is met."""
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.libraries import api as libraries
    from lianyun.capabilities.packages import api
    from lianyun.kernel.access import SYSTEM

    items.sync_declared(by=SYSTEM)
    libraries.sync_libraries(by=SYSTEM)
    done, met, first = 0, True, 0.0
    for count in (families, families * growth):
        pour(done, done + count)
        ours, theirs, wanted = list[float](), list[float](), 0
        for n in range(done, done + count):
            by, mother = father(n), number(n + 5000)
            filing = package(by, mother)
            rows = singles(filing, by, mother)
            wanted = len(rows)

            def once(filing: Any = filing, by: Any = by) -> None:
                api.file(filing, by=by)

            def one_by_one(rows: list[Any] = rows, by: Any = by) -> None:
                for row in rows:
                    hall.file(row, by=by)

            turns = [(ours, once), (theirs, one_by_one)]
            for kept, work in turns if n % 2 else reversed(turns):
                kept.append(timed(work))
        done += count
        saved = type(filing).objects.get(pk=filing.pk).saved
        mine, other = median(ours), median(theirs)
        first = first or mine
        print(
            f"{count} 户提交“{filing.name}”（{wanted} 个事项）：套餐一次 {mine:.1f} 毫秒"
            f"   逐项 {wanted} 次 {other:.1f} 毫秒   比 {mine / other:.2f}（目标不超过 {TARGET}）"
            f"   材料 {saved['materials']}/{saved['materials_apart']}"
            f"   填写项 {saved['fields']}/{saved['fields_apart']}",
            flush=True,
        )
        met &= mine / other <= TARGET
    print(f"件数增至 {growth + 1} 倍，套餐提交之比 {mine / first:.2f}")
    return met


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=10)
    parser.add_argument("--growth", type=int, default=3)
    arguments = parser.parse_args()
    with installation():
        met = measure(arguments.families, arguments.growth)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
