"""Values: a licence's elements judged and masked by what the kernel knows of data elements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from lianyun.kernel.element import citizen_number_ok, credit_code_ok, mask_value

from ..rules import types


def faults(kind: types.LicenceType, elements: Mapping[str, str], today: dt.date) -> list[str]:
    """Why a licence of these elements cannot be issued, each in Chinese; empty when it can."""
    out = [f"缺少“{i.title}”" for i in kind.items if i.required and not elements.get(i.name)]
    for item in kind.items:
        value = elements.get(item.name, "")
        if not value:
            continue
        checked = {"citizen_number": citizen_number_ok, "credit_code": credit_code_ok}
        if item.check in checked and not checked[item.check](value):
            out.append(f"“{item.title}”校验不通过")
        elif item.type == "D" and types.date_of(value) is None:
            out.append(f"“{item.title}”不是日期")
        elif len(value) > 2_000:
            out.append(f"“{item.title}”过长")
    number = elements.get(kind.holder_number, "")
    if number and not (
        (types.PERSON in kind.holders and citizen_number_ok(number))
        or (types.ENTITY in kind.holders and credit_code_ok(number))
    ):
        title = f"“{kind.item(kind.holder_number).title}”校验不通过"
        if title not in out:
            out.append(title)
    dates = types.span(kind, elements, today)
    if dates.issued > today:
        out.append("发证日期晚于今天")
    if dates.ends is not None and dates.ends < dates.begins:
        out.append("有效期止早于有效期起")
    return out


def masked(kind: types.LicenceType, elements: Mapping[str, str]) -> dict[str, str]:
    """The elements as whoever has no reason for them in clear may see them."""
    out = {}
    for item in kind.items:
        value = elements.get(item.name, "")
        if value:
            out[item.name] = mask_value(item.mask, value) if item.personal else value
    return out


__all__ = ["faults", "masked"]
