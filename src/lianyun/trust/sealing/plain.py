"""Plain: a seal on a PDF that our own press wrote: the revision is put together as text, no object is read.

pyHanko reads and writes any PDF, and takes for it several times what the signature itself costs.
The press (typst) writes one form only: a classic table of references, one page, dictionaries
without blanks. Whatever else comes is left to pyHanko.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from pyhanko.pdf_utils.generic import pdf_date

from .. import cms
from ..drawing import Drawing

_END = re.compile(
    rb"trailer\n<</Size (\d{1,6})/Root (\d{1,6}) 0 R(/Info \d{1,6} 0 R)?"
    rb"/ID\[(\([\w+/=]{1,64}\))\([\w+/=]{1,64}\)\]>>\nstartxref\n(\d{1,9})\n%%EOF\n?\Z"
)
_PAGES = re.compile(rb"/Pages (\d{1,6}) 0 R")
_ONE = re.compile(rb"/Type/Pages/Count 1/Kids\[(\d{1,6}) 0 R\]")
_LONGEST = 4096
"""Bytes of a dictionary that is rewritten: the catalogue or the page."""
_RANGE = 60
"""Room for the text of the byte range."""


@dataclass(frozen=True)
class Pressed:
    """What one more revision needs to know of the press's file: numbers of objects, two dictionaries."""

    size: int
    root: int
    page: int
    catalogue: bytes
    sheet: bytes
    info: bytes
    name: bytes
    start: int


def pressed(pdf: bytes) -> Pressed | None:
    """The press's own file of one page without forms or notes; None for any other."""
    found = _END.search(pdf, max(0, len(pdf) - 400))
    if found is None:
        return None
    size, root, start = int(found[1]), int(found[2]), int(found[5])
    head = b"xref\n0 %d\n" % size
    table = start + len(head)
    if not pdf.startswith(head, start) or table + 20 * size != found.start():
        return None

    def dictionary(number: int) -> bytes:
        """What stands between the brackets of an object; empty where it is no such dictionary."""
        entry = pdf[table + 20 * number : table + 20 * number + 18]
        if number >= size or not entry[:10].isdigit() or entry[10:] != b" 00000 n":
            return b""
        begin = b"%d 0 obj\n<<" % number
        at = int(entry[:10])
        end = pdf.find(b">>\nendobj\n", at, at + _LONGEST)
        if not pdf.startswith(begin, at) or end < 0:
            return b""
        inside = pdf[at + len(begin) : end]
        return b"" if b"obj" in inside or b"stream" in inside else inside

    catalogue = dictionary(root)
    pages = _PAGES.search(catalogue)
    one = _ONE.fullmatch(dictionary(int(pages[1]))) if pages else None
    sheet = dictionary(int(one[1])) if one else b""
    plain = catalogue.startswith(b"/Type/Catalog/") and sheet.startswith(b"/Type/Page/")
    if one is None or not plain or b"/Annots" in sheet:
        return None
    if any(word in catalogue for word in (b"/AcroForm", b"/DSS", b"/Perms", b"/Extensions")):
        return None
    return Pressed(size, root, int(one[1]), catalogue, sheet, found[3] or b"", found[4], start)


def _text(value: str) -> bytes:
    """A text string of any script."""
    return b"<%b>" % ("\ufeff" + value).encode("utf-16-be").hex().upper().encode()


class _Revision:
    """What is appended: objects in the order of their writing, then their table."""

    def __init__(self, pdf: bytes) -> None:
        self.out = bytearray(pdf if pdf.endswith(b"\n") else pdf + b"\n")
        self.places: dict[int, int] = {}

    def put(self, number: int, *parts: bytes) -> None:
        """One object, as text."""
        self.places[number] = len(self.out)
        self.out += b"%d 0 obj\n" % number
        for part in parts:
            self.out += part
        self.out += b"\nendobj\n"

    def stream(self, number: int, data: bytes, more: bytes = b"") -> None:
        """One stream, its length named."""
        head = b"<<%b/Length %d>>\nstream\n" % (more, len(data))
        self.put(number, head, data, b"\nendstream")

    def end(self, of: Pressed) -> None:
        """The table of references, and the trailer that points to the file's own."""
        start = len(self.out)
        self.out += b"xref\n0 1\n0000000000 65535 f \n"
        numbers = sorted(self.places)
        begins = [n for n in numbers if n - 1 not in self.places]
        for first in begins:
            last = first
            while last + 1 in self.places:
                last += 1
            self.out += b"%d %d\n" % (first, last + 1 - first)
            self.out += b"".join(
                b"%010d 00000 n \n" % self.places[n] for n in range(first, last + 1)
            )
        self.out += b"trailer\n<</Size %d/Root %d 0 R%b/ID[%b<%b>]/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (
            max(self.places) + 1, of.root, of.info, of.name, secrets.token_hex(16).upper().encode(),
            of.start, start,
        )  # fmt: skip


@dataclass(frozen=True)
class Open:
    """A file with a gap for its signature: its digest is known, the signature is filled in."""

    content: bytearray
    gap: tuple[int, int]
    digest: bytes

    def close(self, signature: bytes) -> bytes:
        """The whole file; raises ValueError for a signature that is longer than its gap."""
        begin, end = self.gap
        text = signature.hex().upper().encode()
        if len(text) > end - begin - 2:
            raise ValueError("the signature is longer than its gap")
        self.content[begin + 1 : begin + 1 + len(text)] = text
        return bytes(self.content)


def prepared(
    pdf: bytes,
    of: Pressed,
    *,
    box: Sequence[int],
    picture: Drawing,
    side: float,
    certificates: Sequence[bytes],
    answers: Sequence[bytes],
    lists: Sequence[bytes],
    organ: str,
    reason: str,
    when: dt.datetime,
    room: int,
    digest: str,
) -> Open:
    """The file with seal and evidence, and a gap of `room` bytes for the signature (PAdES B-LT).

    `box` is the seal's place in points, `digest` a name of cms.DIGESTS.
    """
    form, field, look, sign = range(of.size, of.size + 4)
    at = of.size + 4
    new = _Revision(pdf)
    new.put(of.page, b"<<%b/Annots[%d 0 R]>>" % (of.sheet, field))
    stored = []
    for kind, parts in ((b"Certs", certificates), (b"OCSPs", answers), (b"CRLs", lists)):
        numbers = range(at, at + len(parts))
        at += len(parts)
        for number, part in zip(numbers, parts, strict=True):
            new.stream(number, part)
        if parts:
            stored.append(b"/%b[%b]" % (kind, b" ".join(b"%d 0 R" % n for n in numbers)))
    new.put(at, b"<<%b>>" % b"".join(stored))
    new.put(of.root, b"<<%b/AcroForm %d 0 R/DSS %d 0 R>>" % (of.catalogue, form, at))
    new.put(form, b"<</Fields[%d 0 R]/SigFlags 3>>" % field)
    name = secrets.token_hex(8).encode()
    place = b" ".join(b"%d" % n for n in box)
    links = b"/P %d 0 R/AP<</N %d 0 R>>/V %d 0 R" % (of.page, look, sign)
    new.put(
        field,
        b"<</FT/Sig/T(Seal-%b)/Type/Annot/Subtype/Widget/F 132/Rect[%b]%b>>" % (name, place, links),
    )
    shape = b"/Type/XObject/Subtype/Form/BBox[0 0 %.3f %.3f]/Resources<<>>/Filter/FlateDecode"
    new.stream(look, picture.stream, shape % (side, side))
    new.places[sign] = len(new.out)
    new.out += b"%d 0 obj\n<</Contents " % sign
    begin = len(new.out)
    new.out += b"<%b>" % (b"0" * (2 * room))
    end = len(new.out)
    new.out += b"/ByteRange "
    span = len(new.out)
    new.out += b" " * _RANGE
    new.out += b"/Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(%b)" % str(
        pdf_date(when)
    ).encode("ascii")
    for key, value in ((b"Name", organ), (b"Reason", reason)):
        if value:
            new.out += b"/%b%b" % (key, _text(value))
    new.out += b">>\nendobj\n"
    new.end(of)
    told = b"[0 %d %d %d]" % (begin, end, len(new.out) - end)
    new.out[span : span + len(told)] = told
    view = memoryview(new.out)
    made = cms.digest_by(digest, view[:begin], view[end:])
    view.release()
    return Open(new.out, (begin, end), made)


__all__ = ["Open", "Pressed", "prepared", "pressed"]
