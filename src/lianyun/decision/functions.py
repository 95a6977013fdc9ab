"""Functions: the few functions that S-FEEL texts may call, all of them pure (DMN 1.3, 10.3.4)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from . import values
from .values import Months


def _of_text(reader: Callable[[str], Any]) -> Callable[..., Any]:
    return lambda text: reader(text) if isinstance(text, str) else None


def _date(*given: Any) -> Any:
    match given:
        case (str() as text,):
            return values.date(text)
        case (dt.datetime() as moment,):
            return moment.date()
        case (dt.date() as day,):
            return day
        case (Decimal() as year, Decimal() as month, Decimal() as day):
            return dt.date(int(year), int(month), int(day))
    return None


def _time(*given: Any) -> Any:
    match given:
        case (str() as text,):
            return values.time(text)
        case (dt.datetime() as moment,):
            return moment.timetz()
        case (Decimal() as hour, Decimal() as minute, Decimal() as second):
            return dt.time(int(hour), int(minute), int(second))
    return None


def _moment(*given: Any) -> Any:
    match given:
        case (str() as text,):
            return values.date_and_time(text)
        case (dt.date() as day, dt.time() as clock):
            return dt.datetime.combine(day, clock)
    return None


def _numbers(given: tuple[Any, ...]) -> list[Decimal] | None:
    flat = given[0] if len(given) == 1 and isinstance(given[0], list) else list(given)
    return flat if flat and all(isinstance(v, Decimal) for v in flat) else None


def _sum(*given: Any) -> Any:
    found = _numbers(given)
    return sum(found, Decimal(0)) if found else None


def _extreme(pick: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any) -> Any:
        flat = given[0] if len(given) == 1 and isinstance(given[0], list) else list(given)
        kinds = {values.family(v) for v in flat}
        return pick(flat) if len(kinds) == 1 and kinds - {"null"} else None

    return run


def _rounded(mode: str) -> Callable[..., Any]:
    def run(value: Decimal, scale: Decimal = Decimal(0)) -> Decimal:
        return value.quantize(Decimal(1).scaleb(-int(scale)), rounding=mode)

    return run


def _months_between(start: dt.date, end: dt.date) -> Months:
    months = (end.year - start.year) * 12 + end.month - start.month
    if months > 0 and end.day < start.day:
        months -= 1
    if months < 0 and end.day > start.day:
        months += 1
    return Months(months)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "date": _date,
    "time": _time,
    "date and time": _moment,
    "duration": _of_text(values.duration),
    "years and months duration": _months_between,
    "number": lambda text: values.number(text) if isinstance(text, str) else None,
    "string": lambda value: None if value is None else str(values.plain(value)),
    "not": lambda value: None if not isinstance(value, bool) else not value,
    "count": lambda listed: Decimal(len(listed)) if isinstance(listed, list) else None,
    "list contains": lambda listed, one: any(values.equal(v, one) is True for v in listed),
    "sum": _sum,
    "min": _extreme(min),
    "max": _extreme(max),
    "abs": lambda value: abs(value) if isinstance(value, Decimal) else None,
    "floor": _rounded(ROUND_FLOOR),
    "ceiling": _rounded(ROUND_CEILING),
    "decimal": _rounded(ROUND_HALF_EVEN),
    "string length": lambda text: Decimal(len(text)) if isinstance(text, str) else None,
    "upper case": lambda text: text.upper(),
    "lower case": lambda text: text.lower(),
    "contains": lambda text, part: part in text if isinstance(text, str) else None,
    "starts with": lambda text, part: text.startswith(part),
    "ends with": lambda text, part: text.endswith(part),
    "substring": lambda text, start, length=None: _substring(text, start, length),
}


def _substring(text: str, start: Decimal, length: Decimal | None) -> str | None:
    """Characters from a place (1 is the first, -1 the last)."""
    if start == 0:
        return None
    begin = int(start) - 1 if start > 0 else max(len(text) + int(start), 0)
    return text[begin:] if length is None else text[begin : begin + int(length)]
