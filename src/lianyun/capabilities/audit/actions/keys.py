"""Keys: the installation's own authority, made at the first seal, and their change."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.trust import certificates, signatures
from lianyun.trust.timestamps import Authority

from .. import adapters
from ..models import SigningKey

KEYS_LOCK = 0x6C79_0004
USE = "audit.signing_key"
"""The vault's use of private keys."""
_NAMES = {SigningKey.SEAL: "连云存证签名", SigningKey.STAMP: "连云时间戳"}


@dataclass(frozen=True)
class Signer:
    """Everything that one seal needs: keys to sign with, and the authority that stamps."""

    keys: tuple[signatures.PrivateKey, ...]
    authority: Authority
    root: str


def _kept(key: signatures.PrivateKey, use: str, certificate: str) -> SigningKey:
    return SigningKey.objects.create(
        kid=key.public.kid,
        use=use,
        algorithm=key.algorithm,
        certificate=certificate,
        secret=adapters.encrypt(key.pem.encode(), USE),
    )


def _opened(row: SigningKey) -> signatures.PrivateKey:
    return signatures.private_key(adapters.decrypt(row.secret, USE).decode())


def _in_use() -> dict[tuple[str, str], SigningKey]:
    return {(k.use, k.algorithm): k for k in SigningKey.objects.filter(retired_at=None)}


def _wanted() -> list[tuple[str, str]]:
    seals = [(SigningKey.SEAL, algorithm) for algorithm in settings.PROOF_SIGNATURES]
    return [*seals, (SigningKey.STAMP, signatures.ECDSA)]


def _made(use: str, algorithm: str, root: SigningKey) -> SigningKey:
    key = signatures.new_key(algorithm)
    certificate = certificates.certify(
        _opened(root), root.certificate, key.public, _NAMES[use], stamping=use == SigningKey.STAMP
    )
    return _kept(key, use, certificate)


def _root(have: dict[tuple[str, str], SigningKey]) -> SigningKey:
    found = have.get((SigningKey.ROOT, signatures.ECDSA))
    if found is None:
        key, certificate = certificates.new_root(
            str(packs.mapping("core", "city.yaml").get("name") or "连云")
        )
        found = _kept(key, SigningKey.ROOT, certificate)
    return found


@action(None)
def make_keys(*, by: Actor) -> list[SigningKey]:
    """Make the keys that are wanted and not there; who comes second finds them made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [KEYS_LOCK])
    have = _in_use()
    root = _root(have)
    made = [_made(*one, root) for one in _wanted() if one not in have]
    record("proof.keys_made", "system:proof", by=by, data={"keys": [k.kid for k in made]})
    return made


@action("audit.keys")
def rotate_key(*, algorithm: str, reason: str, by: Actor) -> SigningKey:
    """Sign with a new key from the next seal on; what the old one signed stays good."""
    if not reason.strip():
        raise UserError("更换签名密钥须写明原因")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [KEYS_LOCK])
    have = _in_use()
    old = have.get((SigningKey.SEAL, algorithm))
    if old is None:
        raise UserError("没有这种算法的签名密钥")
    old.retired_at = timezone.now()
    old.save(update_fields=["retired_at"])
    made = _made(SigningKey.SEAL, algorithm, _root(have))
    data = {"old": old.kid, "new": made.kid, "reason": reason}
    record("proof.key_rotated", "system:proof", by=by, data=data)
    return made


def signer() -> Signer:
    """The keys in use, made first where some are missing; raises VaultError with another key file."""
    have = _in_use()
    if any(one not in have for one in _wanted()):
        with transaction.atomic():
            make_keys(by=SYSTEM)
        have = _in_use()
    root = have[(SigningKey.ROOT, signatures.ECDSA)]
    stamp = have[(SigningKey.STAMP, signatures.ECDSA)]
    keys = tuple(_opened(have[one]) for one in _wanted() if one[0] == SigningKey.SEAL)
    return Signer(
        keys, Authority(_opened(stamp), stamp.certificate, root.certificate), root.certificate
    )


__all__ = ["Signer", "make_keys", "rotate_key", "signer"]
