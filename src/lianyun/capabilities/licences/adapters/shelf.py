"""Shelf: where the files stand, by the digest of their bytes; and where the public finds this installation."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.conf import settings

from ..rules.types import FILES

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _place(digest: str, form: str) -> Path:
    if not _DIGEST.fullmatch(digest) or form not in FILES:
        raise ValueError("not a digest")
    return Path(settings.HOME) / "licences" / digest[:2] / f"{digest}.{form}"


def put(data: bytes, form: str = "pdf") -> str:
    """Keep a file (mode 0600); returns its SHA-256. Whole or not at all, whoever else writes it."""
    digest = hashlib.sha256(data).hexdigest()
    path = _place(digest, form)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{digest}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return digest


def put_many(files: Sequence[bytes]) -> list[str]:
    """As `put` for each; several wait for the disk at once."""
    with ThreadPoolExecutor(8) as hands:
        return list(hands.map(put, files))


def get(digest: str, form: str = "pdf") -> bytes | None:
    """The file of this digest if it stands here unchanged, else None."""
    try:
        data = _place(digest, form).read_bytes()
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def site() -> str:
    """The address under which the public finds this installation, without a slash at the end."""
    port = os.environ.get("LIANYUN_PORT") or "8000"
    return (os.environ.get("LIANYUN_SITE") or f"http://127.0.0.1:{port}").rstrip("/")


__all__ = ["get", "put", "put_many", "site"]
