"""A whole authority whose keys live in a token (SoftHSM)."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.seals import adapters, api
from lianyun.capabilities.seals.models import Authority, KeptKey, SealKey
from lianyun.trust.keystore import StoreError
from lianyun.trust.sealing import sign_pdf

from .conftest import Desk, blank_pdf

pytestmark = pytest.mark.django_db
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


def test_all_keys_in_a_token(desk: Desk, settings: Any, tmp_path: Path) -> None:
    # The library reads its configuration once a process: one token for all tests.
    if "SOFTHSM2_CONF" not in os.environ:
        (tmp_path / "tokens").mkdir()
        told = tmp_path / "softhsm2.conf"
        told.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(told)
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", "lianyun",
             "--so-pin", "12345678", "--pin", "87654321"],
            check=True, capture_output=True,
        )  # fmt: skip
    pin = tmp_path / "pin"
    settings.SEAL_STORE = "pkcs11"
    settings.PKCS11_MODULE = ""
    with pytest.raises(StoreError, match="没有配置"):
        adapters.hardware()
    settings.PKCS11_MODULE = next(p for p in LIBRARIES if Path(p).exists())
    settings.PKCS11_TOKEN, settings.PKCS11_PIN_FILE = "lianyun", str(pin)
    with pytest.raises(StoreError, match="口令文件"):
        adapters.hardware()
    pin.write_text("87654321\n")
    seal = desk.make()
    assert seal.keys.get().store == "pkcs11"
    assert not KeptKey.objects.exists()
    kept = Authority.objects.exclude(label="").values_list("store", flat=True)
    assert set(kept) == {"pkcs11"}
    pdf = blank_pdf()
    signer = api.signer_for(
        seal.department,
        "licences.issue",
        document_digest=hashlib.sha256(pdf).hexdigest(),
        by=desk.keeper,
    )
    made = sign_pdf(pdf, signer=signer, reason="签发", when=timezone.now())
    assert api.check(made).good
    # Back to software: what the token sealed stays good, new seals live in the vault.
    settings.SEAL_STORE = "software"
    desk.make(title="第二枚")
    assert set(SealKey.objects.values_list("store", flat=True)) == {"pkcs11", "software"}
    assert api.check(made).good
