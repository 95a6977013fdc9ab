"""Consenting: the applicant lets the handling department look into chosen sources, or takes it back.

Each consent is a Grant of kind `hall`: given by the applicant, to the department, for this
application, for some days (个人信息保护法 art. 14, 15).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.utils import timezone

from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Resource

from ..adapters import sources
from ..models import Application
from ..queries import looking
from ..rules import grounds
from .beginning import allowed, confirmed, locked, unfiled


@action(None)
def consent(application: Application, *, keys: Sequence[str], by: Actor) -> Application:
    """Consent to these sources and to no others; a source left out is refused, or withdrawn."""
    allowed(application, by)
    row = unfiled(application)
    confirmed(row)
    known = {f"{a['kind']}:{a['name']}": a for a in row.asked}
    if strange := set(keys) - set(known):
        raise UserError(f"没有这些来源：{'、'.join(sorted(strange))}")
    there = looking.in_force(by, row)
    names = [a["name"] for k, a in known.items() if k in keys and a["name"]]
    resources = {r.name: r for r in Resource.objects.filter(name__in=names)}
    terms = sources.terms()
    for key in dict.fromkeys(keys):
        if key in there:
            continue
        grants.issue(
            kind=looking.GRANT,
            to=row.department,
            grantor=row.applicant,
            resource=resources.get(known[key]["name"]),
            terms={
                "purpose": terms["purpose"],
                "application": row.code,
                "item": row.item,
                "source": key,
                "fields": known[key]["columns"],
            },
            valid_to=timezone.now() + dt.timedelta(days=int(terms["consent_days"])),
            by=by,
        )
    for key in set(there) - set(keys):
        grants.revoke(there[key], reason="申请人不同意查询这一来源", by=by)
    row.refused = [k for k in known if k not in keys]
    row.consented_at = timezone.now()
    row.save(update_fields=["refused", "consented_at"])
    record("application.consented", row, by=by, data={"agreed": list(keys), "refused": row.refused})
    return row


@action(None)
def withdraw_consent(application: Application, *, key: str, by: Actor) -> None:
    """Take one consent back: nothing more is looked up; what was not filed yet is forgotten.

    What a filed case already rests on stays (个人信息保护法 art. 15, second paragraph).
    """
    allowed(application, by)
    row = locked(application)
    found = looking.in_force(by, row).get(key)
    if found is None:
        raise UserError("这一来源没有正在生效的授权")
    grants.revoke(found, reason="申请人撤回同意", by=by)
    if key not in row.refused:
        row.refused = [*row.refused, key]
        row.save(update_fields=["refused"])
    if not row.filed:
        kind = key.partition(":")[0]
        gone = {"licence": grounds.LICENCE, "library": grounds.LIBRARY, "dataset": grounds.SERVICE}
        for state in row.materials.filter(ground=gone.get(kind, grounds.EARLIER)):
            if state.evidence.get("key") != key:
                continue
            state.met, state.ground, state.evidence = False, "", {}
            state.digest = state.sealed = state.compared = ""
            state.words = "您撤回了查询授权，请上传这份材料"
            state.save()
    record("application.consent_withdrawn", row, by=by, case=row.case, data={"source": key})


__all__ = ["consent", "withdraw_consent"]
