"""Seal: the issuing department's seal and signature on a file, and what a signed file proves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.utils import timezone

from lianyun.capabilities.seals import api as seals
from lianyun.kernel.access import ANONYMOUS, Denied, UserError
from lianyun.trust.sealing import CannotSign, NotPdf, Verdict, sign_pdf

from ..rules.drawing import seal_place

if TYPE_CHECKING:
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
    digest = hashlib.sha256(pdf).hexdigest()
    try:
        signer = seals.signer_for(
            issuer, use, document_digest=digest, by=by, purpose=f"签发{title}", title=title
        )
    except (UserError, Denied):
        return pdf, False
    x, y = seal_place(layout)
    visible = signer.image.at(0, x, y) if signer.image else None
    try:
        data = sign_pdf(
            pdf, signer=signer, reason=f"签发{title}", when=timezone.now(), visible=visible
        )
    except CannotSign as wrong:
        raise UserError(str(wrong)) from wrong
    return data, True


def check(pdf: bytes) -> Verdict | None:
    """What the seals of a file prove; None for bytes that are no readable PDF."""
    try:
        return seals.check(pdf, ANONYMOUS)
    except NotPdf:
        return None


__all__ = ["COPY", "ISSUE", "check", "seal"]
