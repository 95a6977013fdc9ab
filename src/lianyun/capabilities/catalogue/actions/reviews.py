"""Review actions: submit an entry, decide on it step by step; the resource's state follows the case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, Resource, WorkItem
from lianyun.kernel.resource import move

from ..models import Entry
from ..queries import entry_for, findings
from ..rules.entries import ERROR
from . import store
from .entries import in_review, locked

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Event

PATH = "catalogue_entry"
STATE_AT = {
    "sign": Resource.REGISTERING,
    "register_review": Resource.REGISTERING,
    "publish_review": Resource.PUBLISHING,
}


def _owner(*, resource: Resource, **_: Any) -> Party:
    return resource.owner


@action("catalogue.edit", department=_owner)
def submit_entry(*, resource: Resource, by: Actor) -> Case:
    """Send an entry on its way: sign, register review, publish review (两个工作日, Order 809 art. 17).

    Refused as long as a rule finds an error in it; a second press is refused too.
    """
    entry = locked(resource)
    row = entry.resource
    if in_review(entry):
        raise UserError("已经提交，正在审核，无需重复提交")
    if row.state != Resource.DRAFT and entry.draft is None:
        raise UserError("没有可以提交的草稿或修订稿")
    content = entry_for(by, row)
    wrong = [f for f in findings(by, content) if f.severity == ERROR]
    if wrong:
        more = f"等 {len(wrong)} 处问题" if len(wrong) > 3 else ""
        raise UserError(f"还不能提交：{'；'.join(f.message for f in wrong[:3])}{more}")
    kind = "修订" if entry.draft is not None else "注册"
    case = cases.open_case(
        PATH,
        title=f"{content['title']}（目录{kind}）",
        subject=row,
        applicant=row.owner,
        department=row.owner,
        data={"share_type": content["share"]["type"], "level": content["level"], "kind": kind},
        by=by,
    )
    entry.case = case
    entry.save(update_fields=["case"])
    record(
        "resource.submitted", row, by=by, case=case, data={"title": "提交审核", "case": case.code}
    )
    _follow(case, by)
    return case


@action(None)
def do_review(*, item: WorkItem | int, outcome: str, note: str = "", by: Actor) -> Case:
    """Decide one review step (`agree`, or `return` with a reason); who may is the step's own matter.

    Of two who decide at once the second is told who did. The last agreement publishes a version.
    """
    number = item if isinstance(item, int) else item.pk
    found = WorkItem.objects.select_related("case__path").filter(pk=number).first()
    if found is None or found.case.path.key != PATH:
        raise UserError("没有这一审核环节")
    case = cases.step(found, outcome, note=note, by=by)
    _follow(case, by)
    return case


def _follow(case: Case, by: Actor) -> None:
    """Let the resource be in the state that its case has reached; doing so twice changes nothing."""
    entry = (
        Entry.objects.select_for_update(of=("self",))
        .select_related("resource__owner", "category")
        .filter(case=case)
        .first()
    )
    if entry is None:
        return
    row = entry.resource
    fresh = entry.draft is None
    if case.state != Case.CLOSED:
        waiting = case.items.filter(done_at=None).first()
        if fresh and waiting is not None:
            move(row, STATE_AT.get(waiting.step, row.state))
        return
    if case.outcome != "published":
        if fresh and row.state != Resource.DRAFT:
            move(row, Resource.DRAFT)
        return
    content = {**entry_for(SYSTEM, row), "published_on": ""}
    (published,) = store.put([content], publish=True, by=by, note=f"办件 {case.code} 审核发布")
    record(
        "resource.published",
        published,
        by=by,
        case=case,
        data={"title": f"发布第 {published.version} 版", "version": published.version},
    )


@action(None)
def _settle(*, case: Case, by: Actor) -> None:
    _follow(case, by)
    record(
        "resource.settled", case.subject or case, by=by, case=case, data={"outcome": case.outcome}
    )


def on_case_closed(event: Event) -> None:
    """When a review was decided at another desk than ours, the resource follows all the same."""
    if event.data.get("path") != PATH:
        return
    case = Case.objects.filter(pk=event.case_id_ref or 0).first()
    entry = Entry.objects.select_related("resource").filter(case=case).first() if case else None
    if (
        case is None
        or entry is None
        or (case.outcome != "published" and entry.resource.state == Resource.DRAFT)
    ):
        return
    if case.outcome != "published" and entry.draft is not None:
        return
    _settle(case=case, by=SYSTEM)
