"""Review: a licence drawn up by one officer and issued by another, as a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, WorkItem

from ..adapters import values
from ..models import Licence
from ..queries import desk, kinds
from ..rules import types
from .issuing import change_licence, issue_licence, sealed

PATH = "licence_issue"


def _issuer(kind: str, *args: Any, **kwargs: Any) -> Party:
    return kinds.issuer_of(kinds.kind(kind))


@action("licences.issue", department=_issuer)
def draw_up(
    kind: str,
    elements: Mapping[str, Any],
    *,
    why: str,
    once: str,
    by: Actor,
    licence: Licence | None = None,
) -> Case:
    """Draw up a licence (or the next version of one) for a second officer to issue.

    The same `once` gives one case. The elements stand in the case under the vault's lock. Raises
    UserError with everything that is wrong.
    """
    one = kinds.kind(kind)
    told = types.cleaned(one, elements)
    today = timezone.localdate()
    # A type that numbers its licences does so when the licence is issued, not when it is drawn up.
    later = {one.number: types.numbered(one, today, 0), one.issued: today.isoformat()}
    judged = {**later, **told} if one.numbering else told
    if wrong := values.faults(one, judged, today):
        raise UserError("；".join(wrong))
    if not why.strip():
        raise UserError("请写明签发依据或理由")
    verb = "变更" if licence is not None else "签发"
    case = cases.open_case(
        PATH,
        title=f"{verb}{one.title} {told[one.number]}"
        if one.number in told and not one.item(one.number).personal
        else f"{verb}{one.title}",
        subject=licence or f"licence-type:{kind}",
        department=kinds.issuer_of(one),
        data={
            "kind": kind,
            "sealed": sealed(told),
            "why": why.strip(),
            "licence": licence.identifier if licence is not None else "",
            "drawn_by": by.ref,
        },
        once=f"licences:{once}"[:120],
        by=by,
    )
    if not Case.objects.filter(pk=case.pk, data__drawn_by=by.ref).exists():
        raise UserError("这份拟制已由他人提交")
    record("licence.drawn_up", case, by=by, case=case, data={"kind": kind})
    return case


@action("licences.review")
def decide_draft(item: WorkItem, *, outcome: str, note: str, by: Actor) -> Case:
    """The second officer's decision: with `issue` the licence is given in the same transaction."""
    case = Case.objects.get(pk=item.case_id)
    if case.data.get("drawn_by") == by.ref:
        raise UserError("拟制人不能审核自己拟制的证照，请由另一位工作人员审核")
    done = cases.step(item, outcome, note=note, by=by)
    if outcome == "issue":
        told = desk.draft(done)
        if done.data["licence"]:
            old = Licence.objects.get(identifier=done.data["licence"])
            made = change_licence(old, told, why=str(done.data["why"]), case=done, trust="A", by=by)
        else:
            made = issue_licence(
                str(done.data["kind"]), None, told, case=done, once=done.ref, by=by
            )
        record("licence.case_answered", made, by=by, case=done, data={"case": done.code})
        one = kinds.kind(made.kind)
        audit.record_reading(
            by=by,
            resource=f"电子证照·{one.title}",
            people=[told[one.holder_number]],
            purpose=f"审核签发（办件 {done.code}）",
        )
    return done


__all__ = ["PATH", "decide_draft", "draw_up"]
