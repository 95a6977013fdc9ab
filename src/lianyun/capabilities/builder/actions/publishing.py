"""Publishing: two others agree, then every part is live at once by the code that installs packs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.capabilities.flows import api as flows
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, WorkItem

from .. import queries
from ..models import Workbook
from ..rules import content as parts
from ..rules import text
from .making import _locked, _owner

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Event

PUBLISHED = "published"


@action("builder.edit", department=_owner)
def submit(row: Workbook, *, note: str = "", by: Actor) -> Case:
    """Send the newest revision to be signed and reviewed; refused as long as a check finds an error."""
    fresh = _locked(row)
    if queries.in_review(fresh):
        raise UserError("已经提交，正在审核，无需重复提交")
    if fresh.live == fresh.number:
        raise UserError("与已发布的内容相同，没有需要审核的修改")
    slug = str(fresh.department.slug)
    wrong = queries.check(fresh.content, fresh.code, slug, by).wrong
    if wrong:
        more = f"等 {len(wrong)} 处" if len(wrong) > 3 else ""
        raise UserError(f"还不能提交：{'；'.join(f.words for f in wrong[:3])}{more}")
    kind = "修订" if fresh.live else "新服务"
    case = cases.open_case(
        queries.PATH,
        title=f"{fresh.title}（{kind}）",
        subject=fresh,
        applicant=fresh.department,
        department=fresh.department,
        data={"revision": fresh.number, "note": note[:500], "by": by.party.pk if by.party else 0},
        by=by,
    )
    fresh.case = case
    fresh.save(update_fields=["case"])
    data = {"title": "提交审核", "revision": fresh.number, "case": case.code}
    record("workbook.submitted", fresh, by=by, case=case, data=data)
    return case


@action("builder.edit", department=_owner)
def take_back(row: Workbook, *, by: Actor) -> None:
    """Take a service back out of its review, to go on working on it."""
    fresh = _locked(row)
    if fresh.case is None or not queries.in_review(fresh):
        raise UserError("没有正在进行的审核")
    cases.withdraw(fresh.case, "编制人收回修改", by=by)
    record("workbook.taken_back", fresh, by=by, case=fresh.case, data={"title": "收回修改"})


@action(None)
def review_service(item: WorkItem | int, outcome: str, *, note: str = "", by: Actor) -> Case:
    """Decide one review step; who saved anything of it agrees to nothing, nobody agrees twice.

    The last agreement publishes every part in the same transaction, or nothing at all.
    """
    number = item if isinstance(item, int) else item.pk
    found = WorkItem.objects.select_related("case__path").filter(pk=number).first()
    if found is None or found.case.path.key != queries.PATH:
        raise UserError("没有这一审核环节")
    row = Workbook.objects.filter(case=found.case).first()
    if row is None:
        raise UserError("服务草案已不在审核中")
    fresh = _locked(row)
    if outcome == "agree" and by.party is not None:
        makers = {*queries.editors_since(by, fresh), found.case.data.get("by")}
        if by.party.pk in makers:
            raise UserError("您参与了编制，不能审核自己的服务，请由另一位有权限的同事办理")
        if found.case.items.filter(by=by.party, outcome="agree").exists():
            raise UserError("上一环节由您同意，这一环节须由另一个人办理")
    case = cases.step(found, outcome, note=note, by=by)
    _follow(case, by)
    return case


def _follow(case: Case, by: Actor) -> None:
    """Publish what a closed review agreed to; doing so twice changes nothing."""
    row = Workbook.objects.select_for_update(of=("self",)).select_related("department").filter(case=case).first()  # fmt: skip
    if row is None or case.state != Case.CLOSED or case.outcome != PUBLISHED:
        return
    revision = int(case.data.get("revision") or 0)
    if row.live >= revision:
        return
    content = queries.content_at(by, row, revision)
    declared = parts.assembled(content, row.code, str(row.department.slug))
    note = f"服务编制第 {revision} 次修订，办件 {case.code} 审核发布"
    row.item_version = _install(declared, row.code, note, by)
    row.live, row.live_at, row.withdrawn_at = revision, timezone.now(), None
    row.save()
    data = {"title": f"发布（第 {row.item_version} 版）", "revision": revision, "version": row.item_version}  # fmt: skip
    record("workbook.published", row, by=by, case=case, data=data)


def _install(declared: dict[str, dict[str, Any]], code: str, note: str, by: Actor) -> int:
    """Bring the parts into force, those first that others name; returns the item's version."""
    for part, publish, raw in (
        (parts.PATH, flows.publish_path, "bpmn"),
        (parts.DECISION, flows.publish_decision, "dmn"),
    ):
        if part in declared:
            told = {k: v for k, v in declared[part].items() if k != "key"}
            publish(code, str(told[raw]) if raw in told else text.write(told), note=note, by=by)
    if parts.FORM in declared:
        forms.publish_form(code, declared[parts.FORM], note=note, by=by)
    if parts.LICENCE in declared:
        licences.publish_type(declared[parts.LICENCE], note=note, by=by)
    return items.publish_item(declared[parts.ITEM], note=note, by=by)


@action(None)
def _settle(*, case: Case, by: Actor) -> None:
    _follow(case, by)
    record("workbook.review_ended", case.subject, by=by, case=case, data={"outcome": case.outcome})


def on_case_closed(event: Event) -> None:
    """When a review was decided at another desk than ours, the service follows all the same."""
    if event.data.get("path") != queries.PATH or event.data.get("outcome") != PUBLISHED:
        return
    case = Case.objects.filter(pk=event.case_id_ref or 0).first()
    row = Workbook.objects.filter(case=case).first() if case is not None else None
    if case is not None and row is not None and row.live < int(case.data.get("revision") or 0):
        _settle(case=case, by=SYSTEM)


@action("builder.review")
def withdraw(row: Workbook, reason: str, *, by: Actor) -> None:
    """Take a live service out of the hall; cases under way go on to their end."""
    fresh = _locked(row)
    if not fresh.live or fresh.withdrawn_at is not None:
        raise UserError("服务没有发布，或已经下线")
    items.retire(fresh.code, reason, by=by)
    fresh.withdrawn_at = timezone.now()
    fresh.save(update_fields=["withdrawn_at"])
    record("workbook.withdrawn", fresh, by=by, data={"title": "下线", "reason": reason[:300]})


@action("builder.review")
def resume(row: Workbook, *, by: Actor) -> None:
    """Offer a withdrawn service again as it was published last."""
    fresh = _locked(row)
    if fresh.withdrawn_at is None:
        raise UserError("服务没有下线")
    items.resume(fresh.code, by=by)
    fresh.withdrawn_at = None
    fresh.save(update_fields=["withdrawn_at"])
    record("workbook.resumed", fresh, by=by, data={"title": "恢复上线"})
