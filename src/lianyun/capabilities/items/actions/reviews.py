"""Reviews: an item goes to its head and to the hall's office; the last agreement publishes a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, WorkItem

from .. import queries
from ..models import Listing
from ..queries.around import around
from ..rules.checks import ERROR, check
from ..rules.item import read
from . import store
from .editing import in_review, locked

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Event

PATH = "publish_item"


def _owner(*, listing: Listing, **_: Any) -> Party:
    return listing.department


@action("items.edit", department=_owner)
def submit_item(*, listing: Listing, by: Actor) -> Case:
    """Send a copy in work to be reviewed; refused as long as a check finds an error in it."""
    row = locked(listing)
    if in_review(row):
        raise UserError("已经提交，正在审核，无需重复提交")
    if row.draft is None:
        raise UserError("没有可以提交的修订稿")
    parties = queries.departments(by)
    item = read(row.draft, around(parties))
    wrong = [f for f in check(item, queries.known(by, parties)) if f.severity == ERROR]
    if wrong:
        more = f"等 {len(wrong)} 处问题" if len(wrong) > 3 else ""
        raise UserError(f"还不能提交：{'；'.join(f.text for f in wrong[:3])}{more}")
    kind = "修订" if row.version else "新增"
    case = cases.open_case(
        PATH,
        title=f"{item.name}（事项{kind}）",
        subject=row,
        applicant=row.department,
        department=row.department,
        data={"kind": kind, "version": row.version + 1},
        by=by,
    )
    row.case = case
    row.save(update_fields=["case"])
    record("item.submitted", row, by=by, case=case, data={"title": "提交审核", "case": case.code})
    return case


@action(None)
def review_item(*, item: WorkItem | int, outcome: str, note: str = "", by: Actor) -> Case:
    """Decide one review step (`agree`, or `return` with a reason); who may is the step's own matter."""
    number = item if isinstance(item, int) else item.pk
    found = WorkItem.objects.select_related("case__path").filter(pk=number).first()
    if found is None or found.case.path.key != PATH:
        raise UserError("没有这一审核环节")
    case = cases.step(found, outcome, note=note, by=by)
    _follow(case, by)
    return case


def _follow(case: Case, by: Actor) -> None:
    """Publish what a closed review agreed to; doing so twice changes nothing."""
    row = (
        Listing.objects.select_for_update(of=("self",))
        .select_related("department")
        .filter(case=case)
        .first()
    )
    if row is None or row.draft is None or case.state != Case.CLOSED:
        return
    if case.outcome != "published":
        return
    parties = queries.departments(SYSTEM)
    item = read(row.draft, around(parties))
    (row,) = store.put(
        [store.Ready(item, row.draft, faults=0)],
        publish=True,
        by=by,
        parties=parties,
        note=f"办件 {case.code} 审核发布",
    )
    record(
        "item.published",
        row,
        by=by,
        case=case,
        data={"title": f"发布第 {row.version} 版", "version": row.version},
    )


@action(None)
def _settle(*, case: Case, by: Actor) -> None:
    _follow(case, by)
    record("item.settled", case.subject or case, by=by, case=case, data={"outcome": case.outcome})


def on_case_closed(event: Event) -> None:
    """When a review was decided at another desk than ours, the item follows all the same."""
    if event.data.get("path") != PATH or event.data.get("outcome") != "published":
        return
    case = Case.objects.filter(pk=event.case_id_ref or 0).first()
    if case is not None and Listing.objects.filter(case=case).exclude(draft=None).exists():
        _settle(case=case, by=SYSTEM)
