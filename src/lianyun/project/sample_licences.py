"""Sample licences: every declared type issued from its department's register, sealed when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tell = Callable[[float, str], None]


def issue_all(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """Issue what the registers hold, by each issuer's own officer; a second call issues what is new.

    Returns how many licences were issued and how many rows were refused, of how many types, and of
    how many licences the holder was told that they end soon.
    """
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.licences import api as licences
    from lianyun.kernel.access import SYSTEM

    known = set(get_user_model().objects.values_list("username", flat=True))
    told = {"types": 0, "issued": 0, "refused": 0}
    declared = [k for k in licences.kinds().values() if k.register is not None]
    for number, kind in enumerate(declared):
        # A department that has no data has no officers in the sample city.
        if f"{kind.issuer}.zhuanyuan" not in known:
            continue
        tell(number / len(declared), kind.title)
        run = licences.issue_from_register(kind.name, by=officer(f"{kind.issuer}.zhuanyuan"))
        told["types"] += 1
        told["issued"] += run.issued
        told["refused"] += run.refused
    # What the job of each morning does: holders are told of what comes to its end.
    told["due"] = licences.tell_due(by=SYSTEM)
    return told
