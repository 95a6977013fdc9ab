"""Lives: a seal is asked for, approved, made, lost, found, stopped; its certificate renewed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel import grant as grants
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Grant, Party, WorkItem
from lianyun.trust import drawing, issuing, signatures
from lianyun.trust.keystore import StoreError

from .. import adapters, queries, rules
from ..models import Seal, SealKey
from . import keys

PATH = "seal_request"


def _drawn(kind: str, name: str, below: str) -> drawing.Drawing:
    try:
        if kind == rules.PERSONAL:
            return drawing.personal(name)
        return drawing.official(name, below)
    except drawing.NoGlyph as wrong:
        raise UserError(str(wrong)) from wrong


@action("seals.request", department=lambda **given: given["department"])
def request_seal(
    *,
    department: Party,
    kind: str,
    title: str,
    name: str,
    below: str = "",
    automatic: list[str] | None = None,
    holder: Party | None = None,
    reason: str,
    once: str | None = None,
    by: Actor,
) -> Case:
    """Ask for a seal of a department, or for one of its officers (`holder`); raises UserError."""
    if kind not in dict(rules.KINDS):
        raise UserError("没有这种印章")
    if kind == rules.PERSONAL and holder is None:
        raise UserError("个人名章须写明持有人")
    if not reason.strip():
        raise UserError("申请印章须写明理由和依据")
    uses = automatic or []
    if any(u not in rules.AUTOMATIC for u in uses) or (uses and kind == rules.PERSONAL):
        raise UserError("这种印章不能授权自动用印")
    _drawn(kind, name, below)
    again = Case.objects.filter(once=once).first() if once else None
    if again is not None:
        raise UserError(f"这份申请已经提交，编号 {again.code}")
    return cases.open_case(
        PATH,
        title=f"申请电子印章：{title}",
        subject=department,
        applicant=department,
        department=department,
        data={
            "kind": kind,
            "title": title,
            "name": name,
            "below": below,
            "automatic": uses,
            "holder": holder.pk if holder else None,
            "keeper": by.party.pk if by.party else None,
            "reason": reason,
        },
        once=once,
        by=by,
    )


@action("seals.read")
def do_step(*, item: WorkItem, outcome: str, note: str = "", by: Actor) -> Case:
    """Do a work item of a seal's case; making it is the last one. Raises UserError, Denied.

    Whoever took a step before takes no other: asking, consent, approval and making are four people's.
    """
    if item.case.path.key != PATH:
        raise UserError("这不是印章办件")
    by.require(item.permission, item.department)
    if by.party is not None and (
        fault := rules.hand_fault(by.party.ref, queries.hands(by, item.case))
    ):
        raise UserError(fault)
    done = cases.step(item, outcome, note=note, by=by)
    if done.state == Case.CLOSED and done.outcome == "made":
        _made(done, by)
    return done


def _certified(seal: Seal, algorithm: str) -> SealKey:
    """A new key for a seal, in the store of the settings, with its certificate."""
    office = keys.office()
    try:
        where, label, public = keys.made_key("seal", algorithm)
        subject = issuing.distinguished(
            seal.title,
            seal.department.name,
            "个人名章" if seal.kind == rules.PERSONAL else "电子印章",
        )
        certificate = issuing.certify_signer(
            office.issuer, public, subject, adapters.places(office.row.thumbprint)
        )
    except (StoreError, signatures.BadKey) as wrong:
        raise UserError(f"印章密钥不能生成：{wrong}") from wrong
    return SealKey.objects.create(
        seal=seal,
        algorithm=algorithm,
        serial=f"{certificate.serial_number:x}",
        label=label,
        store=where,
        certificate=keys.as_pem(certificate),
        issuer=office.row,
        ends_at=certificate.not_valid_after_utc,
    )


def _made(case: Case, by: Actor) -> Seal:
    """The seal that a case ended in: grant, picture, key and certificate; made once."""
    data: dict[str, Any] = case.data
    assert case.applicant is not None
    to = Party.objects.get(pk=data["holder"]) if data["holder"] else case.applicant
    grant = grants.issue(
        kind="seal",
        to=to,
        grantor=cases.bureau(),
        case=case,
        terms={"title": data["title"], "kind": data["kind"], "automatic": data["automatic"]},
        once=f"seal:{case.code}",
        by=by,
    )
    found = Seal.objects.filter(grant=grant).first()
    if found is not None:
        return found
    picture = _drawn(data["kind"], data["name"], data["below"])
    seal = Seal.objects.create(
        grant=grant,
        kind=data["kind"],
        title=data["title"],
        name=data["name"],
        below=data["below"],
        department=case.applicant,
        keeper_id=data["keeper"],
        case=case,
        automatic=data["automatic"],
        size=picture.size,
        path=picture.path,
    )
    key = _certified(seal, settings.SEAL_ALGORITHM)
    record("seal.made", grant, by=by, case=case, data={"serial": key.serial, "title": seal.title})
    return seal


def _keeps(seal: Seal, by: Actor) -> None:
    """Only its holder, the department's seal keeper or the bureau may speak for a seal."""
    own = by.party is not None and by.party.pk == seal.grant.grantee_id
    if not (own or by.may("seals.keep", seal.department) or by.may("seals.supervise")):
        raise Denied("只有印章保管人或者大数据局可以办理")


def _withdraw(seal: Seal, reason: str) -> list[str]:
    """Take back every certificate of a seal that still stands, from this moment on."""
    rows = seal.keys.filter(withdrawn_at=None) | seal.keys.filter(withdrawn_for="hold")
    serials = list(rows.values_list("serial", flat=True))
    now = rules.withdrawn_from(timezone.now())
    for row in rows:
        # A key that was on hold stays withdrawn since the hold began.
        row.withdrawn_at = row.withdrawn_at or now
        row.withdrawn_for = reason
        row.save(update_fields=["withdrawn_at", "withdrawn_for"])
    return serials


@action(None)
def report_lost(*, seal: Seal, reason: str, by: Actor) -> None:
    """Stop a seal at once until it is found or stopped for good; its certificate goes on hold."""
    _keeps(seal, by)
    if not reason.strip():
        raise UserError("挂失须写明情况")
    grants.suspend(seal.grant, reason=reason, by=by)
    serials = _withdraw(seal, "hold")
    record("seal.lost", seal.grant, by=by, data={"serials": serials, "reason": reason})


@action("seals.supervise")
def give_back(*, seal: Seal, reason: str, by: Actor) -> None:
    """Let a lost and found seal work again, with a new key: what lay about is not used again."""
    if not reason.strip():
        raise UserError("恢复使用须写明核实情况")
    grants.resume(seal.grant, reason=reason, by=by)
    seal.keys.filter(withdrawn_for="hold").update(withdrawn_for="superseded")
    algorithm = seal.keys.values_list("algorithm", flat=True).first() or settings.SEAL_ALGORITHM
    key = _certified(seal, algorithm)
    record("seal.found", seal.grant, by=by, data={"serial": key.serial, "reason": reason})


@action(None)
def stop_seal(*, seal: Seal, why: str, reason: str, by: Actor) -> None:
    """End a seal for good: list and status say so at once; what it sealed before stays good."""
    _keeps(seal, by)
    if why not in rules.STOPS or not reason.strip():
        raise UserError("停用须选择原因并写明情况")
    grants.revoke(seal.grant, reason=f"{rules.STOPS[why]}：{reason}"[:500], by=by)
    serials = _withdraw(seal, why)
    record("seal.stopped", seal.grant, by=by, data={"serials": serials, "why": why})


@action(None)
def renew_key(*, seal: Seal, algorithm: str, by: Actor) -> SealKey:
    """Give a seal a new key and certificate; documents sealed with the old one stay good."""
    _keeps(seal, by)
    if algorithm not in signatures.ALGORITHMS:
        raise UserError("没有这种签名算法")
    grant = Grant.objects.select_for_update().get(pk=seal.grant_id)
    if grant.state != Grant.ACTIVE:
        raise UserError(f"“{seal.title}”{rules.STATES[grant.state]}，不能换发证书")
    seal.keys.filter(retired_at=None).update(retired_at=timezone.now())
    made = _certified(seal, algorithm)
    record("seal.key_changed", grant, by=by, data={"serial": made.serial, "algorithm": algorithm})
    return made


__all__ = [
    "PATH",
    "do_step",
    "give_back",
    "renew_key",
    "report_lost",
    "request_seal",
    "stop_seal",
]
