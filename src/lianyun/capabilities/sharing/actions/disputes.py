"""Disputes: up the ladder of article 28: negotiation, the data bureau, the superior, the government."""

from __future__ import annotations

from typing import Any

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.models import Case, Grant, Party, WorkItem

from .. import rules

PATH = "dispute"


@action("sharing.read")
def open_dispute(*, subject: Case | Grant, claim: str, by: Actor) -> Case:
    """One side of a request or a grant disputes what the other did (art. 28).

    The actor's department must be a side; while its dispute about the same subject is open a second
    one is refused.
    """
    raiser, other = _sides(subject, by)
    if len(claim.strip()) < rules.LEAST_CLAIM:
        raise UserError(f"请写明争议的事实、理由和请求（不少于 {rules.LEAST_CLAIM} 个字）")
    running = Case.objects.filter(path__key=PATH, subject=subject.ref, applicant=raiser)
    if running.exclude(state=Case.CLOSED).exists():
        raise UserError("对同一事项的争议正在处理，请勿重复提出")
    return cases.open_case(
        PATH,
        title=f"{raiser.short or raiser}与{other.short or other}的共享争议（{subject.code}）",
        subject=subject,
        applicant=raiser,
        department=other,
        data={"claim": claim.strip()[:2000], "about": subject.ref},
        by=by,
    )


def _sides(subject: Case | Grant, by: Actor) -> tuple[Party, Party]:
    user = subject.grantee if isinstance(subject, Grant) else subject.applicant
    provider = subject.grantor if isinstance(subject, Grant) else subject.department
    if user is None or provider is None:
        raise UserError("该事项没有双方部门")
    if by.may("sharing.request", user):
        return user, provider
    by.require("sharing.answer", provider)
    return provider, user


def work(item: WorkItem, outcome: str, note: str, data: dict[str, Any], by: Actor) -> Case:
    """Do a step of a dispute; what was offered, found or decided stands with the case."""
    changes: dict[str, Any] = {}
    if outcome == "offer":
        changes["offer"] = note.strip()
    if item.step in ("coordinate", "superior") and outcome == "settled":
        changes["settlement"] = note.strip()
    if item.step == "decide":
        number = str(data.get("document") or "").strip()
        if not number:
            raise UserError("请填写人民政府决定的文号")
        changes |= {"document": number[:100], "settlement": note.strip()}
    return cases.step(item, outcome, note=note, data=changes or None, by=by)
