"""Masks: in SQL are the kernel's masks, on every input."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lianyun.kernel.element import MASKS, mask_value
from lianyun.lake.mask import masked

TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=24),
    st.text(alphabet="0123456789X张𠮷é* '\"\\", max_size=12),
    st.sampled_from(["", " ", "张", "欧阳修", "320700190001010011", "13800000000", "é"]),
)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "VARCHAR": TEXTS,
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False, width=64),
    "BOOLEAN": st.booleans(),
    "DATE": st.dates(min_value=dt.date(1000, 1, 1)),
    "TIMESTAMP": st.datetimes(min_value=dt.datetime(1000, 1, 1)),  # noqa: DTZ001 - no zone
    "DECIMAL(18,2)": st.decimals(min_value=Decimal("-1e15"), max_value=Decimal("1e15"), places=2),
}


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _both(
    con: duckdb.DuckDBPyConnection, kind: str, values: list[Any], mask: str
) -> tuple[list[Any], list[Any]]:
    con.execute(f"CREATE OR REPLACE TEMP TABLE t (n INTEGER, v {kind})")
    con.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(values)))
    asked = con.execute(f"SELECT {masked('v', mask, kind)} FROM t ORDER BY n").fetchall()
    return [row[0] for row in asked], [mask_value(mask, value) for value in values]


@pytest.mark.parametrize("mask", [*MASKS, "unheard_of"])
@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=30))
@example(values=[None, "", "a", "1234567", "12345678", "张三", "\x00", "中" * 30])
def test_text_is_masked_as_the_kernel_masks_it(
    con: duckdb.DuckDBPyConnection, mask: str, values: list[str | None]
) -> None:
    there, here = _both(con, "VARCHAR", values, mask)
    assert there == here


@pytest.mark.parametrize("mask", [m for m in MASKS if m != "none"])
@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_other_types_are_masked_as_their_text(
    con: duckdb.DuckDBPyConnection, kind: str, mask: str, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), KINDS[kind]), min_size=1, max_size=12))
    there, here = _both(con, kind, values, mask)
    assert there == here
