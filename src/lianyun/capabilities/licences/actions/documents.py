"""Documents: the file of a licence, made when it is first wanted, and copies bound to a purpose."""

from __future__ import annotations

import datetime as dt
import os
import secrets

from django.utils import timezone

from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record, record_many
from lianyun.kernel.models import Party

from ..adapters import press, seal, shelf
from ..models import Document, Licence
from ..queries import kinds, licences
from ..rules import fixed, types
from ..rules.drawing import Copy, Sheet

LONGEST = 366
"""Most days for which a copy is good."""


def sheet_of(licence: Licence, check_code: str, copy: Copy | None = None) -> Sheet:
    """What is printed on a licence's file."""
    kind = kinds.kind(licence.kind)
    city = packs.mapping("core", "city.yaml")
    span = f"{types.sentence(licence.begins_on)}至{types.sentence(licence.ends_on)}"
    return Sheet(
        kind=kind,
        number=licence.number,
        identifier=licence.identifier,
        issuer=licence.grant.grantor.name if licence.grant.grantor else "",
        issued=types.sentence(licence.issued_on),
        validity=f"有效期限 {span}",
        link=f"{shelf.site()}/verify/{check_code}/",
        values=kinds.spoken(kind, licences.elements(licence)),
        sample=bool(city.get("sample", True)),
        city=str(city.get("name", "")),
        copy=copy,
    )


def _locked(licence: Licence) -> Licence:
    return (
        Licence.objects.select_related("grant__grantee", "grant__grantor")
        .select_for_update(of=("self",))
        .get(pk=licence.pk)
    )


@action(None)
def original(licence: Licence, *, by: Actor) -> tuple[Document, bytes]:
    """The licence's file: the one that stands there, else made and sealed now, once.

    For the holder, for whoever may act for the holder, and for officers with `licences.reveal`.
    """
    row = _locked(licence)
    _allowed(row, by)
    found = row.documents.filter(copy=False).first()
    if found is not None and (data := shelf.get(found.digest)) is not None:
        record("licence.file_read", row, by=by)
        return found, data
    drawn = press.draw(sheet_of(row, row.check_code))
    data, sealed = _sealed(drawn, row, seal.ISSUE, by=by)
    digest = shelf.put(data)
    if found is None:
        found = Document(licence=row, check_code=row.check_code)
    found.digest, found.sealed, found.made_by = digest, sealed, by.name
    found.made_at = timezone.now()
    found.save()
    record("licence.file_made", row, by=by, data={"digest": digest, "sealed": sealed})
    return found, data


@action(None)
def original_ofd(licence: Licence, *, by: Actor) -> tuple[Document, bytes]:
    """The licence's file as OFD, where its type declares one: made and sealed once, as `original`."""
    row = _locked(licence)
    kind = kinds.kind(row.kind)
    if "ofd" not in kind.files:
        raise UserError(f"“{kind.title}”没有 OFD 版式文件")
    _allowed(row, by)
    document = row.documents.filter(copy=False).first() or original(row, by=by)[0]
    if document.ofd and (data := shelf.get(document.ofd, "ofd")) is not None:
        record("licence.file_read", row, by=by, data={"form": "ofd"})
        return document, data
    sheet, issuer = sheet_of(row, row.check_code), row.grant.grantor
    assert issuer is not None
    data, sealed = seal.seal_ofd(
        fixed.about_of(sheet, row.issued_on), fixed.page_of(sheet), issuer, kind.layout, by=by
    )
    document.ofd = shelf.put(data, "ofd")
    document.save(update_fields=["ofd"])
    record(
        "licence.file_made", row, by=by,
        data={"form": "ofd", "digest": document.ofd, "sealed": sealed},
    )  # fmt: skip
    return document, data


PORTION = 50
"""Files of one transaction: a run that dies leaves whole portions."""
WORTH = 40
"""From so many files on, presses in processes of their own are worth their start."""


def make_files(kind: str, *, limit: int = 200, cores: int = 0, by: Actor) -> int:
    """Make and seal the files that licences of a type in force still lack; returns how many.

    `cores` 0: as many as the machine has. Two runs of one type take turns; a file is never made
    twice. For officers of the issuing department with `licences.issue`.
    """
    one = kinds.kind(kind)
    issuer = kinds.issuer_of(one)
    by.require("licences.issue", issuer)
    rows = licences.without_file(by, kind, limit)
    cores = cores or os.cpu_count() or 1
    presses = press.Presses(cores if len(rows) >= WORTH else 1)
    parts = [rows[n : n + PORTION] for n in range(0, len(rows), PORTION)]
    made = 0
    try:
        # The presses draw on while this process seals and keeps what is drawn.
        drawn = [
            (part, list(presses.draw(sheet_of(row, row.check_code) for row in part)))
            for part in parts
        ]
        for part, futures in drawn:
            files = [future.result() for future in futures]
            made += _keep_files(kind, part, files, issuer=issuer, by=by)
    finally:
        presses.close()
    return made


@action("licences.issue", department=lambda *args, issuer, **kwargs: issuer)
def _keep_files(
    kind: str, rows: list[Licence], drawn: list[bytes], *, issuer: Party, by: Actor
) -> int:
    pks = [row.pk for row in rows]
    # Whoever asks for one of them now waits, and finds it made.
    list(Licence.objects.select_for_update().filter(pk__in=pks).values_list("pk"))
    known = set(
        Document.objects.filter(licence__in=pks, copy=False).values_list("licence_id", flat=True)
    )
    todo = [(row, pdf) for row, pdf in zip(rows, drawn, strict=True) if row.pk not in known]
    record("licence_files.made", f"licence-type:{kind}", by=by, data={"count": len(todo)})
    if not todo:
        return 0
    one = kinds.kind(kind)
    pdfs = [pdf for _, pdf in todo]
    files, sealed = seal.seal_many(pdfs, issuer, seal.ISSUE, one.layout, one.title, by=by)
    digests = shelf.put_many(files)
    Document.objects.bulk_create(
        Document(
            licence=row,
            check_code=row.check_code,
            digest=digest,
            sealed=sealed,
            made_by=by.name,
        )
        for (row, _), digest in zip(todo, digests, strict=True)
    )
    record_many(
        "licence.file_made",
        (
            (row, {"digest": digest, "sealed": sealed})
            for (row, _), digest in zip(todo, digests, strict=True)
        ),
        by=by,
    )
    return len(todo)


def _sealed(pdf: bytes, licence: Licence, use: str, *, by: Actor) -> tuple[bytes, bool]:
    kind = kinds.kind(licence.kind)
    issuer = licence.grant.grantor
    assert issuer is not None
    return seal.seal(pdf, issuer, use, kind.layout, kind.title, by=by)


def _allowed(licence: Licence, by: Actor) -> None:
    if by.party is not None and licence.grant.grantee in licences.principals(by):
        return
    by.require("licences.reveal", licence.grant.grantor)


@action(None)
def make_copy(
    licence: Licence, *, purpose: str, recipient: str, until: dt.date, by: Actor
) -> tuple[Document, bytes]:
    """A copy for one purpose (加注件): purpose, recipient and last day are printed across it and sealed.

    Only the holder (or who acts for the holder) makes one, of a licence in force.
    """
    row = _locked(licence)
    licences.held_one(by, row.identifier)
    today = timezone.localdate()
    purpose, recipient = " ".join(purpose.split()), " ".join(recipient.split())
    if not 2 <= len(purpose) <= 40 or not 2 <= len(recipient) <= 30:
        raise UserError("请写明用途（2 至 40 字）和提供给谁（2 至 30 字）")
    if not today <= until <= today + dt.timedelta(days=LONGEST):
        raise UserError("用途期限应在今天之后一年以内")
    if row.ends_on is not None and until > row.ends_on:
        raise UserError(f"用途期限不能晚于证照的有效期（{types.sentence(row.ends_on)}）")
    if not row.grant.in_force():
        raise UserError("证照当前不在有效状态，不能制作加注件")
    code = secrets.token_hex(16)
    copy = Copy(purpose, recipient, types.sentence(until))
    data, sealed = _sealed(press.draw(sheet_of(row, code, copy)), row, seal.COPY, by=by)
    made = Document.objects.create(
        licence=row,
        copy=True,
        purpose=purpose,
        recipient=recipient,
        ends_on=until,
        check_code=code,
        digest=shelf.put(data),
        sealed=sealed,
        made_by=by.name,
    )
    record(
        "licence.copy_made",
        row,
        by=by,
        data={"until": until, "digest": made.digest},
        personal={"purpose": purpose, "recipient": recipient},
    )
    return made, data


@action(None)
def withdraw_copy(document: Document, *, by: Actor) -> None:
    """Take a copy back: it does not verify from this moment."""
    row = Document.objects.select_for_update().get(pk=document.pk)
    licences.held_one(by, row.licence.identifier)
    if not row.copy:
        raise UserError("只能收回加注件")
    if row.withdrawn_at is None:
        row.withdrawn_at = timezone.now()
        row.save(update_fields=["withdrawn_at"])
    record("licence.copy_withdrawn", row.licence, by=by, data={"digest": row.digest})


__all__ = ["make_copy", "make_files", "original", "original_ofd", "sheet_of", "withdraw_copy"]
