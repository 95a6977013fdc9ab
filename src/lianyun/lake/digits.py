"""Digits: check digits of whole columns at once, on the bytes of an Arrow array.

The SQL in `check` defines what is right and gives the reasons, on every engine. These two functions
only say quickly which values are certainly right; where they say no, the SQL is asked. Ten times
as fast as the same sums in SQL, which took a third of a load's time.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CITIZEN_DIGITS = "10X98765432"
FIRST_YEAR = 1850

_LENGTH = 18
_BAD = 1 << 20
_DAYS = np.array(
    [
        [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31],
        [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31],
    ]
)


_CREDIT_SUM = np.array(CREDIT_WEIGHTS, np.float32)
# One product gives a citizen number's weighted sum, year, month and day; all stay exact in float32.
_CITIZEN_SUMS = np.zeros((17, 4), np.float32)
_CITIZEN_SUMS[:, 0] = CITIZEN_WEIGHTS
_CITIZEN_SUMS[6:10, 1] = (1000, 100, 10, 1)
_CITIZEN_SUMS[10:12, 2] = (10, 1)
_CITIZEN_SUMS[12:14, 3] = (10, 1)
# Byte → value of the character; a byte that is not one of them spoils every sum.
_CREDIT = np.full(256, _BAD, np.float32)
_CREDIT[np.frombuffer(CREDIT_ALPHABET.encode(), np.uint8)] = range(31)
_RIGHT_CITIZEN = np.frombuffer(CITIZEN_DIGITS.encode(), np.uint8)
_RIGHT_CREDIT = np.frombuffer(CREDIT_ALPHABET.encode(), np.uint8)


def _matrix(texts: pa.Array) -> tuple[Any, Any]:
    """The 18-byte values as rows of bytes, and which of `texts` they are."""
    texts = texts.cast(pa.string())
    count = len(texts)
    _, offset_bytes, data_bytes = texts.buffers()
    offsets = np.frombuffer(offset_bytes, np.int32)[texts.offset : texts.offset + count + 1]
    right = np.diff(offsets) == _LENGTH
    if texts.null_count:
        right &= ~np.asarray(texts.is_null())
    data = np.frombuffer(data_bytes or b"", np.uint8)
    if right.all() and count:
        rows = data[offsets[0] : offsets[0] + count * _LENGTH].reshape(count, _LENGTH)
    else:
        rows = data[offsets[:-1][right][:, None] + np.arange(_LENGTH)]
    return rows, right


def _answer(right: Any, verdict: Any) -> pa.Array:
    if len(verdict) < len(right):
        whole = right.copy()
        whole[right] = verdict
        verdict = whole
    bits = pa.py_buffer(np.packbits(verdict, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(right), [None, bits])


def citizen_numbers_ok(texts: pa.Array) -> pa.Array:
    """Which texts are 18-digit citizen numbers in full order (GB 11643): digits, birth date, check.

    Takes an array of strings, gives booleans; NULL is FALSE. The birth date must exist and lie
    after 1849; whether it lies in the future is for the caller to ask.
    """
    rows, right = _matrix(_one(texts))
    digits = rows[:, :17] - np.uint8(ord("0"))  # what lies below "0" wraps round to above 9
    sums = (digits.astype(np.float32) @ _CITIZEN_SUMS).astype(np.int32)
    total, year, month, day = np.ascontiguousarray(sums.T)
    ok = (digits <= 9).all(axis=1) & (rows[:, 0] > ord("0")) & (year >= FIRST_YEAR)
    ok &= (month >= 1) & (month <= 12) & (day >= 1)
    ok &= rows[:, 17] == _RIGHT_CITIZEN[total % 11]
    leap = (year & 3 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    ok &= day <= _DAYS[leap.view(np.int8), np.where(ok, month, 0)]
    return _answer(right, ok)


def credit_codes_ok(texts: pa.Array) -> pa.Array:
    """Which texts are unified social credit codes in full order (GB 32100): alphabet, check.

    Takes an array of strings, gives booleans; NULL is FALSE.
    """
    rows, right = _matrix(_one(texts))
    values = _CREDIT.take(rows[:, :17])
    total = (values @ _CREDIT_SUM).astype(np.int32)
    ok = (total < _BAD) & (rows[:, 2:8] <= ord("9")).all(axis=1)
    ok &= rows[:, 17] == _RIGHT_CREDIT[(31 - total % 31) % 31]
    return _answer(right, ok)


def _one(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def teach(con: duckdb.DuckDBPyConnection) -> None:
    """Makes both functions known to a DuckDB as `citizen_numbers_ok` and `credit_codes_ok`."""
    for function in (citizen_numbers_ok, credit_codes_ok):
        con.create_function(  # type: ignore[call-overload]
            function.__name__,
            function,
            ["VARCHAR"],
            "BOOLEAN",
            type="arrow",
            null_handling="special",
        )
