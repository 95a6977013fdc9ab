"""Signing: one incremental revision with the seal's picture, the evidence, and the signature over both."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import SignatureObject
from pyhanko.sign.validation.dss import DocumentSecurityStore

from .. import cms
from ..drawing import Drawing
from ..issuing import DER, Key
from .plain import prepared, pressed

_POINTS = 72 / 25.4
_ROOM = 2816
"""Bytes of a signature besides certificates: attributes, value, time stamp with its certificate."""


class CannotSign(ValueError):
    """A document that cannot be signed as it is; the message (Chinese) says why."""


@dataclass(frozen=True)
class SealImage:
    """A seal's picture and its place: page from 0 (negative: from the end), centre in millimetres
    from the page's lower left corner."""

    drawing: Drawing
    page: int = -1
    x: float = 150.0
    y: float = 60.0

    def at(self, page: int, x: float, y: float) -> SealImage:
        """The same picture elsewhere."""
        return replace(self, page=page, x=x, y=y)


@dataclass(frozen=True)
class Evidence:
    """What proves a signature later: certificates, OCSP answers and lists, DER each."""

    certificates: tuple[bytes, ...] = ()
    answers: tuple[bytes, ...] = ()
    lists: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Signer:
    """Everything that one signature needs. The key signs without being seen.

    `stamp` gives an RFC 3161 token for a SHA-256 digest. `document_digest` (SHA-256, hex) binds the
    signer to one document: another one is refused. `image` is the seal's picture in its usual place.
    """

    key: Key
    certificate: x509.Certificate
    between: tuple[x509.Certificate, ...]
    stamp: Callable[[bytes], bytes] | None
    evidence: Evidence = field(default_factory=Evidence)
    organ: str = ""
    image: SealImage | None = None
    document_digest: str = ""


class _Writer(IncrementalPdfFileWriter):
    """A revision that leaves what the document says of itself (XMP, info) as it is: a third of the
    time would go into a date of change that nobody may rely on."""

    def _update_meta(self) -> None:
        pass


def _keep(writer: IncrementalPdfFileWriter, signer: Signer, held: tuple[bytes, ...]) -> None:
    """The evidence in the document (DSS, ETSI EN 319 142-1, 5.4.2)."""
    certificates = dict.fromkeys((*held, *signer.evidence.certificates))
    if "/DSS" in writer.root:
        DocumentSecurityStore.supply_dss_in_writer(
            writer,
            None,
            certs=[asn1_x509.Certificate.load(c) for c in certificates],
            ocsps=[asn1_ocsp.OCSPResponse.load(a) for a in signer.evidence.answers],
            crls=[asn1_crl.CertificateList.load(c) for c in signer.evidence.lists],
        )
        return
    # Where there is none yet, nothing has to be compared with what stands there.
    kinds = {
        "/Certs": tuple(certificates),
        "/OCSPs": signer.evidence.answers,
        "/CRLs": signer.evidence.lists,
    }
    store = generic.DictionaryObject()
    for name, parts in kinds.items():
        if parts:
            store[pdf_name(name)] = generic.ArrayObject(
                writer.add_object(generic.StreamObject(stream_data=part)) for part in parts
            )
    writer.root[pdf_name("/DSS")] = writer.add_object(store)
    writer.update_root()


def _field(writer: IncrementalPdfFileWriter, visible: SealImage | None) -> SigFieldSpec:
    name = f"Seal-{secrets.token_hex(8)}"
    if visible is None:
        return SigFieldSpec(name)
    count = int(writer.root["/Pages"]["/Count"])
    page = visible.page + count if visible.page < 0 else visible.page
    if not 0 <= page < count:
        raise CannotSign(f"文件共 {count} 页，没有要盖章的那一页")
    return SigFieldSpec(name, on_page=page, box=_box(visible))


def _box(visible: SealImage) -> tuple[int, int, int, int]:
    """The seal's place on the page in points: left, lower, right, upper."""
    half = visible.drawing.size / 2
    return (
        round((visible.x - half) * _POINTS),
        round((visible.y - half) * _POINTS),
        round((visible.x + half) * _POINTS),
        round((visible.y + half) * _POINTS),
    )


def _show(
    writer: IncrementalPdfFileWriter, annotation: generic.DictionaryObject, what: Drawing
) -> None:
    side = what.size * _POINTS
    form = generic.StreamObject(
        generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/XObject"),
                pdf_name("/Subtype"): pdf_name("/Form"),
                pdf_name("/BBox"): generic.ArrayObject(
                    [generic.FloatObject(v) for v in (0, 0, round(side, 3), round(side, 3))]
                ),
                pdf_name("/Resources"): generic.DictionaryObject(),
                pdf_name("/Filter"): pdf_name("/FlateDecode"),
            }
        ),
        encoded_data=what.stream,
    )
    annotation[pdf_name("/AP")] = generic.DictionaryObject(
        {pdf_name("/N"): writer.add_object(form)}
    )


def sign_pdf(
    pdf: bytes,
    *,
    signer: Signer,
    reason: str,
    when: dt.datetime,
    visible: SealImage | None = None,
) -> bytes:
    """The document with one more revision that holds seal, evidence and signature (PAdES B-LT).

    `when` is the time that the document claims; what can be proven is the time stamp's. A document
    that is sealed already keeps its seals. Raises CannotSign.
    """
    if signer.document_digest and hashlib.sha256(pdf).hexdigest() != signer.document_digest:
        raise CannotSign("这次用印登记的不是这份文件")
    name = cms.DIGEST_OF[signer.key.public.algorithm]
    held = tuple(c.public_bytes(DER) for c in (signer.certificate, *signer.between))
    room = _ROOM + sum(len(c) for c in held)
    if visible is not None and visible.page in (0, -1) and (own := pressed(pdf)) is not None:
        opened = prepared(
            pdf,
            own,
            box=_box(visible),
            picture=visible.drawing,
            side=visible.drawing.size * _POINTS,
            certificates=tuple(dict.fromkeys((*held, *signer.evidence.certificates))),
            answers=signer.evidence.answers,
            lists=signer.evidence.lists,
            organ=signer.organ,
            reason=reason,
            when=when,
            room=room,
            digest=name,
        )
        return opened.close(
            cms.make(signer.key, signer.certificate, signer.between, opened.digest, signer.stamp)
        )
    try:
        writer = _Writer(BytesIO(pdf), strict=False)
        if writer.prev.encrypted:
            raise CannotSign("加密的 PDF 文件不能盖章，请先解除密码")
        spec = _field(writer, visible)
        session = PdfCMSEmbedder(new_field_spec=spec).write_cms(spec.sig_field_name, writer)
        reference = next(session)
        if visible is not None:
            _show(writer, reference.get_object(), visible.drawing)
        _keep(writer, signer, held)
        session.send(
            SigObjSetup(
                SignatureObject(
                    timestamp=when,
                    subfilter=SigSeedSubFilter.PADES,
                    name=signer.organ or None,
                    reason=reason or None,
                    bytes_reserved=2 * room,
                )
            )
        )
        ready, output = session.send(SigIOSetup(md_algorithm=name))
        made = cms.make(
            signer.key, signer.certificate, signer.between, ready.document_digest, signer.stamp
        )
        session.send(made)
    except CannotSign:
        raise
    except (
        PdfError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as wrong:
        raise CannotSign("不是完好的 PDF 文件，不能盖章") from wrong
    return bytes(output.getbuffer())


__all__ = ["CannotSign", "Evidence", "SealImage", "Signer", "sign_pdf"]
