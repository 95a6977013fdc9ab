"""Invented: an applicant whom nobody is, and what he would answer (模拟数据)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

NUMBER, PHONE, NAME = "329900199003070015", "13900000000", "模拟申请人"
"""Region 3299 was never given out, so that the number is nobody's."""
CREDIT, ENTITY = "91329900MA00000019", "模拟有限公司"
NOTE = "模拟数据"


def answer(
    asked: Any,
    options: Sequence[tuple[str, str]],
    today: dt.date,
    fits: Callable[[str], bool],
) -> list[str]:
    """What the invented applicant posts for a question; `fits` judges a text (empty where none does)."""
    if asked.kind in ("choice", "multi"):
        return [options[0][0]] if options else []
    if asked.kind in ("file",):
        return []
    if asked.kind == "signature":
        return [NAME]
    if asked.kind == "declaration":
        return ["1"]
    if asked.kind in ("date", "moment"):
        days = (0, 30, 365, -30, -4000, -12000)
        texts = [(today + dt.timedelta(days=n)).isoformat() for n in days]
        texts += [f"{t}T09:00" for t in texts]
    elif asked.kind in ("number", "money"):
        low = asked.low if isinstance(asked.low, int | float) else 1
        texts = [f"{low:g}", "1", "10", "100", "0"]
    else:
        known = {"citizen_number": NUMBER, "credit_code": CREDIT, "phone": PHONE}
        first = [known[asked.check]] if asked.check in known else []
        names = [ENTITY if "entity" in asked.id or "unit" in asked.id else NAME]
        if asked.mask == "name":
            first += names
        texts = [
            *first, f"{NOTE}{asked.title}"[: int(asked.high or 50)], *names, "模拟", "12345678",
            "1" * int(asked.low or 1), "A" * int(asked.low or 1), "苏GZ9999", "222000",
        ]  # fmt: skip
    return [next((t for t in texts if fits(t)), "")]


__all__ = ["CREDIT", "ENTITY", "NAME", "NOTE", "NUMBER", "PHONE", "answer"]
