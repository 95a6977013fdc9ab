"""Grant: a right given: by whom, to whom, on what, until when, because of which case; revocable.

A data right and a licence are both grants: what differs stands in `terms`.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils import timezone

from .access import UserError
from .case import Case
from .event import record
from .party import Party
from .resource import Resource

if TYPE_CHECKING:
    from .access import Actor


class Grant(models.Model):
    """One right; `once` makes issuing idempotent: the same word never gives two grants."""

    ACTIVE, SUSPENDED, REVOKED = "active", "suspended", "revoked"
    STATES: ClassVar = [(ACTIVE, "有效"), (SUSPENDED, "暂停"), (REVOKED, "撤销")]

    code = models.CharField("编号", max_length=160, unique=True)
    kind = models.CharField("类别", max_length=60)
    grantor = models.ForeignKey(Party, models.PROTECT, null=True, related_name="given")
    grantee = models.ForeignKey(Party, models.PROTECT, related_name="held")
    resource = models.ForeignKey(Resource, models.PROTECT, null=True, related_name="grants")
    case = models.ForeignKey(Case, models.PROTECT, null=True, related_name="grants")
    state = models.CharField("状态", max_length=20, choices=STATES, default=ACTIVE)
    reason = models.CharField("原因", max_length=500, blank=True, default="")
    terms = models.JSONField("条款", default=dict)
    once = models.CharField(max_length=120, null=True, unique=True)
    valid_from = models.DateTimeField("生效", default=timezone.now)
    valid_to = models.DateTimeField("失效", null=True)
    issued_at = models.DateTimeField("授予时间", auto_now_add=True)
    changed_at = models.DateTimeField("变更时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "授权"
        ordering = ["-id"]
        indexes = [models.Index(fields=["grantee", "resource", "state"])]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"grant:{self.code}"

    def in_force(self, at: dt.datetime | None = None) -> bool:
        """Active and within its dates."""
        now = at or timezone.now()
        return (
            self.state == Grant.ACTIVE
            and self.valid_from <= now
            and (self.valid_to is None or now < self.valid_to)
        )


def issue(
    *,
    kind: str,
    to: Party,
    by: Actor,
    grantor: Party | None = None,
    resource: Resource | None = None,
    case: Case | None = None,
    terms: dict[str, Any] | None = None,
    code: str | None = None,
    once: str | None = None,
    valid_from: dt.datetime | None = None,
    valid_to: dt.datetime | None = None,
) -> Grant:
    """Give a right. With `once` a second call returns the first grant and records nothing new."""
    if once is not None:
        found = Grant.objects.filter(once=once).first()
        if found is not None:
            return found
    begin = valid_from or timezone.now()
    if valid_to is not None and valid_to <= begin:
        raise UserError("授权的失效时间必须晚于生效时间")
    grant = Grant.objects.create(
        code=code or f"{kind.upper()}-{timezone.localdate():%Y%m%d}-{secrets.token_hex(4)}",
        kind=kind,
        grantor=grantor or by.department,
        grantee=to,
        resource=resource,
        case=case,
        terms=terms or {},
        once=once,
        valid_from=begin,
        valid_to=valid_to,
    )
    told = {"to": to.ref, "resource": resource.ref if resource else None, "terms": grant.terms}
    record("grant.issued", grant, by=by, case=case, data=told)
    return grant


def _move(grant: Grant, state: str, allowed: tuple[str, ...], reason: str, by: Actor) -> None:
    row = Grant.objects.select_for_update().get(pk=grant.pk)
    if row.state not in allowed:
        raise UserError(f"授权 {row.code} 当前为“{row.get_state_display()}”，不能这样操作")
    row.state, row.reason = state, reason
    row.save(update_fields=["state", "reason", "changed_at"])
    grant.state, grant.reason = state, reason
    past = {Grant.ACTIVE: "resumed", Grant.SUSPENDED: "suspended", Grant.REVOKED: "revoked"}[state]
    record(f"grant.{past}", grant, by=by, case=grant.case_id, data={"reason": reason})


def suspend(grant: Grant, *, reason: str, by: Actor) -> None:
    """Stop a right for a while; the next use is refused."""
    _move(grant, Grant.SUSPENDED, (Grant.ACTIVE,), reason, by)


def resume(grant: Grant, *, reason: str, by: Actor) -> None:
    """Let a suspended right work again."""
    _move(grant, Grant.ACTIVE, (Grant.SUSPENDED,), reason, by)


def revoke(grant: Grant, *, reason: str, by: Actor) -> None:
    """End a right for good."""
    _move(grant, Grant.REVOKED, (Grant.ACTIVE, Grant.SUSPENDED), reason, by)


def holds(party: Party, resource: Resource, kind: str | None = None) -> Grant | None:
    """The newest grant in force that this party holds on this resource, if any."""
    now = timezone.now()
    rows = Grant.objects.filter(
        grantee=party, resource=resource, state=Grant.ACTIVE, valid_from__lte=now
    ).filter(models.Q(valid_to=None) | models.Q(valid_to__gt=now))
    if kind is not None:
        rows = rows.filter(kind=kind)
    return rows.order_by("-id").first()
