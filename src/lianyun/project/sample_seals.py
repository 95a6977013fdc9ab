"""Sample seals: each department of the sample city that issues licences has its seal, asked for and made in form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def make_seals(officer: Callable[[str], Any]) -> dict[str, int]:
    """A seal for every issuer that a pack declares, through all of its steps; made once."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.seals import api as seals
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Case
    from lianyun.kernel.packs import declarations
    from lianyun.kernel.party import department

    known = set(get_user_model().objects.values_list("username", flat=True))

    def actor(username: str) -> Any:
        # A department that has no data has no officers in the sample city.
        return officer(username) if username in known else SYSTEM

    issuers = sorted({str(d.data["issuer"]) for d in declarations("licences")})
    operator, maker = actor("yunying"), actor("zhizhang")
    for slug in issuers:
        party = department(slug)
        once = f"sample:seal:{slug}"
        # A building that was broken off goes on where it stopped.
        case = Case.objects.filter(once=once).first() or seals.request_seal(
            department=party,
            kind="organ",
            title=f"{party.short}证照专用章",
            name=party.name,
            below="证照专用章",
            automatic=list(seals.AUTOMATIC),
            reason="依法出具电子证照和加注件（模拟数据）",
            once=once,
            by=actor(f"{slug}.zhuanyuan"),
        )
        for by in (actor(f"{slug}.fuzeren"), operator, maker):
            item = case.items.filter(done_at=None).first()
            if case.state == Case.OPEN and item is not None:
                outcome = item.declared.outcomes[0].name
                case = seals.do_step(item=item, outcome=outcome, by=by)
    return {"seals": len(issuers)}
