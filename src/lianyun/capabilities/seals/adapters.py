"""Adapters: which key store the settings name, and where a certificate's readers find its status."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings

from lianyun.trust.issuing import Places
from lianyun.trust.keystore import Pkcs11Store, StoreError

CA = "seals/ca"


@cache
def _token(module: str, token: str, pin_file: str) -> Pkcs11Store:
    try:
        pin = Path(pin_file).read_text().strip()
    except OSError as wrong:
        raise StoreError(f"密码设备的口令文件无法读取：{pin_file}") from wrong
    return Pkcs11Store(module, token, pin)


def hardware() -> Pkcs11Store:
    """The token that the settings name; raises StoreError."""
    if not settings.PKCS11_MODULE:
        raise StoreError("没有配置密码设备（LIANYUN_PKCS11_MODULE）")
    return _token(settings.PKCS11_MODULE, settings.PKCS11_TOKEN, settings.PKCS11_PIN_FILE)


def places(issuer: str) -> Places:
    """Addresses for certificates of one issuer (its thumbprint); none without an outside address."""
    if not settings.SEALS_ADDRESS:
        return Places()
    base = f"{settings.SEALS_ADDRESS.rstrip('/')}/{CA}"
    return Places(f"{base}/{issuer[:16]}.crl", f"{base}/ocsp", f"{base}/{issuer[:16]}.cer")


__all__ = ["CA", "hardware", "places"]
