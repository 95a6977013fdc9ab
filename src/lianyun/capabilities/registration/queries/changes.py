"""Changes: what an application asks of a firm, held against the register; what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, QuerySet

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.element import domain_choices, mask_value
from lianyun.kernel.models import Case, WorkItem

from .. import adapters, rules
from ..models import Change, Notice, Objection
from . import firms

CHANGING, CANCELLATION = "company_change", "company_cancellation"
HOLDERS_USE, OBJECTION_USE = "registration.holders", "registration.objection"
REGISTER = "register"
"""The step at which a granted case waits for its register."""


def settings() -> dict[str, Any]:
    """What the city declares of changes and cancellations: days of notice, words, their sources."""
    return dict(packs.mapping("legal_entity", "registration.yaml"))


def subjects() -> dict[str, str]:
    """What a case may be about, and the kind of change that it is."""
    return {f"item:{CHANGING}": rules.CHANGE, f"item:{CANCELLATION}": rules.CANCEL}


def changes(viewer: Actor) -> QuerySet[Change]:
    """Changes and cancellations that were granted, those that wait first."""
    viewer.require("registration.read")
    return Change.objects.select_related("case").order_by(
        F("made_at").desc(nulls_first=True), "-id"
    )


def change_of(case: Case) -> Change | None:
    """What became of a case."""
    return Change.objects.filter(case=case).first()


def waiting(viewer: Actor, limit: int = 200) -> list[Case]:
    """Granted cases whose register nobody has told yet, the oldest first."""
    del viewer  # the job's own list
    rows = WorkItem.objects.filter(
        step=REGISTER, done_at=None, case__state=Case.OPEN, case__subject__in=list(subjects())
    ).exclude(case__in=Change.objects.exclude(trouble="").values("case"))
    return [w.case for w in rows.select_related("case").order_by("id")[:limit]]


def words_of_status() -> dict[str, str]:
    """The code list of a firm's standing."""
    return dict(domain_choices("entity_status"))


def firm_of(case: Case) -> str:
    """The credit code of the firm that a case is about: who applies."""
    return str(case.applicant.code or "") if case.applicant is not None else ""


def others(case: Case) -> list[Case]:
    """Other cases of the same firm about its registration that are under way."""
    rows = Case.objects.filter(
        subject__in=list(subjects()), applicant=case.applicant, state__in=(Case.OPEN, "suspended")
    )
    return list(rows.exclude(pk=case.pk).order_by("id")[:20])


def meanwhile(case: Case, items: tuple[str, ...]) -> Change | None:
    """A change of the same items that was registered after this case had been opened."""
    rows = Change.objects.filter(
        credit_code=firm_of(case), kind=rules.CHANGE, made_at__gte=case.opened_at
    ).exclude(case=case)
    return next((c for c in rows.order_by("-id") if set(c.items) & set(items)), None)


def in_notice(credit_code: str) -> Notice | None:
    """A firm's notice of a simplified cancellation that still runs."""
    rows = Notice.objects.filter(credit_code=credit_code, ended_at=None, case__state=Case.OPEN)
    return rows.order_by("-id").first()


def ended(credit_code: str) -> bool:
    """Whether a cancellation of a firm was registered here."""
    rows = Change.objects.filter(credit_code=credit_code, kind=rules.CANCEL)
    return rows.exclude(made_at=None).exists()


def holders(viewer: Actor, credit_code: str) -> list[dict[str, Any]]:
    """A firm's shareholders by its newest registered change of them, in clear; empty where none was."""
    viewer.require("registration.read")
    row = (
        Change.objects.filter(credit_code=credit_code)
        .exclude(sealed="")
        .exclude(made_at=None)
        .order_by("-made_at")
        .first()
    )
    return list(adapters.unseal(row.sealed, HOLDERS_USE)) if row is not None else []


@dataclass(frozen=True)
class Paper:
    """Everything an officer of the register looks at for one case."""

    case: Case
    kind: str
    credit_code: str
    name: str
    standing: str
    pairs: tuple[rules.Pair, ...] = ()
    items: tuple[str, ...] = ()
    holders: tuple[dict[str, Any], ...] = ()
    faults: tuple[str, ...] = ()
    verdict: Any = None
    others: tuple[Case, ...] = ()
    change: Change | None = None
    notice: Notice | None = None
    objections: tuple[tuple[Objection, str], ...] = field(default_factory=tuple)
    waits: bool = False

    @property
    def title(self) -> str:
        """变更登记 or 注销登记."""
        return rules.KINDS[self.kind]

    @property
    def words(self) -> str:
        """The items that change, in words."""
        return "、".join(rules.ITEMS[i] for i in self.items)


def faults(viewer: Actor, case: Case, kind: str, row: dict[str, str] | None) -> list[str]:
    """What stands in the way of a case today, each in Chinese; empty where nothing does."""
    code = firm_of(case)
    found = []
    if wrong := rules.standing_fault(row, words_of_status()):
        found.append(wrong)
    if kind == rules.CHANGE and row is not None:
        if row.get("entity_status") == "5":
            found.append("企业正在歇业，恢复营业后才能变更")
        notice = in_notice(code)
        if notice is not None and notice.case_id != case.pk:
            found.append(f"企业正在简易注销公示（至 {notice.ends_on}），先撤回注销申请才能变更")
    return found


def paper(viewer: Actor, code: str) -> Paper | None:
    """One case of a change or cancellation against the register; the reading is on record.

    Personal numbers and names of shareholders are masked. None where there is no such case; raises
    Denied.
    """
    case = (
        Case.objects.select_related("department", "applicant", "path")
        .filter(code=code, subject__in=list(subjects()))
        .first()
    )
    if case is None:
        return None
    viewer.require("registration.read", case.department)
    kind, credit = subjects()[case.subject], firm_of(case)
    answers = hall.answers(case, SYSTEM)
    audit.record_reading(
        by=viewer, resource="legal_entity", people=[credit] if credit else [],
        purpose=f"办理{rules.KINDS[kind]}：核对登记库（脱敏）",
    )  # fmt: skip
    wrong: list[str] = []
    try:
        row = adapters.registered(credit)
        wrong = faults(viewer, case, kind, row)
    except UserError as away:
        row, wrong = None, [str(away)]
    items, values = rules.wanted(answers) if kind == rules.CHANGE else ((), {})
    pairs = tuple(_masked(p) for p in rules.differing(row or {}, values))
    verdict = None
    if "entity_name" in values and row is not None:
        verdict = firms.check_name(viewer, values["entity_name"], credit)
        if verdict.level == rules.BAD:
            wrong += list(verdict.reasons)
    done = change_of(case)
    before = meanwhile(case, items) if done is None or done.made_at is None else None
    if before is not None:
        wrong.append(f"提交后“{before.words}”已由办件 {before.case.code} 变更过，请核实")
    notice = Notice.objects.filter(case=case).first()
    told = Objection.objects.filter(notice=notice).select_related("by", "department")
    return Paper(
        case,
        kind,
        credit,
        (row or {}).get("entity_name", case.applicant.name if case.applicant else ""),
        words_of_status().get((row or {}).get("entity_status", ""), "登记库中没有"),
        pairs if done is None or done.made_at is None else (),
        items,
        tuple(_shown(h) for h in answers.get("shareholders") or () if rules.HOLDERS in items),
        tuple(wrong) if done is None or done.made_at is None else (),
        verdict,
        tuple(others(case)),
        done,
        notice,
        tuple((o, str(adapters.unseal(o.sealed, OBJECTION_USE))) for o in told),
        WorkItem.objects.filter(case=case, step=REGISTER, done_at=None).exists()
        and case.state == Case.OPEN,
    )


def _masked(pair: rules.Pair) -> rules.Pair:
    if pair.column != "legal_rep_number":
        return pair
    return rules.Pair(
        pair.column,
        str(mask_value("citizen_number", pair.before)),
        str(mask_value("citizen_number", pair.after)),
    )


def _shown(holder: dict[str, Any]) -> dict[str, Any]:
    person = holder.get("holder_kind") == "person"
    name = str(holder.get("holder_name") or "")
    return {
        "name": mask_value("name", name) if person else name,
        "number": mask_value("citizen_number", str(holder.get("holder_number") or ""))
        if person
        else str(holder.get("holder_code") or ""),
        "amount": holder.get("amount"),
        "ratio": holder.get("ratio"),
    }


__all__ = [
    "CANCELLATION",
    "CHANGING",
    "HOLDERS_USE",
    "OBJECTION_USE",
    "REGISTER",
    "Paper",
    "change_of",
    "changes",
    "ended",
    "faults",
    "firm_of",
    "holders",
    "in_notice",
    "meanwhile",
    "others",
    "paper",
    "settings",
    "subjects",
    "waiting",
    "words_of_status",
]
