"""Uses: a seal gives its signature to one document at a time, and remembers each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant, Party
from lianyun.trust import drawing
from lianyun.trust.issuing import Key
from lianyun.trust.sealing import CannotSign, SealImage, Signer, sign_pdf

from .. import rules
from ..models import Seal, SealKey, Use
from . import keys

PERMISSION = "seals.use"


@dataclass(frozen=True)
class Document:
    """What a seal is to be set on: its SHA-256 (hex) before sealing, and what people call it."""

    digest: str
    title: str = ""


def _permitted(seal: Seal, use: str, by: Actor) -> None:
    own = seal.kind == rules.PERSONAL
    if own:
        # A personal seal is its holder's alone, whatever others may do in the department.
        if by.party is None or by.party.pk != seal.grant.grantee_id:
            raise Denied("个人名章只能由本人使用")
        return
    if not rules.may_use(seal.automatic, use, by.may(PERMISSION, seal.department)):
        raise Denied(f"您没有使用“{seal.title}”的权限，该印章也没有授权这种自动用印")


def _signing_key(seal: Seal) -> SealKey:
    found = seal.keys.filter(retired_at=None, withdrawn_at=None).select_related("issuer").first()
    if found is None:
        raise UserError(f"“{seal.title}”没有可用的证书")
    if found.ends_at <= timezone.now():
        raise UserError(f"“{seal.title}”的证书已到期，请换发证书后再用印")
    return found


class _Bound:
    """A key that signs once, for the use that was recorded."""

    def __init__(self, key: Key) -> None:
        self.public = key.public
        self._key: Key | None = key

    def sign(self, data: bytes) -> bytes:
        """The signature over the data; a second one needs a second use."""
        key, self._key = self._key, None
        if key is None:
            raise CannotSign("每次用印只能签一份文件")
        return key.sign(data)


def _drawn(seal: Seal) -> SealImage:
    return SealImage(drawing.from_path(seal.size, seal.path))


def signers(
    seal: Seal, documents: Sequence[Document], *, use: str, purpose: str, by: Actor
) -> list[Signer]:
    """One signer for each document, each use written down; called inside an action.

    Raises Denied, and UserError for a seal that is lost, stopped or out of date.
    """
    if not documents:
        raise UserError("没有要盖章的文件")
    for document in documents:
        fault = rules.use_fault(purpose, document.digest)
        if fault:
            raise UserError(fault)
    # Whoever stops the seal waits for this use, or this use sees the stop.
    grant = Grant.objects.select_for_update(of=("self",), no_key=True).get(pk=seal.grant_id)
    if not grant.in_force():
        raise UserError(f"“{seal.title}”{rules.STATES[grant.state]}，不能用印")
    _permitted(seal, use, by)
    key = _signing_key(seal)
    office = keys.office_of(key.issuer)
    certificate = keys.loaded(key.certificate)
    held = keys.store(key.store).key(key.label, keys.public_of(certificate))
    between = (office.issuer.certificate, *office.above[:-1])
    proof = keys.evidence(office, certificate.serial_number)
    image = _drawn(seal)
    rows = Use.objects.bulk_create(
        Use(
            seal=seal,
            key=key,
            by=by.party,
            use=use,
            purpose=purpose,
            title=document.title[:200],
            document_digest=document.digest,
        )
        for document in documents
    )
    record(
        "seal.used",
        grant,
        by=by,
        data={
            "use": use,
            "documents": [d.digest for d in documents[:20]],
            "count": len(documents),
            "first": rows[0].pk,
            "serial": key.serial,
        },
        personal={"purpose": purpose},
    )
    return [
        Signer(
            _Bound(held),
            certificate,
            between,
            office.stamper.stamp,
            proof,
            seal.name if seal.kind == rules.PERSONAL else seal.department.name,
            image,
            document.digest,
        )
        for document in documents
    ]


def seal_of(department: Party, use: str) -> Seal:
    """The department's seal for a use: one that allows it by name before any other; raises UserError."""
    rows = list(
        Seal.objects.filter(kind=rules.ORGAN, department=department).select_related(
            "grant", "department"
        )
    )
    # Where none is in use, the state of the one there is says more than that there is none.
    held = [s for s in rows if s.grant.in_force()] or rows
    found = next((s for s in held if use in s.automatic), held[0] if held else None)
    if found is None:
        raise UserError(f"{department.name}没有可用的电子印章，请先申请印章")
    return found


@action(None)
def use_seals(
    *,
    department: Party,
    documents: Sequence[Document],
    use: str,
    purpose: str = "",
    by: Actor,
) -> list[Signer]:
    """Signers of a department's seal for documents that another capability makes."""
    seal = seal_of(department, use)
    said = purpose or rules.AUTOMATIC.get(use, use)
    return signers(seal, documents, use=use, purpose=said, by=by)


@dataclass(frozen=True)
class File:
    """A file to be sealed: its name and its bytes."""

    name: str
    content: bytes


@action(None)
def seal_files(
    *, seal: Seal, files: Sequence[File], purpose: str, page: int, x: float, y: float, by: Actor
) -> list[File]:
    """Set the seal on each file; all or none. `page` from 1, 0 for the last; raises UserError."""
    if len(files) > rules.MOST_FILES:
        raise UserError(f"一次最多盖 {rules.MOST_FILES} 份文件")
    documents = [Document(hashlib.sha256(f.content).hexdigest(), f.name) for f in files]
    given = signers(seal, documents, use="manual", purpose=purpose, by=by)
    out = []
    for file, signer in zip(files, given, strict=True):
        assert signer.image is not None
        try:
            made = sign_pdf(
                file.content,
                signer=signer,
                reason=purpose,
                when=timezone.localtime(),
                visible=signer.image.at(page - 1, x, y),
            )
        except CannotSign as wrong:
            raise UserError(f"{file.name}：{wrong}") from wrong
        out.append(File(file.name, made))
    return out


__all__ = ["Document", "File", "seal_files", "seal_of", "signers", "use_seals"]
