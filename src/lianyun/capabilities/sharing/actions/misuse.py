"""Misuse: data used beyond scope or purpose, or handed on: suspend, rectify, restore or end (art. 27)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Grant, WorkItem

from .. import queries, rules
from .disposals import open_disposal
from .terms import open_about, set_term, waiting

PATH = "misuse"
MOST_DAYS = 60
"""Working days: the longest term for putting things right that the bureau may set."""


def _may_open(grant: Grant, by: Actor) -> None:
    if by.may("sharing.supervise") or by.may("sharing.approve", grant.grantor):
        return
    if not by.may("sharing.answer", grant.grantor):
        raise Denied("只有数据主管部门和提供部门可以提出超范围使用的线索")


@action("sharing.read")
def open_misuse(*, grant: Grant, evidence: Mapping[str, Any], by: Actor) -> Case:
    """Somebody found what looks like misuse of a grant: a case at the data bureau (art. 27).

    `evidence` is anything that JSON can hold; `summary` (one sentence) stands in the title and on
    the page, other keys are shown with it (`rules.EVIDENCE` names the usual ones). While a grant's
    case is open, further evidence is added to it and that case is returned. The grant goes on until
    the bureau has found the matter true; an urgent danger is what `suspend_share` is for.
    """
    _may_open(grant, by)
    plain = json.loads(json.dumps(dict(evidence), ensure_ascii=False, default=str))
    summary = str(plain.get("summary") or "").strip()
    if len(summary) < rules.LEAST_REASON:
        raise UserError("请用一句话写明发现的情况（summary）")
    known = queries.open_misuse_of(by, grant)
    if known is not None:
        row = Case.objects.select_for_update().get(pk=known.pk)
        if plain in row.data["evidence"]:
            record("misuse.repeated", row, by=by, case=row)
            return row
        row.data = {**row.data, "evidence": [*row.data["evidence"], plain]}
        row.save(update_fields=["data"])
        record("misuse.evidence_added", row, by=by, case=row, data={"note": summary[:300]})
        return row
    if queries.stands(grant) not in ("active", "suspended"):
        raise UserError(f"授权 {grant.code} 已经结束")
    return open_about(
        grant,
        PATH,
        f"{grant.grantee.short or grant.grantee}使用“{grant.resource}”：{summary}",
        {"evidence": [plain], "found_by": by.name},
        by,
    )


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a misuse case; `data["days"]` sets the term for putting things right."""
    if outcome == "lapsed" and by != SYSTEM:
        raise UserError("逾期由系统判定")
    grant = Grant.objects.select_related("grantee", "grantor", "resource").get(
        code=item.case.data["grant"]
    )
    changes: dict[str, Any] = {}
    if item.step == "rectify" and outcome == "reported":
        changes["report"] = note.strip()
    done = cases.step(item, outcome, note=note, data=changes or None, by=by)
    why = f"超范围使用共享数据（{done.code}）：{note.strip()}"[:500]
    if outcome == "confirmed" and grant.state == Grant.ACTIVE:
        grants.suspend(grant, reason=why, by=by)
    if outcome in ("confirmed", "again") and data.get("days"):
        rectify = waiting(done, "rectify")
        assert rectify is not None
        set_term(
            rectify,
            int(data["days"]),
            most=MOST_DAYS,
            article="条例第二十七条",
            reason="数据主管部门确定的整改期限",
            by=by,
        )
    if outcome == "restore" and grant.state == Grant.SUSPENDED:
        grants.resume(grant, reason=f"整改到位（{done.code}）：{note.strip()}"[:500], by=by)
    if outcome == "terminate":
        if grant.state != Grant.REVOKED:
            grants.revoke(grant, reason=why, by=by)
        open_disposal(grant, why, by)
    return done


@action("sharing.supervise")
def lapse_rectifications(*, by: Actor) -> int:
    """Whose term for putting things right has run out goes to review as 逾期未整改; returns how many."""
    count = 0
    for item in cases.overdue_items().filter(case__path__key=PATH, step="rectify"):
        work(item, "lapsed", "整改期限届满，未收到整改报告", {}, SYSTEM)
        count += 1
    record("misuse.checked", "system:sharing", by=by, data={"lapsed": count})
    return count
