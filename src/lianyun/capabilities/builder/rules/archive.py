"""Archive: a service as a pack in a zip: exactly the files that packs/ hold; read without unpacking."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from . import content as parts
from . import text

MOST_BYTES = 2_000_000
MOST_FILES = 40
MOST_LINEAGE = 100
_FILE = re.compile(r"(?:[a-z][a-z0-9_]{0,59}/)?(items|forms|paths|decisions|licences)/([a-z][a-z0-9_]{0,59})\.(yaml|bpmn|dmn)")  # fmt: skip


class BadArchive(ValueError):
    """A file that is no pack of one service; the message says what is wrong, in Chinese."""


def files(
    declared: Mapping[str, Mapping[str, Any]],
    code: str,
    title: str,
    told: str,
    lineage: Sequence[str] = (),
) -> dict[str, str]:
    """The pack's files by path; `lineage` are the digests of what it was made from, the newest first."""
    about = {"name": code, "title": title, "needs": ["core"], "description": told}
    whole = {**about, "lineage": list(lineage)[:MOST_LINEAGE]} if lineage else about
    out = {f"{code}/pack.yaml": text.write(whole)}
    for part, data in declared.items():
        folder = f"{code}/{parts.FOLDERS[part]}/{code}"
        for raw in ("bpmn", "dmn"):
            if raw in data:
                out[f"{folder}.{raw}"] = str(data[raw])
                break
        else:
            out[f"{folder}.yaml"] = text.write(data)
    return out


def lineage_of(data: bytes) -> tuple[str, ...]:
    """The digests of what a pack was made from; empty where it does not say. Raises BadArchive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # `unpacked` has found it readable
        for entry in archive.infolist():
            if entry.filename.endswith("pack.yaml") and entry.file_size <= 100_000:
                try:
                    told = text.read(archive.read(entry).decode("utf-8")).get("lineage")
                except (text.BadText, UnicodeDecodeError) as wrong:
                    raise BadArchive(f"pack.yaml：{wrong}") from wrong
                listed = told if isinstance(told, list) else []
                return tuple(str(d)[:64] for d in listed[:MOST_LINEAGE])
    return ()


def packed(found: Mapping[str, str]) -> bytes:
    """The files as a zip; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, told in sorted(found.items()):
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, told)
    return out.getvalue()


def unpacked(data: bytes) -> dict[str, dict[str, Any]]:
    """The declarations by part of a zip with one service. Raises BadArchive.

    Nothing is written anywhere; only known names are looked at, and only so many bytes of each.
    """
    if len(data) > MOST_BYTES:
        raise BadArchive(f"文件超过 {MOST_BYTES // 1_000_000} MB")
    out: dict[str, dict[str, Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES:
                raise BadArchive(f"压缩包里的文件超过 {MOST_FILES} 个")
            for entry in entries:
                if entry.is_dir() or entry.filename.endswith("pack.yaml"):
                    continue
                found = _FILE.fullmatch(entry.filename)
                if found is None:
                    raise BadArchive(
                        f"不认识的文件 {entry.filename[:80]}：只接受 items、forms、paths、decisions、licences 下的声明"
                    )
                part = next(p for p, f in parts.FOLDERS.items() if f == found[1])
                if part in out:
                    raise BadArchive(f"一次导入一个服务，而压缩包里有几个 {found[1]}")
                with archive.open(entry) as handle:
                    raw = handle.read(text.MOST * 4 + 1)
                if len(raw) > text.MOST * 4:
                    raise BadArchive(f"{entry.filename} 太大")
                out[part] = _declared(raw.decode("utf-8"), found[3], entry.filename)
    except (
        zipfile.BadZipFile,
        zlib.error,
        UnicodeDecodeError,
        RuntimeError,
        OSError,
        NotImplementedError,
    ) as error:
        raise BadArchive("不是可以读取的 zip 压缩包（须为 UTF-8 文本、未加密）") from error
    if parts.ITEM not in out:
        raise BadArchive("压缩包里没有事项（items/*.yaml）")
    return out


def _declared(told: str, kind: str, name: str) -> dict[str, Any]:
    if kind != "yaml":
        return {kind: told}
    try:
        return text.read(told)
    except text.BadText as error:
        raise BadArchive(f"{name}：{error}") from error


__all__ = ["BadArchive", "files", "packed", "unpacked"]
