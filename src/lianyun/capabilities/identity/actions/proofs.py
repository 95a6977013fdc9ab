"""Proofs beyond the counter: document and face by a service (level 3), one's own certificate (level 4)."""

from __future__ import annotations

from django.utils import timezone

from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import adapters, queries, rules
from ..models import Account, Authority, Certificate, User
from .persons import (
    lock_number,
    need_proven,
    number_of,
    open_visit,
    own_account,
    prove_person,
)


def prove_face(document: bytes, face: bytes, *, by: Actor) -> Account | None:
    """Level 3 by the face service: document and face are the person's own; None with no reason told.

    The pictures go to the service and are kept nowhere. Raises UserError for pictures that are none
    and where the service does not answer. Count the attempt (`try_proof`) before.
    """
    for picture in (document, face):
        if problem := rules.picture_problem(picture):
            raise UserError(problem)
    name, number = queries.told_identity(by)
    # Outside the transaction: the service may take its seconds.
    return _note_face(number, adapters.same_face(name, number, document, face), by=by)


@action(None)
def _note_face(number: str, checked: adapters.Face, *, by: Actor) -> Account | None:
    account = own_account(by)
    if rules.reaches(account.level, rules.PERSON):
        raise UserError("您已经通过了实人核验")
    digest = adapters.number_hash(number)
    lock_number(digest)
    # A stand-in proves nothing: it must not take a number from somebody's login.
    taken = User.objects.filter(party__identity__number_hash=digest).exclude(party=account.party)
    if not checked.right or number != number_of(account) or (checked.simulated and taken.exists()):
        record("identity.refused", account, by=by, data={"way": rules.FACE})
        return None
    account = prove_person(account, number, rules.FACE, f"人像核验 {checked.serial}".strip(), by)
    if checked.simulated:
        account.simulated = True
        account.save(update_fields=["simulated"])
    return account


# ---- certificates ----------------------------------------------------------------------------


def asking(challenge: str) -> bytes:
    """What a browser signs to show that it has the key it asks a certificate for."""
    return f"lianyun-certificate-ask:{challenge}".encode()


def proving(challenge: str) -> bytes:
    """What a browser signs to show that its owner is there."""
    return f"lianyun-certificate-prove:{challenge}".encode()


@action(None)
def ask_certificate(
    spki: bytes, challenge: str, signature: bytes, device: str, *, by: Actor
) -> Certificate:
    """Ask for a certificate for a key that this browser made and keeps; issued at a counter.

    Raises UserError below level 3, for a key of another kind and for a signature that is not its own.
    """
    account = own_account(by)
    if not rules.reaches(account.level, rules.PERSON):
        raise UserError("请先完成实人核验，再申请数字证书")
    key = adapters.public_key_of(spki)
    if not challenge or not key.verify_raw(asking(challenge), signature):
        raise UserError("浏览器没有证明它持有这把密钥，请重新申请")
    if Certificate.objects.filter(kid=key.kid).exists():
        raise UserError("这把密钥已经申请过证书")
    account.certificates.filter(issued_at=None, ended_at=None).update(ended_at=timezone.now())
    made = Certificate.objects.create(
        account=account, public=key.pem, kid=key.kid, device=device[:80]
    )
    record("certificate.asked", made, by=by)
    return made


def _authority() -> Authority:
    lock_number("identity.authority")
    found = Authority.objects.order_by("-id").first()
    if found is None:
        city = str(packs.mapping("core", "city.yaml").get("name", ""))
        certificate, sealed = adapters.new_authority(city)
        found = Authority.objects.create(certificate=certificate, sealed=sealed)
    return found


@action("identity.prove")
def issue_certificate(code: str, words: str, seen: bool, *, by: Actor) -> Certificate:
    """At the counter: certify the key whose first digits the visitor's phone shows."""
    visit = open_visit(code, by)
    account = visit.account
    need_proven(account)
    if not seen:
        raise UserError("请核对证件和本人，并勾选确认")
    row = account.certificates.select_for_update().filter(issued_at=None, ended_at=None).first()
    plain = "".join(words.split()).lower()
    if row is None or len(plain) != 12 or not row.kid.startswith(plain):
        raise UserError("核对码与来访人手机上的不一致，或来访人还没有申请证书")
    authority = _authority()
    row.pem, row.serial, row.until = adapters.certify(
        authority.certificate, authority.sealed, row.public, account.party.name,
        f"{account.party_id}",
    )  # fmt: skip
    row.issued_at = timezone.now()
    row.save()
    visit.closed_at = timezone.now()
    visit.save(update_fields=["closed_at"])
    record("certificate.issued", row, by=by, data={"serial": row.serial, "until": row.until})
    return row


@action(None)
def prove_certificate(kid: str, challenge: str, signature: bytes, *, by: Actor) -> bool:
    """Level 4: a fresh challenge signed with one's own certificate, checked up to the authority.

    The caller spends the challenge whatever comes of it.
    """
    account = own_account(by)
    row = account.certificates.filter(kid=kid, ended_at=None).exclude(issued_at=None).first()
    authority = Authority.objects.order_by("-id").first()
    if (
        row is None
        or authority is None
        or not challenge
        or not rules.reaches(account.level, rules.PERSON)
        or not adapters.signed_by(row.pem, authority.certificate, proving(challenge), signature)
    ):
        record("identity.refused", account, by=by, data={"way": rules.SIGNED})
        return False
    row.used_at = timezone.now()
    row.save(update_fields=["used_at"])
    before = account.level
    account.level, account.way, account.certified_until = rules.CERTIFICATE, rules.SIGNED, row.until
    account.proved_at = timezone.now()
    account.save()
    kind = "identity.proved" if before < rules.CERTIFICATE else "identity.signed"
    record(kind, account, by=by, data={"level": account.level, "way": account.way})
    return True


@action(None)
def end_certificate(certificate: int, *, by: Actor) -> None:
    """Stop one of one's own certificates; without another one the level falls back at once."""
    account = own_account(by)
    row = account.certificates.select_for_update().filter(pk=certificate, ended_at=None).first()
    if row is None:
        raise UserError("这张证书已经停用")
    row.ended_at = timezone.now()
    row.save(update_fields=["ended_at"])
    if account.level == rules.CERTIFICATE:
        account.level, account.certified_until = rules.PERSON, None
        account.save(update_fields=["level", "certified_until"])
    record("certificate.ended", row, by=by)


__all__ = [
    "ask_certificate",
    "asking",
    "end_certificate",
    "issue_certificate",
    "prove_certificate",
    "prove_face",
    "proving",
]
