"""Seals' door: a signer for a document that a capability makes, and what a sealed PDF proves here."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from lianyun.kernel.access import ANONYMOUS, Actor
from lianyun.kernel.models import Party
from lianyun.trust import sealing
from lianyun.trust.sealing import Signer, Verdict, check_pdf

from . import queries
from .actions import Document, do_step, request_seal, use_seals
from .rules import AUTOMATIC


def signer_for(
    department: Party,
    use: str,
    *,
    document_digest: str,
    by: Actor,
    purpose: str = "",
    title: str = "",
) -> Signer:
    """A signer of the department's seal for the one document with this SHA-256 (hex, unsigned).

    `use` is one of AUTOMATIC (then the seal must allow it) or any word, for which `by` needs
    `seals.use`. The use is recorded before the signer is given. Raises UserError, Denied.
    """
    one = Document(document_digest, title)
    return use_seals(department=department, documents=[one], use=use, purpose=purpose, by=by)[0]


def signers_for(
    department: Party,
    use: str,
    *,
    documents: Sequence[Document],
    by: Actor,
    purpose: str = "",
) -> list[Signer]:
    """As `signer_for` for many documents at once: one check, one event, a record for each."""
    return use_seals(department=department, documents=documents, use=use, purpose=purpose, by=by)


def roots(viewer: Actor = ANONYMOUS) -> list[x509.Certificate]:
    """The roots to which seals of this installation lead."""
    return queries.roots(viewer)


def check(pdf: bytes, viewer: Actor = ANONYMOUS) -> Verdict:
    """What the seals of a PDF prove, the authority's own word of today included; raises NotPdf."""
    return check_pdf(pdf, roots(viewer), revoked=lambda c: queries.withdrawal_of(viewer, c))


def check_ofd(data: bytes, viewer: Actor = ANONYMOUS) -> Verdict:
    """As `check`, of an OFD file made here; raises NotOfd."""
    return sealing.check_ofd(
        data, roots(viewer), revoked=lambda c: queries.withdrawal_of(viewer, c)
    )


__all__ = [
    "AUTOMATIC",
    "Document",
    "check",
    "check_ofd",
    "do_step",
    "request_seal",
    "roots",
    "signer_for",
    "signers_for",
]
