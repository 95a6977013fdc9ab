"""Shelf: drafts' contents and files under the vault: nothing of them lies readable on a disk."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from django.conf import settings

from lianyun.capabilities.audit import api as audit

CONTENT_USE, FILE_USE = "forms.content", "forms.file"
_CODE = re.compile(r"[A-Za-z0-9_-]{16,24}")


def seal(text: str) -> str:
    """A draft's content as the database keeps it."""
    return audit.encrypt(text.encode(), CONTENT_USE)


def unseal(text: str) -> str:
    """What `seal` was given; raises lianyun.trust.vault.VaultError."""
    return audit.decrypt(text, CONTENT_USE).decode()


def _place(code: str) -> Path:
    if not _CODE.fullmatch(code):
        raise ValueError("not an attachment's code")
    return Path(settings.HOME) / "forms" / code[:2] / f"{code}.sealed"


def put(code: str, data: bytes) -> None:
    """Keep a file under its random code (mode 0600); whole or not at all."""
    path = _place(code)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{code}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(audit.encrypt(data, FILE_USE))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def get(code: str) -> bytes | None:
    """The file of this code, or None where it is gone; raises VaultError where it was changed."""
    try:
        text = _place(code).read_text("ascii")
    except FileNotFoundError:
        return None
    return audit.decrypt(text, FILE_USE)


def drop(code: str) -> None:
    """Take a file away; nothing happens where it is gone already."""
    _place(code).unlink(missing_ok=True)
