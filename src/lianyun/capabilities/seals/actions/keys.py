"""Keys: the authority that certifies seals, made when first needed, and its tie to the city's root."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from cryptography import x509
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.trust import certificates, issuing
from lianyun.trust.keystore import KeyStore, SoftwareStore, StoreError
from lianyun.trust.sealing import Evidence
from lianyun.trust.signatures import ECDSA, PublicKey
from lianyun.trust.timestamps import Authority as Stamper

from .. import adapters, rules
from ..models import Authority, KeptKey

LOCK = 0x6C79_0024
USE = "seals.key"
"""The vault's use of seals' private keys."""
_DER = issuing.DER
_ANSWER_SECONDS = 600
"""So long is an answer about a certificate kept to be written into documents."""


def _keep(label: str, secret: str) -> None:
    KeptKey.objects.create(label=label, secret=secret)


def _load(label: str) -> str:
    found = KeptKey.objects.filter(label=label).values_list("secret", flat=True).first()
    if found is None:
        raise StoreError("密钥库中没有这把密钥")
    return found


@cache
def _software() -> SoftwareStore:
    return SoftwareStore(
        lambda data: audit.encrypt(data, USE), lambda text: audit.decrypt(text, USE), _keep, _load
    )


def store(name: str) -> KeyStore:
    """The key store with this name; raises StoreError where it is not configured."""
    return adapters.hardware() if name == rules.PKCS11 else _software()


def new_label(use: str) -> str:
    """A label that no key has."""
    return f"lianyun-{use}-{secrets.token_hex(8)}"


def made_key(use: str, algorithm: str) -> tuple[str, str, PublicKey]:
    """A new key in the store that the settings name: (store, label, public half)."""
    name, label = settings.SEAL_STORE, new_label(use)
    return name, label, store(name).make(label, algorithm)


def loaded(pem: str) -> x509.Certificate:
    """A certificate of ours from its column."""
    return x509.load_pem_x509_certificate(pem.encode())


def as_pem(certificate: x509.Certificate) -> str:
    """A certificate for a column."""
    return certificate.public_bytes(certificates.PEM).decode()


def public_of(certificate: x509.Certificate) -> PublicKey:
    """The key of a certificate of ours."""
    found = certificates.key_of(certificate)
    if found is None:
        raise StoreError("证书中的公钥不受支持")
    return found


@dataclass(frozen=True)
class Office:
    """The authority at work: it certifies, answers for its certificates, and stamps times.

    `above` leads from the issuer to the root, the root last.
    """

    row: Authority
    issuer: issuing.Issuer
    responder: issuing.Responder
    stamper: Stamper
    above: tuple[x509.Certificate, ...]
    above_lists: Callable[[], tuple[bytes, ...]]

    @property
    def root(self) -> x509.Certificate:
        """Whom readers are to trust."""
        return self.above[-1]


def _kept(
    use: str, certificate: x509.Certificate, label: str, where: str, above: Authority | None
) -> Authority:
    return Authority.objects.create(
        use=use,
        label=label,
        store=where,
        certificate=as_pem(certificate),
        thumbprint=certificates.thumbprint(certificate),
        above=above,
    )


def _city() -> str:
    return str(packs.mapping("core", "city.yaml").get("name") or "连云")


def _key(row: Authority) -> issuing.Key:
    return store(row.store).key(row.label, public_of(loaded(row.certificate)))


def _staffed(issuer: Authority) -> None:
    """The issuer's responder, and its certificate for the installation's time-stamping key."""
    own = issuing.Issuer(_key(issuer), loaded(issuer.certificate))
    city = _city()
    where, label, public = made_key("responder", ECDSA)
    answering = issuing.certify_responder(
        own, public, issuing.distinguished("电子印章证书状态应答", city), days=365 * 5
    )
    _kept(Authority.RESPONDER, answering, label, where, issuer)
    stamping = issuing.certify_stamper(
        own,
        audit.stamping_key().public,
        issuing.distinguished("连云时间戳", city),
        adapters.places(issuer.thumbprint),
    )
    _kept(Authority.STAMPER, stamping, "", "", issuer)


@action(None)
def make_authority(*, by: Actor) -> Authority:
    """Make root, issuer, responder and stamper; who comes second finds them made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    found = Authority.objects.filter(use=Authority.ISSUER, retired_at=None).last()
    if found is None:
        city = _city()
        where, label, public = made_key("root", ECDSA)
        key = store(where).key(label, public)
        certificate = issuing.new_root(key, issuing.distinguished(f"{city}电子印章根证书", city))
        root = _kept(Authority.ROOT, certificate, label, where, None)
        where, label, public = made_key("issuer", ECDSA)
        issuer = issuing.certify_issuer(
            issuing.Issuer(key, certificate),
            public,
            issuing.distinguished(f"{city}电子印章签发机构", city),
            adapters.places(root.thumbprint),
        )
        found = _kept(Authority.ISSUER, issuer, label, where, root)
        _staffed(found)
    record("seals.authority_made", "system:seals", by=by, data={"issuer": found.thumbprint})
    return found


@lru_cache(maxsize=4)
def _office(thumbprint: str, responder: str, stamper: str) -> Office:
    # By their certificates, not by their rows: a restored database may number rows anew.
    row = Authority.objects.get(thumbprint=thumbprint)
    certificate = loaded(row.certificate)
    above, at = [], row.above
    while at is not None:
        above.append(at)
        at = at.above
    chain = tuple(loaded(a.certificate) for a in above)
    answering = Authority.objects.get(thumbprint=responder)
    stamping = Authority.objects.get(thumbprint=stamper)
    pem = stamping.certificate
    direct = above[0] if above else row

    @lru_cache(maxsize=1)
    def listed(period: int) -> tuple[bytes, ...]:
        # A higher authority's own list is its own affair: it is served, and embedded, by it.
        if not direct.label:
            return ()
        top = issuing.Issuer(_key(direct), loaded(direct.certificate))
        return (issuing.make_list(top, [], int(time.time()), hours=24 * 30),)

    return Office(
        row,
        issuing.Issuer(_key(row), certificate),
        issuing.Responder(_key(answering), loaded(answering.certificate), certificate),
        Stamper(audit.stamping_key(), pem, as_pem(chain[-1]), row.certificate),
        chain,
        lambda: listed(int(time.time() // 86400)),
    )


def office_of(row: Authority) -> Office:
    """The authority whose issuer this is, also a former one: it goes on answering."""
    staff = {a.use: a.thumbprint for a in row.below.order_by("pk")}
    return _office(row.thumbprint, staff[Authority.RESPONDER], staff[Authority.STAMPER])


def office() -> Office:
    """The authority that certifies now, made first if there is none."""
    row = Authority.objects.filter(use=Authority.ISSUER, retired_at=None).last()
    if row is None:
        with transaction.atomic():
            row = make_authority(by=SYSTEM)
    return office_of(row)


@lru_cache(maxsize=2048)
def _answer(at: Office, serial: int, period: int) -> bytes:
    return at.responder.about(serial, issuing.GOOD)


def evidence(at: Office, serial: int) -> Evidence:
    """What goes into a document that is sealed now; the caller knows that the certificate is good."""
    period = int(time.time() // _ANSWER_SECONDS)
    stamping = at.stamper.certificate
    return Evidence(
        tuple(c.public_bytes(_DER) for c in (*at.above, at.responder.certificate, stamping)),
        (_answer(at, serial, period), _answer(at, stamping.serial_number, period)),
        at.above_lists(),
    )


def list_of(row: Authority, gone: list[tuple[int, issuing.Withdrawal]]) -> bytes:
    """The list of certificates that this issuer took back, signed now, DER."""
    own = issuing.Issuer(_key(row), loaded(row.certificate))
    return issuing.make_list(own, gone, int(time.time()))


def answered(request: bytes, standing: Callable[[Authority, int], issuing.Standing]) -> bytes:
    """The answer to a question about certificates, by the issuer that it asks about."""
    rows = list(Authority.objects.filter(use=Authority.ISSUER).order_by("-pk"))
    for row in rows:
        at = office_of(row)
        if at.responder.asked_of(request):
            return at.responder.answer(request, lambda serial, row=row: standing(row, serial))  # type: ignore[misc]
    at = office_of(rows[0]) if rows else office()
    return at.responder.answer(request, lambda _: issuing.UNKNOWN)


@action("seals.authority")
def ask_higher(*, by: Actor) -> str:
    """A request (PKCS#10, PEM) by which the city's root certifies a new issuing key of ours."""
    where, label, public = made_key("issuer", ECDSA)
    key = store(where).key(label, public)
    text = issuing.signing_request(
        key, issuing.distinguished(f"{_city()}电子印章签发机构", _city())
    )
    record(
        "seals.request_made",
        "system:seals",
        by=by,
        data={"label": label, "store": where, "key": public.kid},
    )
    return text


@action("seals.authority")
def adopt_issuer(*, chain: str, label: str, where: str, by: Actor) -> Authority:
    """Certify seals from now on with the key `label`, for which a higher root has given a certificate.

    `chain` is PEM: our certificate first, then up to the root. Certificates of the former authority
    stay good and go on being answered for. Raises UserError.
    """
    try:
        found = certificates.load_all(chain)
        own, *rest = found
        now = timezone.now()
        if not rest:
            raise UserError("证书链须从本机构证书起，一直到根证书")
        certificates.check_chain(own, rest, [rest[-1]], now)
        certificates.check_chain(rest[-1], [], [rest[-1]], now)
        limits = own.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = own.extensions.get_extension_for_class(x509.KeyUsage).value
    except certificates.BadChain as wrong:
        raise UserError(f"证书链不成立：{wrong}") from wrong
    except x509.ExtensionNotFound as wrong:
        raise UserError("该证书没有写明可以签发证书") from wrong
    if not limits.ca or not usage.key_cert_sign or not usage.crl_sign:
        raise UserError("该证书不能用于签发证书和吊销列表")
    if not certificates.is_issued_by(rest[-1], rest[-1]):
        raise UserError("证书链的最后一张须是根证书")
    public = certificates.key_of(own)
    if public is None:
        raise UserError("证书中的公钥不受支持")
    key = store(where).key(label, public)
    try:
        works = public.verify(b"lianyun", key.sign(b"lianyun"))
    except StoreError:
        works = False
    if not works:
        raise UserError("证书中的公钥不是本次申请的密钥")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    above: Authority | None = None
    for one in reversed(rest):
        above = _kept(Authority.ROOT, one, "", "", above)
    Authority.objects.filter(use=Authority.ISSUER, retired_at=None).update(retired_at=now)
    made = _kept(Authority.ISSUER, own, label, where, above)
    _staffed(made)
    record(
        "seals.issuer_adopted",
        "system:seals",
        by=by,
        data={"issuer": made.thumbprint, "root": certificates.thumbprint(rest[-1])},
    )
    return made


__all__ = [
    "Office",
    "adopt_issuer",
    "answered",
    "as_pem",
    "ask_higher",
    "evidence",
    "list_of",
    "loaded",
    "made_key",
    "make_authority",
    "office",
    "office_of",
    "public_of",
    "store",
]
