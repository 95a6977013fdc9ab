"""Checking: what a sealed PDF proves: whole or changed, by whom, when, trusted or not, each fault by name."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, DiffResult, ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.general import SigningError
from pyhanko.sign.validation.errors import SignatureValidationError

from .. import cms, timestamps
from ..certificates import BadChain, check_chain, loaded
from ..issuing import Withdrawal
from .status import BadStatus, withdrawn_by

_BROKEN = (
    PdfError,
    SigningError,
    SignatureValidationError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    AssertionError,
    ArithmeticError,
    NotImplementedError,
    MemoryError,
    zlib.error,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What a hostile file makes a reader of PDF raise."""
_ALGORITHMS = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512", "sm3": "SM2 / SM3"}
_MOST_SEALS = 50
_NEAR = 4096
_LONG_TEXT = re.compile(rb"/Contents\s{0,8}(<[0-9A-Fa-f]{512,}>)")
_PADES, _OLDER = "/ETSI.CAdES.detached", "/adbe.pkcs7.detached"


class NotPdf(ValueError):
    """Bytes that are no readable PDF; the message is Chinese."""


@dataclass(frozen=True)
class Problem:
    """One fault: a fixed code and what to tell people.

    Codes: unsigned, changed, appended, bad_signature, untrusted, wrong_use, revoked, expired,
    no_stamp, bad_stamp, unknown_status, unreadable.
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Mark:
    """One signature: whose it says it is, when, and what is wrong with it.

    `when` is proven by a time stamp; `claimed` is what the document says. `notes` are facts that
    do not harm (the certificate was stopped after the seal was set).
    """

    intact: bool
    trusted: bool
    signer: str
    organ: str
    when: dt.datetime | None
    claimed: str
    reason: str
    algorithm: str
    serial: int | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whole and by a trusted signer: the one thing to ask."""
        return self.intact and self.trusted and not self.problems


@dataclass(frozen=True)
class Verdict:
    """What a document's seals prove together; `marks` in the order in which they were set."""

    marks: tuple[Mark, ...]
    own: tuple[Problem, ...] = ()

    @property
    def good(self) -> bool:
        """At least one seal, and all of them good."""
        return bool(self.marks) and not self.own and all(m.good for m in self.marks)

    @property
    def intact(self) -> bool:
        """No seal's document was changed after it."""
        return bool(self.marks) and not self.own and all(m.intact for m in self.marks)

    @property
    def trusted(self) -> bool:
        """All signers lead to a trusted root and were in force."""
        return bool(self.marks) and all(m.trusted for m in self.marks)

    @property
    def signer(self) -> str:
        """The first signer's name."""
        return self.marks[0].signer if self.marks else ""

    @property
    def organ(self) -> str:
        """The first signer's organ."""
        return self.marks[0].organ if self.marks else ""

    @property
    def when(self) -> dt.datetime | None:
        """When the first seal was set, as proven."""
        return self.marks[0].when if self.marks else None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every fault of the document and of its seals."""
        return (*self.own, *(p for m in self.marks for p in m.problems))


Revoked = Callable[[x509.Certificate], Withdrawal | None]
"""What the authority itself says today of one of its certificates."""


@dataclass(frozen=True)
class _Store:
    """A document's evidence, as it came."""

    certificates: tuple[x509.Certificate, ...]
    answers: tuple[bytes, ...]
    lists: tuple[bytes, ...]


_NOTHING = _Store((), (), ())


def _streams(held: Any) -> Iterator[bytes]:
    for one in held or ():
        value = one.get_object() if hasattr(one, "get_object") else one
        if isinstance(value, generic.StreamObject):
            yield value.data


def _store(reader: PdfFileReader) -> _Store:
    try:
        dss = reader.root["/DSS"]
    except KeyError:
        return _Store((), (), ())
    certificates = []
    for data in _streams(dss.get("/Certs")):
        try:
            certificates.append(loaded(data))
        except ValueError:
            # A certificate that cannot be read proves nothing; the others may.
            continue
    return _Store(
        tuple(certificates), tuple(_streams(dss.get("/OCSPs"))), tuple(_streams(dss.get("/CRLs")))
    )


def _text(value: Any) -> str:
    return str(value)[:300] if isinstance(value, str) else ""


def _name(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(kind)
    return str(found[0].value) if found else ""


def _shortened(pdf: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """The file with each signature's long hexadecimal text replaced by its number, and their places.

    The reader takes such a text character by character, which is two thirds of a whole check.
    Lengths and the offsets of all objects stay: what the number leaves free goes behind the
    object's end, where nobody reads.
    """
    places: list[tuple[int, int]] = []
    out, done = [], 0
    for found in _LONG_TEXT.finditer(pdf):
        begin, end = found.span(1)
        last = pdf.find(b"endobj", end, end + _NEAR)
        if last < 0:
            continue
        last += len(b"endobj")
        number = b"<%08x>" % len(places)
        places.append((begin, end))
        out += [
            pdf[done:begin],
            number,
            pdf[end:last],
            b"\n".ljust(end - begin - len(number), b"x"),
        ]
        done = last
    return b"".join([*out, pdf[done:]]), places


def _span(
    pdf: bytes, signature: generic.DictionaryObject, places: list[tuple[int, int]]
) -> tuple[tuple[int, int, int], bytes] | None:
    """(end of the first part, begin and end of the second) and the CMS; None where they do not fit.

    The gap must be the hex text of /Contents and nothing else: a wider one would hide content.
    """
    parts = signature.get("/ByteRange")
    contents = signature.get("/Contents")
    if not isinstance(parts, generic.ArrayObject) or len(parts) != 4:
        return None
    if not all(isinstance(v, int) for v in parts):
        return None
    start, one, two, length = (int(v) for v in parts)
    if start != 0 or not 0 < one < two or length <= 0 or two + length > len(pdf):
        return None
    gap = pdf[one:two]
    if gap[:1] != b"<" or gap[-1:] != b">":
        return None
    try:
        inside = bytes.fromhex(gap[1:-1].decode("ascii"))
    except ValueError:
        return None
    held = getattr(contents, "original_bytes", contents)
    if not isinstance(held, bytes):
        return None
    if held != inside:
        # One whose text was shortened: it must be this very text, at this very place.
        number = int.from_bytes(held, "big")
        if len(held) != 4 or number >= len(places) or places[number] != (one, two):
            return None
    return (one, two, two + length), inside


def _appended(pdf: bytes, name: str) -> Problem | None:
    """What was added behind a seal: another seal and its evidence are allowed, nothing else."""
    reader = PdfFileReader(BytesIO(pdf), strict=False)
    embedded = next((e for e in reader.embedded_signatures if e.field_name == name), None)
    if embedded is None:
        return Problem("appended", "盖章后文件被追加过内容，无法确认追加的是什么")
    # Not compute_integrity_info: it would take the digest once more, and knows no SM3.
    embedded.coverage = embedded.evaluate_signature_coverage()
    result = embedded.evaluate_modifications(DEFAULT_DIFF_POLICY)
    if not isinstance(result, DiffResult):
        return Problem("appended", "盖章后文件内容被改动过")
    if result.modification_level > ModificationLevel.FORM_FILLING:
        return Problem("appended", "盖章后文件被加过批注或者其他内容")
    filled = result.changed_form_fields
    seals = {e.field_name for e in reader.embedded_signatures}
    if any(field not in seals for field in filled):
        return Problem("appended", "盖章后表单内容被填写或者改动过")
    return None


def _status(
    certificate: x509.Certificate,
    issuers: Sequence[x509.Certificate],
    store: _Store,
    at: dt.datetime,
    live: Revoked | None,
) -> tuple[list[Problem], list[str]]:
    """Whether a certificate was in force at a moment, by today's word of the authority or the
    document's evidence."""
    gone = live(certificate) if live else None
    known = live is not None
    try:
        found = withdrawn_by(certificate, issuers, store.answers, store.lists, at)
        known = True
        gone = gone or found
    except BadStatus:
        pass
    if gone is not None:
        day = gone.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        if gone.at <= at:
            return [Problem("revoked", f"签名证书已于 {day} 停用，盖章在停用之后，无效")], []
        return [], [f"签名证书后来于 {day} 停用；盖章在停用之前，仍然有效"]
    if not known:
        return [
            Problem("unknown_status", "无法确认盖章时签名证书是否有效（文件中没有状态证明）")
        ], []
    return [], []


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether a certificate may sign documents: no authority's, no stamper's, no responder's."""
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        if not (usage.digital_signature or usage.content_commitment):
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        uses = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True
    special = {ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING}
    return not special.intersection(uses)


def _claimed(signature: generic.DictionaryObject) -> str:
    raw = _text(signature.get("/M"))
    digits = raw.removeprefix("D:")[:14]
    if len(digits) == 14 and digits.isdecimal() and digits.isascii():
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
    return ""


def _judged(
    pdf: bytes,
    signature: generic.DictionaryObject,
    places: list[tuple[int, int]],
    store: _Store,
    roots: Sequence[x509.Certificate],
    live: Revoked | None,
    appended: Callable[[], Problem | None],
) -> Mark:
    claimed, reason = _claimed(signature), _text(signature.get("/Reason"))

    def bad(code: str, text: str) -> Mark:
        return Mark(False, False, "", "", None, claimed, reason, "", None, (Problem(code, text),))

    kind = signature.get("/SubFilter")
    if kind not in (_PADES, _OLDER):
        return bad("bad_signature", f"签名类别 {_text(kind) or '不明'} 不受支持")
    span = _span(pdf, signature, places)
    if span is None:
        return bad("changed", "签名没有覆盖整个文件，文件可能被改动过")
    (one, two, end), whole = span
    try:
        signed = cms.read(whole)
        holds = signed.holds()
    except cms.BadSignature as wrong:
        return bad("bad_signature", str(wrong))
    problems: list[Problem] = []
    view = memoryview(pdf)
    if not holds:
        problems.append(
            Problem("bad_signature", "签名值无效：签名被改动过，或者不是用所附证书签的")
        )
    if cms.digest_by(signed.digest_name, view[:one], view[two:end]) != signed.digest:
        problems.append(Problem("changed", "文件内容在盖章后被改动过"))
    elif end != len(pdf):
        found = appended()
        problems += [found] if found else []
    return mark_of(signed, problems, roots, live, store=store, claimed=claimed, reason=reason)


def mark_of(
    signed: cms.Signed,
    problems: Sequence[Problem],
    roots: Sequence[x509.Certificate],
    live: Revoked | None,
    *,
    store: _Store = _NOTHING,
    claimed: str = "",
    reason: str = "",
) -> Mark:
    """A signature judged, given what is wrong with the document itself (`problems`)."""
    certificate = signed.certificate
    between = (*signed.certificates, *store.certificates)
    when, faults, notes = _trusted(signed, between, store, roots, live)
    return Mark(
        not problems,
        not faults,
        _name(certificate, NameOID.COMMON_NAME),
        _name(certificate, NameOID.ORGANIZATION_NAME),
        when,
        claimed,
        reason,
        _ALGORITHMS[signed.digest_name],
        certificate.serial_number,
        (*problems, *faults),
        tuple(notes),
    )


def _trusted(
    signed: cms.Signed,
    between: Sequence[x509.Certificate],
    store: _Store,
    roots: Sequence[x509.Certificate],
    live: Revoked | None,
) -> tuple[dt.datetime | None, list[Problem], list[str]]:
    """When a signature was made as far as proven, and what speaks against its signer."""
    problems: list[Problem] = []
    when = None
    carried = list(signed.certificates)
    if signed.token is None:
        problems.append(Problem("no_stamp", "没有时间戳，盖章时间无法证明"))
    else:
        try:
            digest = hashlib.sha256(signed.value).digest()
            stamp = timestamps.verify(signed.token, digest, roots, between)
            when = stamp.at
            carried += stamp.certificates
        except timestamps.BadToken as wrong:
            problems.append(Problem("bad_stamp", str(wrong)))
    # Nothing proves that a signature without a stamp is older than this moment.
    at = when or dt.datetime.now(dt.UTC)
    certificate = signed.certificate
    if not _may_sign(certificate):
        problems.append(Problem("wrong_use", "该证书不能用于签名"))
    inside = certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
    try:
        check_chain(certificate, between, roots, at)
    except BadChain:
        if inside:
            return when, [*problems, Problem("untrusted", "签名者的证书不是由受信任的机构签发")], []
        return when, [*problems, Problem("expired", "签名证书在盖章时不在有效期内")], []
    # No signature covers the certificates that signature and stamp carry: where the document keeps
    # its evidence beside them, they are the same.
    kept = {*store.certificates, *roots}
    if store.answers and signed.certificate in kept and not kept.issuperset(carried):
        problems.append(Problem("changed", "签名所附的证书与文件保存的不一致，可能被改动过"))
    faults, notes = _status(certificate, (*between, *roots), store, at, live)
    return when, [*problems, *faults], notes


def check_pdf(
    pdf: bytes, roots: Sequence[x509.Certificate], *, revoked: Revoked | None = None
) -> Verdict:
    """What the seals of a PDF prove, given whom one trusts; no network is asked.

    `revoked` asks the authority itself about its own certificates (only where it is this
    installation's): a stopped certificate is then named although the document's evidence is older.
    Raises NotPdf for what cannot be read at all.
    """
    if not pdf.lstrip(b"\0\t\n\r\f ").startswith(b"%PDF-"):
        raise NotPdf("不是 PDF 文件")
    try:
        short, places = _shortened(pdf)
        reader = PdfFileReader(BytesIO(short), strict=False)
        fields = [
            (name, value.get_object())
            for name, value, _ in enumerate_sig_fields(reader, filled_status=True)
        ]
        store = _store(reader)
    except _BROKEN as wrong:
        raise NotPdf("PDF 文件已损坏，无法读取") from wrong
    if len(fields) > _MOST_SEALS:
        raise NotPdf(f"签名多于 {_MOST_SEALS} 个，不予检验")
    marks: list[tuple[int, Mark]] = []
    for name, signature in fields:

        def appended(name: str = name) -> Problem | None:
            return _appended(pdf, name)

        try:
            if signature.get("/Type") == "/DocTimeStamp":
                continue
            mark = _judged(pdf, signature, places, store, roots, revoked, appended)
            order = signature.get("/ByteRange")
            end = int(order[2]) + int(order[3]) if mark.intact else len(pdf)
        except _BROKEN:
            fault = Problem("unreadable", "签名已损坏，无法读取")
            mark = Mark(False, False, "", "", None, "", "", "", None, (fault,))
            end = len(pdf)
        marks.append((end, mark))
    if not marks:
        return Verdict((), (Problem("unsigned", "文件没有电子印章或者数字签名"),))
    marks.sort(key=lambda pair: pair[0])
    own: tuple[Problem, ...] = ()
    # Evidence added later is a revision, which the comparison of revisions has judged; bytes that
    # are none were not looked at by anybody.
    rest = pdf[marks[-1][0] :].strip()
    if rest and not rest.endswith(b"%%EOF"):
        own = (Problem("appended", "最后一次盖章之后，文件又被追加过内容"),)
    return Verdict(tuple(mark for _, mark in marks), own)


__all__ = ["Mark", "NotPdf", "Problem", "Revoked", "Verdict", "check_pdf", "mark_of"]
