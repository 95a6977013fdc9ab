"""Acting: a person begins and ends to do things in the name of a firm or a child."""

from __future__ import annotations

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import queries, rules
from ..models import Agency
from .persons import own_account


@action(None)
def begin_acting(agency: int, *, by: Actor) -> Agency:
    """Choose for whom one acts from now on; the mandate must be in force and oneself proven."""
    account = own_account(by)
    if not rules.reaches(account.level, rules.PERSON):
        raise UserError("请先完成实人核验，再以他人或单位的身份办理")
    found = queries.mandate(account.party, agency)
    if found is None:
        raise UserError("没有这份代理，或者它已经到期、终止")
    record("acting.began", found.principal, by=by, data={"agency": found.pk, "kind": found.kind})
    return found


@action(None)
def end_acting(*, by: Actor) -> None:
    """Be oneself again."""
    record("acting.ended", by.behalf or by.ref, by=by)


__all__ = ["begin_acting", "end_acting"]
