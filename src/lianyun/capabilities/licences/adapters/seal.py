"""Seal: the issuing department's seal and signature on a file, and what a signed file proves."""

from __future__ import annotations

from ..models import Licence


def seal(pdf: bytes, licence: Licence, *, by: object) -> tuple[bytes, bool]:
    """The file with the issuer's visible seal and signature; False where it has no seal."""
    return pdf, False
