"""Key: signing keys are made before they sign, replaced before they are old, known until their tokens end."""

from __future__ import annotations

import datetime as dt

from django.db import connection
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import adapters, queries, rules
from ..models import SigningKey

_LOCK = 0x6C79_0B01


def _one_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _new(signs_from: dt.datetime) -> SigningKey:
    pair = adapters.new_pair()
    return SigningKey.objects.create(
        kid=pair.kid,
        algorithm=adapters.ALGORITHM,
        public=pair.public,
        sealed=pair.sealed,
        signs_from=signs_from,
    )


@action(None)
def first_key(*, by: Actor) -> SigningKey:
    """The key that signs now; the first to ask makes it."""
    _one_at_a_time()
    found = queries.signing_key()
    if found is None:
        found = _new(timezone.now())
        record("login_key.made", found, by=by, data={"kid": found.kid})
    else:
        record("login_key.confirmed", found, by=by, data={"kid": found.kid})
    return found


@action("login.secure")
def rotate_key(*, by: Actor, reason: str, at_once: bool = False) -> SigningKey:
    """Announce the next key: it signs after KEY_ANNOUNCED, or now where the present one has leaked.

    The present key stays published for KEY_KEPT after its last signature, so that tokens under it
    are checked until they have expired. One that leaked (`at_once`) is withdrawn at once: every
    token under it stops verifying.
    """
    return _rotate(by, reason, at_once=at_once)


def _rotate(by: Actor, reason: str, *, at_once: bool = False) -> SigningKey:
    _one_at_a_time()
    now = timezone.now()
    begin = now if at_once else now + rules.KEY_ANNOUNCED
    made = _new(begin)
    for old in SigningKey.objects.filter(signs_until=None).exclude(pk=made.pk):
        old.signs_until = begin
        old.known_until = now if at_once else begin + rules.KEY_KEPT
        old.save(update_fields=["signs_until", "known_until"])
    data = {"kid": made.kid, "note": reason, "at_once": at_once}
    record("login_key.rotated", made, by=by, data=data)
    return made


@action(None)
def turn_keys(*, by: Actor) -> SigningKey | None:
    """Rotate where the newest key has lived its life; for the nightly job."""
    newest = SigningKey.objects.order_by("-signs_from").first()
    if newest is not None and timezone.now() < newest.signs_from + rules.KEY_LIFE:
        record("login_key.confirmed", newest, by=by, data={"kid": newest.kid})
        return None
    return _rotate(by, "到期更换", at_once=newest is None)


__all__ = ["first_key", "rotate_key", "turn_keys"]
