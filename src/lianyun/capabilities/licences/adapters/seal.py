"""Seal: the issuing department's seal and signature on a file, and what a signed file proves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.x509.oid import NameOID
from django.utils import timezone

from lianyun.capabilities.seals import api as seals
from lianyun.kernel.access import ANONYMOUS, Denied, UserError
from lianyun.trust import ofd
from lianyun.trust.certificates import thumbprint
from lianyun.trust.sealing import CannotSign, NotOfd, NotPdf, Verdict, sign_ofd, sign_pdf

from ..rules.drawing import seal_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lianyun.kernel.access import Actor
    from lianyun.kernel.models import Party

ISSUE, COPY = "licences.issue", "licences.copy"
"""Uses that a seal may allow once for all (seals.rules.AUTOMATIC)."""


def seal(
    pdf: bytes, issuer: Party, use: str, layout: str, title: str, *, by: Actor
) -> tuple[bytes, bool]:
    """The file with the issuer's visible seal and signature; as it was, and False, without a seal.

    The use of the seal is on record (seals) with the digest of this very file.
    """
    files, sealed = seal_many([pdf], issuer, use, layout, title, by=by)
    return files[0], sealed


def seal_many(
    pdfs: Sequence[bytes], issuer: Party, use: str, layout: str, title: str, *, by: Actor
) -> tuple[list[bytes], bool]:
    """As `seal`, for files of one type at once: one question for the seal, each use on record."""
    asked = [seals.Document(hashlib.sha256(pdf).hexdigest(), title) for pdf in pdfs]
    try:
        signers = seals.signers_for(issuer, use, documents=asked, by=by, purpose=f"签发{title}")
    except (UserError, Denied):
        return list(pdfs), False
    x, y = seal_place(layout)
    now, out = timezone.now(), []
    for pdf, signer in zip(pdfs, signers, strict=True):
        visible = signer.image.at(0, x, y) if signer.image else None
        try:
            out.append(
                sign_pdf(pdf, signer=signer, reason=f"签发{title}", when=now, visible=visible)
            )
        except CannotSign as wrong:
            raise UserError(str(wrong)) from wrong
    return out, True


def seal_ofd(
    about: ofd.About, page: ofd.Page, issuer: Party, layout: str, *, by: Actor
) -> tuple[bytes, bool]:
    """The page as OFD with the issuer's seal and signature; unsigned, and False, without a seal."""
    bare = ofd.write(about, page)
    asked = [seals.Document(hashlib.sha256(bare).hexdigest(), about.title)]
    purpose = f"签发{about.title}"
    try:
        signer = seals.signers_for(issuer, ISSUE, documents=asked, by=by, purpose=purpose)[0]
    except (UserError, Denied):
        return bare, False
    place = seal_place(layout)
    return sign_ofd(about, page, signer=signer, when=timezone.now(), at=place), True


def roots() -> list[tuple[str, str]]:
    """The roots to which seals of this installation lead: (name, thumbprint's first 16 digits)."""
    return [
        (str(c.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value), thumbprint(c)[:16])
        for c in seals.roots(ANONYMOUS)
    ]


def check(data: bytes) -> Verdict | None:
    """What the seals of a file prove; None for bytes that are no readable PDF, nor an OFD of ours."""
    try:
        if data.startswith(b"PK"):
            return seals.check_ofd(data, ANONYMOUS)
        return seals.check(data, ANONYMOUS)
    except (NotPdf, NotOfd):
        return None


__all__ = ["COPY", "ISSUE", "check", "roots", "seal", "seal_many", "seal_ofd"]
