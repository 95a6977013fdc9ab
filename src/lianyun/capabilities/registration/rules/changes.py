"""Change: which columns of a firm's row an application touches, and what may stand in its way.

市场主体登记管理条例 (Order 746) art. 24 (changes), 31 to 34 (cancellation); 公司法 art. 239, 240.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

CHANGE, CANCEL = "change", "cancel"
KINDS = {CHANGE: "变更登记", CANCEL: "注销登记"}
CLEAR, OBJECTED = "clear", "objected"
GONE = "3"
"""The register's word for a firm that was cancelled (code list entity_status)."""

NAME, ADDRESS, HEAD, CAPITAL, SCOPE, HOLDERS = (
    "name", "address", "legal", "capital", "scope", "holder",
)  # fmt: skip
ITEMS = {
    NAME: "名称", ADDRESS: "住所", HEAD: "法定代表人",
    CAPITAL: "注册资本", SCOPE: "经营范围", HOLDERS: "股东",
}  # fmt: skip
COLUMNS = {
    NAME: {"entity_name": "new_name"},
    ADDRESS: {"business_address": "new_address", "town_code": "new_town_code"},
    HEAD: {
        "legal_representative": "new_representative",
        "legal_rep_number": "new_representative_number",
    },
    CAPITAL: {"registered_capital": "new_capital"},
    SCOPE: {"business_scope": "new_scope"},
    HOLDERS: {},
}
"""The register's columns of each item, each with the form's field that holds the new value."""
TITLES = {
    "entity_name": "名称", "business_address": "住所", "town_code": "所在乡镇街道",
    "region_code": "行政区划", "legal_representative": "法定代表人",
    "legal_rep_number": "法定代表人身份号码", "registered_capital": "注册资本（万元）",
    "business_scope": "经营范围",
}  # fmt: skip
PRINTED = frozenset(
    {
        "entity_name", "legal_representative", "registered_capital", "business_address",
        "business_scope",
    }
)  # fmt: skip
"""What of it stands on the business licence."""


@dataclass(frozen=True)
class Pair:
    """One column of a firm's row, as it is registered and as it is asked for."""

    column: str
    before: str
    after: str

    @property
    def title(self) -> str:
        """The column's Chinese title."""
        return TITLES.get(self.column, self.column)


def wanted(answers: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The items that a form changes, and the new value of each column of the register.

    Only what belongs to a ticked item counts, whatever else was typed before.
    """
    ticked = answers.get("items") or []
    items = tuple(i for i in ITEMS if i in ([ticked] if isinstance(ticked, str) else ticked))
    values: dict[str, str] = {}
    for item in items:
        for column, field in COLUMNS[item].items():
            value = str(answers.get(field) or "").strip()
            if value:
                values[column] = value
    if values.get("town_code"):
        values["region_code"] = values["town_code"][:6]
    return items, values


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False


def differing(row: Mapping[str, str], values: Mapping[str, str]) -> list[Pair]:
    """What would really change of a registered row."""
    return [
        Pair(column, row.get(column, ""), value)
        for column, value in values.items()
        if not _same(row.get(column, ""), value)
    ]


def standing_fault(row: Mapping[str, str] | None, words: Mapping[str, str]) -> str:
    """Why a firm's row bears neither change nor cancellation today; empty where it does.

    A firm that rests (歇业) may be cancelled, but not changed: that is told by whoever asks. `words`
    are the code list's names.
    """
    if row is None:
        return "登记库中没有这家企业"
    status = row.get("entity_status", "1")
    if status in ("1", "5"):
        return ""
    return f"登记库中这家企业的状态是“{words.get(status, status)}”"


def notice_ends(begins: dt.date, days: int) -> dt.date:
    """The last day of a public notice; the day on which it begins does not count (民法典 art. 201)."""
    return begins + dt.timedelta(days=days)


__all__ = [
    "CANCEL",
    "CHANGE",
    "CLEAR",
    "COLUMNS",
    "GONE",
    "HOLDERS",
    "ITEMS",
    "KINDS",
    "OBJECTED",
    "PRINTED",
    "Pair",
    "differing",
    "notice_ends",
    "standing_fault",
    "wanted",
]
