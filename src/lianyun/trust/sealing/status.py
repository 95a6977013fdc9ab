"""Status: what OCSP answers and revocation lists say of a certificate, each by a signer who may say so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ..certificates import is_issued_by
from ..cms import BadSignature, verified
from ..issuing import REASONS, Withdrawal

_REASONS = {flag: name for name, (_, flag) in REASONS.items()}
_DIGESTS = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.156.10197.1.501": "sm3",
}


class BadStatus(ValueError):
    """No answer and no list that may speak of the certificate."""


_USUAL = 16_384
"""Bytes of evidence at most that is remembered once it is read."""


@lru_cache(maxsize=256)
def _answer(data: bytes) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(data)


@lru_cache(maxsize=64)
def _list(data: bytes) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(data)


@lru_cache(maxsize=512)
def _signed(by: x509.Certificate, oid: str, data: bytes, value: bytes) -> bool:
    name = _DIGESTS.get(oid)
    try:
        return name is not None and verified(by, oid, name, data, value)
    except BadSignature:
        return False


def _answers_for(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether an answer was signed by the issuer or by one whom it let answer (RFC 6960, 4.2.2.2)."""
    signers = [issuer]
    for one in response.certificates:
        try:
            uses = list(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except (x509.ExtensionNotFound, ValueError):
            continue
        within = one.not_valid_before_utc <= response.produced_at_utc <= one.not_valid_after_utc
        if ExtendedKeyUsageOID.OCSP_SIGNING in uses and within and is_issued_by(one, issuer):
            signers.append(one)
    oid = response.signature_algorithm_oid.dotted_string
    return any(_signed(s, oid, response.tbs_response_bytes, response.signature) for s in signers)


def _reason(flag: x509.ReasonFlags | None) -> str:
    return _REASONS.get(flag, "ended") if flag is not None else "ended"


def withdrawn_by(
    certificate: x509.Certificate,
    issuers: Sequence[x509.Certificate],
    answers: Iterable[bytes],
    lists: Iterable[bytes],
    at: dt.datetime,
) -> Withdrawal | None:
    """The withdrawal that evidence knows of, or None where it says that there is none.

    Evidence that had run out before `at` cannot speak of that moment: who stole a key keeps old
    answers. Raises BadStatus where no evidence may speak of this certificate.
    """
    above = next((c for c in issuers if c != certificate and is_issued_by(certificate, c)), None)
    if above is None:
        raise BadStatus("no issuer")
    known = False
    found: Withdrawal | None = None
    for data in answers:
        try:
            response = _answer(data) if len(data) <= _USUAL else ocsp.load_der_ocsp_response(data)
            if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
                continue
            if response.serial_number != certificate.serial_number:
                continue
            if not _answers_for(response, above):
                continue
            if response.next_update_utc is not None and response.next_update_utc < at:
                continue
            status = response.certificate_status
            if status == ocsp.OCSPCertStatus.REVOKED:
                at = response.revocation_time_utc or dt.datetime.min.replace(tzinfo=dt.UTC)
                found = Withdrawal(at, _reason(response.revocation_reason))
            known = known or status != ocsp.OCSPCertStatus.UNKNOWN
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    for data in lists:
        try:
            made = _list(data) if len(data) <= _USUAL else x509.load_der_x509_crl(data)
            oid = made.signature_algorithm_oid.dotted_string
            if made.issuer != certificate.issuer or not _signed(
                above, oid, made.tbs_certlist_bytes, made.signature
            ):
                continue
            if made.next_update_utc is not None and made.next_update_utc < at:
                continue
            known = True
            entry = made.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and found is None:
                found = Withdrawal(entry.revocation_date_utc, "ended")
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    if not known:
        raise BadStatus("no evidence")
    return found


__all__ = ["BadStatus", "withdrawn_by"]
