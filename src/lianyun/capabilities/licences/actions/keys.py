"""Keys: with which credentials and status lists are signed; and a credential made for one showing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

from django.db import connection
from django.utils import timezone
from joserfc.jwk import ECKey

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..adapters import shelf
from ..models import IssuerKey, Licence
from ..queries import kinds, licences, status
from ..rules import credential, types

USE = "licences.key"
HOURS = 24
"""How long a credential lasts that a holder makes for a showing."""


def signing_key() -> ECKey:
    """The present signing key, made by the first to need it."""
    row = IssuerKey.objects.filter(until=None).order_by("-id").first()
    if row is None:
        row = new_signing_key(by=SYSTEM)
    return ECKey.import_key(json.loads(audit.decrypt(row.sealed, USE)))


@action("licences.figures")
def new_signing_key(*, by: Actor, again: bool = False) -> IssuerKey:
    """A first signing key; with `again` another one, the old ones stay for checking only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(1819249170)")
    present = IssuerKey.objects.filter(until=None).first()
    if present is not None and not again:
        record("licence_key.kept", present, by=by)
        return present
    IssuerKey.objects.filter(until=None).update(until=timezone.now())
    key = credential.new_key()
    row = IssuerKey.objects.create(
        kid=str(key.kid),
        public=json.dumps({**key.as_dict(private=False), "use": "sig"}),
        sealed=audit.encrypt(json.dumps(key.as_dict(private=True)).encode(), USE),
    )
    record("licence_key.made", row, by=by)
    return row


@action(None)
def credential_of(
    licence: Licence, names: Sequence[str] | None, *, by: Actor, hours: int = HOURS
) -> str:
    """A credential of the holder's licence that discloses these claims (None: all) and no others.

    Newly signed each time under new salts, for `hours` at most and never beyond the licence's end.
    """
    row = licences.held_one(by, licence.identifier)
    one = kinds.kind(row.kind)
    now = timezone.now()
    if not row.grant.in_force(now):
        raise UserError("证照当前不在有效状态，不能出示")
    elements = licences.elements(row)
    claims = {**elements, **types.proofs(one, elements, timezone.localdate())}
    if names is not None and (strange := set(names) - set(claims)):
        raise UserError(f"证照中没有这些内容：{'、'.join(sorted(strange))}")
    ends = now + dt.timedelta(hours=hours)
    if row.grant.valid_to is not None:
        ends = min(ends, row.grant.valid_to)
    whole = credential.issue(
        issuer=shelf.site(),
        kind=f"{shelf.site()}/licences/types/{row.kind}",
        claims=claims,
        open_claims={"licence_title": one.title, "issuing_authority": str(row.grant.grantor or "")},
        issued=int(now.timestamp()),
        expires=int(ends.timestamp()),
        status=(status.uri_of(row.pk), status.place_of(row.pk)),
        key=signing_key(),
    )
    shown = list(claims) if names is None else list(names)
    record("licence.credential_made", row, by=by, data={"items": shown})
    return credential.reduced(whole, shown)


__all__ = ["credential_of", "new_signing_key", "signing_key"]
