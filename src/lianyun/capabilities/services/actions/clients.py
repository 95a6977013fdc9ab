"""Client: give out, change and close the credentials of grants."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant

from .. import rules
from ..models import Client

OVERLAP_HOURS = 24
"""How long a former secret stays good after a rotation."""


@action(None)
def issue_client(*, grant: Grant, by: Actor) -> Client:
    """Make the credential of a grant; its secret comes into being when the grantee collects it."""
    client, new = Client.objects.get_or_create(
        grant=grant, defaults={"client_id": rules.new_client_id()}
    )
    if new:
        record("client.issued", client, by=by, case=grant.case_id, data={"grant": grant.code})
    else:
        record("client.confirmed", client, by=by, data={"grant": grant.code})
    return client


def locked(client: Client, by: Actor) -> Client:
    """A credential for change, held by this transaction; raises UserError where it was closed."""
    row = (
        Client.objects.select_for_update(of=("self",))
        .select_related("grant__grantee")
        .get(pk=client.pk)
    )
    by.require("services.use", row.grant.grantee)
    if row.closed_at is not None:
        raise UserError("凭证已注销")
    return row


@action("services.use")
def collect_secret(*, client: Client, by: Actor) -> str:
    """Hand the secret over, once, to the department that holds the grant: `client_id.secret`."""
    row = locked(client, by)
    if row.collected_at is not None:
        raise UserError("密钥只显示一次，已经领取过；如已遗失，请更换密钥")
    if not row.grant.in_force():
        raise UserError("授权已不在有效状态，不能领取密钥")
    secret = rules.new_secret()
    row.secret_hash, row.collected_at = rules.secret_hash(secret), timezone.now()
    row.save(update_fields=["secret_hash", "collected_at"])
    record("client.collected", row, by=by, case=row.grant.case_id, data={"grant": row.grant.code})
    return f"{row.client_id}.{secret}"


@action("services.use")
def rotate_secret(*, client: Client, by: Actor, overlap_hours: int = OVERLAP_HOURS) -> str:
    """A new secret, shown once; the former one stays good for `overlap_hours` (0 to 168)."""
    if not 0 <= overlap_hours <= 168:
        raise UserError("新旧密钥并用时间应在 0 至 168 小时之间")
    row = locked(client, by)
    if row.collected_at is None:
        raise UserError("密钥尚未领取，无需更换")
    secret = rules.new_secret()
    row.former_hash = row.secret_hash
    row.former_until = timezone.now() + dt.timedelta(hours=overlap_hours)
    row.secret_hash, row.rotated_at = rules.secret_hash(secret), timezone.now()
    row.save(update_fields=["former_hash", "former_until", "secret_hash", "rotated_at"])
    record("client.rotated", row, by=by, data={"overlap_hours": overlap_hours})
    return f"{row.client_id}.{secret}"


@action("services.use")
def close_client(*, client: Client, reason: str, by: Actor) -> None:
    """End a credential for good, for instance when its secret has leaked."""
    row = locked(client, by)
    if not reason.strip():
        raise UserError("注销凭证须写明原因")
    row.closed_at = timezone.now()
    row.save(update_fields=["closed_at"])
    record("client.closed", row, by=by, data={"reason": reason})
