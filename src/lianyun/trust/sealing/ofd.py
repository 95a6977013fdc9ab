"""OFD sealed: the seal's picture and a signature over every part (GB/T 33190, clause 18), and what it proves.

Type Sign: no seal structure of GB/T 38540. Only files of our own writer are read.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509
from lxml import etree

from .. import cms
from ..digests import SM3, digest
from ..drawing import RED
from ..issuing import SIGNATURE_OIDS
from ..ofd import (
    NAMESPACE,
    SIGNATURES,
    About,
    Page,
    Path,
    add,
    element,
    packed,
    parts_of,
    write,
    xml,
)
from .check import Problem, Revoked, Verdict, mark_of
from .sign import CannotSign, Signer

_SIGNATURE = "Doc_0/Signs/Sign_0/Signature.xml"
_VALUE = "Doc_0/Signs/Sign_0/SignedValue.dat"
_PART = re.compile(r"(?:[A-Za-z0-9_]+/){0,6}[A-Za-z0-9_]+\.[a-z]{2,4}")
_LARGEST, _MOST_PARTS = 16 * 1024 * 1024, 60


class NotOfd(ValueError):
    """Bytes that are no OFD file as `trust.ofd` writes it; the message is Chinese."""


def sign_ofd(
    about: About, page: Page, *, signer: Signer, when: dt.datetime, at: tuple[float, float]
) -> bytes:
    """The file with the seal's picture and a signature (type Sign) over all other parts.

    References and digests: GB/T 33190, clause 18 (SM3); the signed value is CMS (RFC 5652) over
    Signature.xml, with a time stamp. `at` is the seal's centre in millimetres from the *lower* left
    corner, as for PDF. A signer bound to a document is bound to what `write` gives. Raises CannotSign.
    """
    bound = signer.document_digest
    if bound and hashlib.sha256(write(about, page)).hexdigest() != bound:
        raise CannotSign("这次用印登记的不是这份文件")
    if signer.image is not None:
        x, y = at[0], page.height - at[1]
        ops = tuple(
            (kind, tuple(y - v if n % 2 else x + v for n, v in enumerate(to)))
            for kind, to in signer.image.drawing.ops
        )
        red = (round(RED[0] * 255), round(RED[1] * 255), round(RED[2] * 255))
        page = replace(page, pieces=(*page.pieces, Path(ops, red)))
    parts = parts_of(about, page, signed=True)
    listed = element("Signatures")
    add(listed, "Signature", ID="s001", Type="Sign", BaseLoc=f"/{_SIGNATURE}")
    parts[SIGNATURES] = xml(listed)
    root = element("Signature")
    info = add(root, "SignedInfo")
    add(info, "Provider", ProviderName="Lianyun", Version="1.0")
    algorithm = signer.key.public.algorithm
    add(info, "SignatureMethod", SIGNATURE_OIDS[algorithm])
    add(info, "SignatureDateTime", when.astimezone(dt.UTC).strftime("%Y%m%d%H%M%SZ"))
    references = add(info, "References", CheckMethod="SM3")
    for name, data in parts.items():
        one = add(references, "Reference", FileRef=f"/{name}")
        add(one, "CheckValue", base64.b64encode(digest(SM3, data)).decode())
    add(root, "SignedValue", f"/{_VALUE}")
    told = xml(root)
    hashed = digest(cms.DIGEST_OF[algorithm], told)
    parts[_SIGNATURE] = told
    parts[_VALUE] = cms.make(signer.key, signer.certificate, signer.between, hashed, signer.stamp)
    return packed(parts)


def _unpacked(data: bytes) -> tuple[dict[str, bytes], list[str]]:
    """The parts, and the names of those that the container itself shows to be damaged.

    Nothing is decompressed, no name leads out of the file, no part is read twice: what other
    programmes could understand in another way is refused. Raises NotOfd.
    """
    if not data.startswith(b"PK\x03\x04") or len(data) > _LARGEST:
        raise NotOfd("不是 OFD 文件，或者文件过大")
    if data.count(b"PK\x01\x02") > _MOST_PARTS * 4:
        raise NotOfd("文件部件过多，不予检验")
    parts: dict[str, bytes] = {}
    damaged: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = file.infolist()
            names = [e.orig_filename for e in entries]
            good = all(
                e.compress_type == zipfile.ZIP_STORED
                and not e.flag_bits & 1
                and _PART.fullmatch(e.orig_filename)
                for e in entries
            )
            if not good or len(set(names)) != len(names) or len(names) > _MOST_PARTS:
                raise NotOfd("不是本平台制作的 OFD 文件")
            if sum(e.file_size for e in entries) > len(data) or "OFD.xml" not in names:
                raise NotOfd("不是本平台制作的 OFD 文件")
            for entry in entries:
                try:
                    parts[entry.orig_filename] = file.read(entry)
                except (zipfile.BadZipFile, EOFError):
                    damaged.append(entry.orig_filename)
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError, OSError, struct.error) as wrong:  # fmt: skip
        raise wrong if isinstance(wrong, NotOfd) else NotOfd("OFD 文件已损坏，无法读取") from wrong
    return parts, damaged


def _references(told: bytes) -> tuple[dict[str, bytes], str]:
    """What a Signature.xml lists (part, SM3) and the time that it claims; raises ValueError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(told, parser)
    except etree.XMLSyntaxError as wrong:
        raise ValueError("broken") from wrong
    if root.getroottree().docinfo.doctype:
        raise ValueError("a document type")
    space = {"o": NAMESPACE}
    lists = root.findall("o:SignedInfo/o:References", space)
    if len(lists) != 1 or lists[0].get("CheckMethod") != "SM3":
        raise ValueError("no list")
    found: dict[str, bytes] = {}
    for one in lists[0].findall("o:Reference", space):
        name = one.get("FileRef", "").removeprefix("/")
        if name in found:
            raise ValueError("listed twice")
        found[name] = base64.b64decode(one.findtext("o:CheckValue", "", space), validate=True)
    return found, root.findtext("o:SignedInfo/o:SignatureDateTime", "", space)[:20]


def check_ofd(
    data: bytes, roots: Sequence[x509.Certificate], *, revoked: Revoked | None = None
) -> Verdict:
    """What the signature of a file of ours proves; each changed part is named.

    The file holds no proof of the certificate's status: without `revoked` (the authority's own word)
    it is unknown. Raises NotOfd for files of others.
    """
    parts, damaged = _unpacked(data)
    faults = [Problem("changed", f"部件 {name} 被改动过") for name in damaged]
    if _SIGNATURE not in parts or _VALUE not in parts:
        if not damaged:
            faults.append(Problem("unsigned", "文件没有电子印章或者数字签名"))
        return Verdict((), tuple(faults))
    told = parts[_SIGNATURE]
    try:
        signed = cms.read(parts[_VALUE])
        holds = signed.holds()
    except cms.BadSignature as wrong:
        return Verdict((), (*faults, Problem("bad_signature", f"部件 {_VALUE}：{wrong}")))
    if not holds:
        faults.append(Problem("bad_signature", f"部件 {_VALUE} 中的签名值无效"))
    if cms.digest_by(signed.digest_name, told) != signed.digest:
        faults.append(Problem("changed", f"部件 {_SIGNATURE} 被改动过"))
    try:
        listed, claimed = _references(told)
    except ValueError:
        return Verdict((), (*faults, Problem("unreadable", f"部件 {_SIGNATURE} 无法读取")))
    for name in dict.fromkeys((*listed, *parts)):
        if name in damaged or name in (_SIGNATURE, _VALUE):
            continue
        if name not in parts:
            faults.append(Problem("changed", f"部件 {name[:120]} 缺失"))
        elif name not in listed:
            faults.append(Problem("appended", f"部件 {name} 是签名之后加入的"))
        elif digest(SM3, parts[name]) != listed[name]:
            faults.append(Problem("changed", f"部件 {name} 被改动过"))
    if not faults and packed(parts) != data:
        faults.append(Problem("changed", "部件之外的字节（压缩包目录）被改动过"))
    return Verdict((mark_of(signed, faults, roots, revoked, claimed=claimed),))


__all__ = ["NotOfd", "check_ofd", "sign_ofd"]
