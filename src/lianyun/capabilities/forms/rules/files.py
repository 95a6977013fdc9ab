"""File: what an attached file really is, told from its bytes; whether it may be kept, and its name."""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from .answers import Wrong
from .form import FILES

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
_MAX_UNPACKED = 200 * 1024 * 1024
_MAX_ENTRIES = 2_000


@dataclass(frozen=True)
class Kind:
    """What a file is: a word of FILES, its media type and the ending of its name."""

    word: str
    media: str
    ending: str

    @property
    def picture(self) -> bool:
        """Whether a browser shows it as a picture."""
        return self.word == "image"


PNG = Kind("image", "image/png", ".png")
JPEG = Kind("image", "image/jpeg", ".jpg")
PDF = Kind("pdf", "application/pdf", ".pdf")
_OFFICE = "application/vnd.openxmlformats-officedocument"
DOCX = Kind("word", f"{_OFFICE}.wordprocessingml.document", ".docx")
XLSX = Kind("excel", f"{_OFFICE}.spreadsheetml.sheet", ".xlsx")
OFD = Kind("ofd", "application/ofd", ".ofd")
KINDS = {k.media: k for k in (PNG, JPEG, PDF, DOCX, XLSX, OFD)}
NAMES = tuple(dict.fromkeys(k.word for k in KINDS.values()))


def kind_of(data: bytes, accept: Sequence[str]) -> Kind:
    """What these bytes are, if they are whole and of an accepted kind; raises Wrong."""
    if not data:
        raise Wrong("文件是空的，请重新选择")
    if len(data) > MAX_BYTES:
        raise Wrong("文件超过 20 MB，请压缩或分成几个后再上传")
    found = _found(data)
    if found is None or found.word not in accept:
        told = "、".join(FILES[a] for a in accept)
        raise Wrong(f"只能上传{told}，请转换格式后再上传（看的是内容，不是文件名）")
    return found


def _found(data: bytes) -> Kind | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"%PDF-"):
        if b"%%EOF" not in data[-2048:]:
            raise Wrong("PDF 文件不完整，请重新导出后再上传")
        return PDF
    if data.startswith(b"PK\x03\x04"):
        return _package(data)
    return None


def _size(width: int, height: int) -> None:
    if not width or not height:
        raise Wrong("图片已损坏，请重新拍照或扫描")
    if width * height > MAX_PIXELS:
        raise Wrong("图片的像素太多（超过 5000 万），请缩小后再上传")


def _png(data: bytes) -> Kind:
    """A PNG whose chunks are whole to the end (ISO/IEC 15948); its pixels are never unpacked."""
    at, first = 8, True
    while at + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        if end > len(data):
            break
        body = data[at + 8 : end - 4]
        if zlib.crc32(name + body) != struct.unpack(">I", data[end - 4 : end])[0]:
            break
        if first:
            if name != b"IHDR" or length != 13:
                break
            _size(*struct.unpack(">II", body[:8]))
            first = False
        if name == b"IEND":
            return PNG
        at = end
    raise Wrong("图片已损坏或不完整，请重新拍照或扫描")


def _jpeg(data: bytes) -> Kind:
    """A JPEG with a frame header and an end (ISO/IEC 10918-1)."""
    at = 2
    sized = False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        mark = data[at + 1]
        if mark == 0xFF:
            at += 1
            continue
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(data):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            _size(width, height)
            sized = True
        if mark == 0xDA:
            break
        at += 2 + length
    if not sized or b"\xff\xd9" not in data[-65_536:]:
        raise Wrong("图片已损坏或不完整，请重新拍照或扫描")
    return JPEG


def _package(data: bytes) -> Kind | None:
    """An office or OFD package: a zip that tells what it is and does not swell when unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entries = package.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
        raise Wrong("文件已损坏，请重新保存后再上传") from None
    if len(entries) > _MAX_ENTRIES or sum(e.file_size for e in entries) > _MAX_UNPACKED:
        raise Wrong("文件展开后太大，请缩小后再上传")
    names = {e.filename for e in entries}
    if "OFD.xml" in names:
        return OFD
    if "[Content_Types].xml" not in names or any(n.endswith("vbaProject.bin") for n in names):
        return None
    if "word/document.xml" in names:
        return DOCX
    return XLSX if "xl/workbook.xml" in names else None


def clean_name(name: str, kind: Kind) -> str:
    """A file's name to show and to save under: no folders, no control characters, the true ending."""
    base = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    base = "".join(c for c in base if unicodedata.category(c)[0] != "C").strip(" .")
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", base)[:80].strip(" .") or "附件"
    stem = re.sub(r'[<>:"|?*]', "_", stem)
    return stem + kind.ending
