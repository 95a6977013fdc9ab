"""Digits: the quick answer is the SQL's answer, on right, wrong and absurd values."""

from __future__ import annotations

import random

import pyarrow as pa

from lianyun.lake import digits
from lianyun.lake.check import ItemCheck, compile_checks
from lianyun.lake.shelves import open_duckdb

RIGHT = {
    "citizen_number": ["320703199003070016", "11010519491231002X", "320722200002290011"],
    "credit_code": ["91350100M000100Y43", "11320700014315120J"],
}


def spoiled(dice: random.Random, values: list[str]) -> list[str | None]:
    """Right values, each also with one character changed, cut, stretched or widened."""
    odd = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcx -/:é中\U0001f600"
    made: list[str | None] = [None, "", "x", *values]
    for value in values:
        for _ in range(2000):
            at = dice.randrange(18)
            made.append(value[:at] + dice.choice(odd) + value[at + 1 :])
        made += [value[:17], value + "0", " " + value, value[:9] + "中" * 3]
    dice.shuffle(made)
    return made


def test_quick_and_exact_answers_agree() -> None:
    dice = random.Random(7)
    with open_duckdb(threads=1) as con:
        for check, quick in (
            ("citizen_number", digits.citizen_numbers_ok),
            ("credit_code", digits.credit_codes_ok),
        ):
            texts = pa.array(spoiled(dice, RIGHT[check]), pa.string())
            rows = pa.table({"_line": pa.array(range(len(texts))), "x": texts})  # noqa: F841
            checks = compile_checks([ItemCheck("x", "号码", check=check)], [])
            checks.prepare(con)
            exact = con.execute(
                f"SELECT x, coalesce(_ok AND x IS NOT NULL AND length(x) = 18, FALSE) FROM "
                f"({checks.verdicts('rows')}) ORDER BY _line"
            ).fetchall()
            # What the exact reading mends (wide digits, small letters) the quick one leaves to it.
            for text, (kept, good), fast in zip(
                texts.to_pylist(), exact, quick(texts).to_pylist(), strict=True
            ):
                assert fast == (good and kept == text), text


def test_slices_empty_and_chunked_arrays() -> None:
    texts = pa.array(["x", *RIGHT["citizen_number"], None])
    whole = digits.citizen_numbers_ok(texts).to_pylist()
    assert whole[:3] == [False, True, True]
    assert digits.citizen_numbers_ok(texts.slice(1, 3)).to_pylist() == whole[1:4]
    assert digits.citizen_numbers_ok(texts.slice(4)).to_pylist() == [False]
    assert digits.citizen_numbers_ok(texts.slice(0, 0)).to_pylist() == []
    chunked = pa.chunked_array([texts.slice(0, 2), texts.slice(2)])
    assert digits.citizen_numbers_ok(chunked).to_pylist() == whole
