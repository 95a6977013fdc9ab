"""Values: FEEL's numbers, texts, days, times and durations, and how they compare and add (DMN 1.3, 10.3)."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

CONTEXT = Context(prec=34)
"""IEEE 754 decimal128, as DMN 1.3 §10.3.2.3 has it."""


@dataclass(frozen=True, order=True)
class Months:
    """A years-and-months duration, in months."""

    months: int

    @property
    def years(self) -> int:
        """Whole years, towards zero."""
        return int(self.months / 12)

    def __str__(self) -> str:
        sign, left = ("-" if self.months < 0 else ""), abs(self.months)
        years, months = divmod(left, 12)
        text = (f"{years}Y" if years else "") + (f"{months}M" if months else "")
        return f"{sign}P{text or '0M'}"


_DURATION = re.compile(
    r"(?P<sign>-)?P(?:(?P<years>\d{1,9})Y)?(?:(?P<months>\d{1,9})M)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9}(?:\.\d+)?)S)?)?"
)


def duration(text: str) -> Months | dt.timedelta | None:
    """An ISO 8601 duration: of years and months, or of days and time; None for any other text."""
    found = _DURATION.fullmatch(text)
    if found is None or text[-1] in "PT":
        return None
    part = {k: v for k, v in found.groupdict().items() if v is not None}
    sign = -1 if part.pop("sign", None) else 1
    if {"years", "months"} & set(part):
        if {"days", "hours", "minutes", "seconds"} & set(part):
            return None
        return Months(sign * (12 * int(part.get("years", 0)) + int(part.get("months", 0))))
    try:
        return sign * dt.timedelta(**{k: float(v) for k, v in part.items()})
    except OverflowError:
        return None


def date(text: str) -> dt.date | None:
    """A day written YYYY-MM-DD; None for any other text."""
    try:
        return dt.date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def time(text: str) -> dt.time | None:
    """A time of day, with or without an offset; None for any other text."""
    if not re.fullmatch(r"\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", text):
        return None
    try:
        return dt.time.fromisoformat(text)
    except ValueError:
        return None


def date_and_time(text: str) -> dt.datetime | None:
    """A day and time; a day alone is its midnight; None for any other text."""
    day, mark, clock = text.partition("T")
    on, at = date(day), time(clock) if mark else dt.time(0)
    return dt.datetime.combine(on, at) if on is not None and at is not None else None


def number(value: object) -> Decimal | None:
    """A FEEL number of a Python number or a numeral; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | Decimal):
            return CONTEXT.create_decimal(value)
        if isinstance(value, float | str):
            found = CONTEXT.create_decimal(str(value).strip())
            return found if found.is_finite() else None
    except InvalidOperation:
        return None
    return None


def feel(value: object, kind: str = "") -> Any:
    """A FEEL value of what a case's data (JSON) or Python holds; `kind` is the declared typeRef.

    A text becomes a day, time or duration only where that type is declared. What does not fit its
    declared type is None, as DMN has it.
    """
    if isinstance(value, bool) or value is None:
        return value if kind in ("", "Any", "boolean") else None
    if isinstance(value, list | tuple):
        return [feel(v, kind) for v in value]
    if isinstance(value, dict):
        return {str(k): feel(v) for k, v in value.items()}
    if kind in ("number", "integer", "long", "double"):
        return number(value)
    if isinstance(value, str):
        reader = _READERS.get(kind)
        if reader is not None:
            return reader(value.strip())
        return value if kind in ("", "Any", "string") or kind not in _KINDS else None
    if isinstance(value, int | float | Decimal):
        if kind == "string":
            return None
        return number(value)
    if kind == "date" and isinstance(value, dt.datetime):
        return value.date()
    return value


_READERS: dict[str, Any] = {
    "date": date,
    "time": time,
    "date and time": date_and_time,
    "dateTime": date_and_time,
    "duration": duration,
    "days and time duration": duration,
    "years and months duration": duration,
    "dayTimeDuration": duration,
    "yearMonthDuration": duration,
    "boolean": lambda text: {"true": True, "false": False}.get(text.lower()),
}
_KINDS = {*_READERS, "number", "integer", "long", "double"}


def plain(value: object) -> Any:
    """A value as JSON holds it: whole numbers as int, days, times and durations as ISO text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return iso(value)
    if isinstance(value, Months):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def iso(value: dt.timedelta) -> str:
    """A days-and-time duration as ISO 8601 text."""
    sign, left = ("-" if value < dt.timedelta(0) else ""), abs(value)
    hours, rest = divmod(left.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    text = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if seconds or left.microseconds:
        text += f"{Decimal(seconds) + Decimal(left.microseconds) / 1_000_000:f}S"
    days = f"{left.days}D" if left.days else ""
    return f"{sign}P{days}{'T' + text if text else ''}" if days or text else "PT0S"


def family(value: object) -> str:
    """Which values may be compared with each other."""
    if isinstance(value, bool):
        return "boolean"
    for kind, name in (
        (Decimal, "number"), (str, "string"), (dt.datetime, "date and time"), (dt.date, "date"),
        (dt.time, "time"), (dt.timedelta, "days"), (Months, "months"), (list, "list"),
        (dict, "context"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return name
    return "null"


def equal(left: object, right: object) -> bool | None:
    """FEEL's `=`: null equals null only; different kinds give null (None)."""
    if left is None or right is None:
        return left is right
    if family(left) != family(right):
        return None
    if isinstance(left, dt.datetime | dt.time) and _zones_differ(left, right):
        return False
    return bool(left == right)


def _zones_differ(left: Any, right: Any) -> bool:
    return (left.tzinfo is None) != (right.tzinfo is None)


def less(left: Any, right: Any) -> bool | None:
    """FEEL's `<`: numbers, texts, days, times, durations; null (None) for anything else."""
    kind = family(left)
    if kind != family(right) or kind in ("null", "boolean", "list", "context"):
        return None
    if kind in ("time", "date and time") and _zones_differ(left, right):
        return None
    return bool(left < right)


def compare(operator: str, left: Any, right: Any) -> bool | None:
    """One of = != < <= > >= with three values."""
    if operator in ("=", "!="):
        same = equal(left, right)
        return same if operator == "=" or same is None else not same
    if operator == "<":
        return less(left, right)
    if operator == ">":
        return less(right, left)
    strict = less(left, right) if operator == "<=" else less(right, left)
    return None if strict is None else strict or bool(equal(left, right))


def _month_later(day: dt.date, months: int) -> dt.date | None:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return None
    for last in (day.day, 30, 29, 28):
        try:
            return day.replace(year=year, month=month + 1, day=min(day.day, last))
        except ValueError:
            continue
    return None


def _time_plus(clock: dt.time, span: dt.timedelta) -> dt.time:
    moved = dt.datetime.combine(dt.date(2000, 1, 1), clock) + span
    return moved.timetz()


def add(left: Any, right: Any, sign: int = 1) -> Any:
    """`left + right`, or with sign -1 `left - right`; null where they cannot be added."""
    kinds = (family(left), family(right))
    try:
        match kinds:
            case ("number", "number"):
                return CONTEXT.add(left, right if sign == 1 else -right)
            case ("string", "string") if sign == 1:
                return left + right
            case ("days", "days"):
                return left + sign * right
            case ("months", "months"):
                return Months(left.months + sign * right.months)
            case ("date" | "date and time", "months"):
                return _month_later(left, sign * right.months)
            case ("date and time", "days"):
                return left + sign * right
            case ("date", "days"):
                return (dt.datetime.combine(left, dt.time(0)) + sign * right).date()
            case ("time", "days"):
                return _time_plus(left, sign * right)
            case ("days" | "months", _) if sign == 1 and kinds[1] in (
                "date",
                "date and time",
                "time",
            ):
                return add(right, left)
            case ("date", "date") if sign == -1:
                return left - right
            case ("date and time", "date and time") if sign == -1:
                return None if _zones_differ(left, right) else left - right
            case ("time", "time") if sign == -1:
                day = dt.date(2000, 1, 1)
                return (
                    None
                    if _zones_differ(left, right)
                    else dt.datetime.combine(day, left) - dt.datetime.combine(day, right)
                )
    except (OverflowError, InvalidOperation, ValueError):
        return None
    return None


def multiply(operator: str, left: Any, right: Any) -> Any:
    """`*`, `/`, `**`; a duration may be multiplied and divided by a number; null elsewhere."""
    kinds = (family(left), family(right))
    try:
        match operator, kinds:
            case "*", ("number", "number"):
                return CONTEXT.multiply(left, right)
            case "/", ("number", "number"):
                return None if right == 0 else CONTEXT.divide(left, right)
            case "**", ("number", "number"):
                return CONTEXT.power(left, right) if abs(right) <= 9999 else None
            case "*", ("number", "days" | "months"):
                return multiply("*", right, left)
            case "*", ("days", "number"):
                return left * float(right)
            case "*", ("months", "number"):
                return Months(int(left.months * right))
            case "/", ("days", "number"):
                return None if right == 0 else left / float(right)
            case "/", ("months", "number"):
                return None if right == 0 else Months(int(left.months / right))
            case "/", ("days", "days"):
                return number(left / right) if right else None
    except (OverflowError, InvalidOperation, ValueError, ZeroDivisionError, ArithmeticError):
        return None
    return None
