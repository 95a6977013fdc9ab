"""Stops: a share is stopped after negotiation and filing, or at once by the bureau for security."""

from __future__ import annotations

from typing import Any

from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.models import Case, Grant, WorkItem

from .. import queries, rules
from .disposals import open_disposal
from .terms import open_about

PATH = "stop"


def _reason(reason: str) -> str:
    if len(reason.strip()) < rules.LEAST_REASON:
        raise UserError("请写明停止共享的理由")
    return reason.strip()[:500]


def _bureau_only(grant: Grant, by: Actor) -> None:
    if by.may("sharing.supervise"):
        return
    by.require("sharing.approve", grant.grantor)
    raise UserError(
        "提供部门不得擅自停止共享：请提出停止共享，与使用部门协商并报数据主管部门备案"
        "（条例第二十七条）"
    )


@action("sharing.approve")
def ask_stop(*, grant: Grant, verb: str, reason: str, by: Actor) -> Case:
    """The provider's head wants to stop a share (`suspend` or `revoke`): negotiation, then filing.

    The share goes on until the bureau has filed it (art. 27: 无正当理由不得终止或者变更).
    """
    by.require("sharing.approve", grant.grantor)
    if verb not in ("suspend", "revoke"):
        raise UserError("请选择暂停或者终止")
    why = _reason(reason)
    if queries.stands(grant) not in ("active", "suspended"):
        raise UserError(f"授权 {grant.code} 已经结束")
    if queries.open_of(by, grant, PATH) is not None:
        raise UserError("该授权已有正在办理的停止共享，请勿重复提出")
    word = "终止" if verb == "revoke" else "暂停"
    return open_about(
        grant,
        PATH,
        f"{word}向{grant.grantee.short or grant.grantee}共享“{grant.resource}”",
        {"verb": verb, "reason": why},
        by,
    )


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a stop; filed, the share stops at once."""
    done = cases.step(item, outcome, note=note, by=by)
    if outcome != "filed":
        return done
    grant = Grant.objects.select_related("grantee", "grantor", "resource").get(
        code=done.data["grant"]
    )
    why = f"{done.data['reason']}（经协商并备案，{done.code}）"[:500]
    if done.data["verb"] == "suspend":
        if grant.state == Grant.ACTIVE:
            grants.suspend(grant, reason=why, by=by)
    elif grant.state != Grant.REVOKED:
        grants.revoke(grant, reason=why, by=by)
        open_disposal(grant, why, by)
    return done


@action("sharing.read")
def suspend_share(*, grant: Grant, reason: str, by: Actor) -> None:
    """The bureau stops a share at once for security (art. 35); the next call is refused."""
    _bureau_only(grant, by)
    grants.suspend(grant, reason=_reason(reason), by=by)


@action("sharing.read")
def resume_share(*, grant: Grant, reason: str, by: Actor) -> None:
    """Let a suspended share go on: by the bureau, or by the provider whose own stop it was."""
    if not by.may("sharing.supervise"):
        by.require("sharing.approve", grant.grantor)
    if len(reason.strip()) < 2:
        raise UserError("请写明恢复共享的理由")
    if (open_case := queries.open_misuse_of(by, grant)) is not None:
        raise UserError(f"超范围使用的处理（{open_case.code}）尚未办结，复核通过后自动恢复")
    grants.resume(grant, reason=reason.strip()[:500], by=by)


@action("sharing.read")
def revoke_share(*, grant: Grant, reason: str, by: Actor) -> None:
    """The bureau ends a share for good; the next call is refused, the data are to be disposed of."""
    _bureau_only(grant, by)
    why = _reason(reason)
    grants.revoke(grant, reason=why, by=by)
    open_disposal(grant, why, by)
