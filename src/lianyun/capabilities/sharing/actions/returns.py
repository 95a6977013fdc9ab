"""Returns: data of its own area that a lower level asks the upper level to send back (art. 24)."""

from __future__ import annotations

from typing import Any

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Resource, WorkItem

from .. import rules

PATH = "return_flow"


@action("sharing.request")
def request_return(*, wanted: rules.Returned, by: Actor, once: str | None = None) -> Case:
    """Ask an upper department for the rows of the own area that its systems collected (art. 24).

    The bureau forwards it; the answer and the arrival are steps of the case, done by officers or,
    where the nodes are linked, by `cascade` through `do_step`.
    """
    applicant = by.department
    if applicant is None:
        raise UserError("请先选择所代表的部门")
    by.require("sharing.request", applicant)
    wrong = rules.return_problems(wanted)
    if wrong:
        raise UserError("；".join(wrong.values()))
    if once is not None and (known := Case.objects.filter(once=once).first()) is not None:
        record("request.repeated", known, by=by, case=known)
        return known
    return cases.open_case(
        PATH,
        title=f"{applicant.short or applicant.name}申请{wanted.upper.strip()}回流“{wanted.title.strip()}”",
        subject=f"return:{applicant.slug}",
        applicant=applicant,
        data={"return": wanted.as_data()},
        once=once,
        by=by,
    )


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a return flow; on `received` `resource` names the dataset it came into, `rows` how many.

    An upper department may not set further conditions (art. 24): a refusal keeps its reason.
    """
    changes: dict[str, Any] = {}
    if outcome == "received":
        name = str(data.get("resource") or "")
        if not Resource.objects.filter(name=name, kind=Resource.DATASET).exists():
            raise UserError("请选择回流数据接入的数据集")
        changes = {"resource": name, "rows": int(data.get("rows") or 0)}
    if item.step == "forward" and outcome == "sent" and data.get("document"):
        changes = {"document": str(data["document"])[:100]}
    if item.step == "answer" and outcome == "refuse":
        changes = {"refusal": note.strip()[:500]}
    return cases.step(item, outcome, note=note, data=changes or None, by=by)
