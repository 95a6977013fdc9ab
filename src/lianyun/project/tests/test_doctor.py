"""What the doctor says of proxies, without looking at the rest."""

from __future__ import annotations

import pytest

from lianyun.project import doctor


@pytest.mark.parametrize(
    ("https", "proxies", "ok", "optional"),
    [
        ("", "", True, False),
        ("1", "127.0.0.1/32, 10.0.0.7", True, False),
        ("1", "", False, True),
        ("1", "proxy.example", False, False),
        ("1", "0.0.0.0/0", False, False),
        ("", "::/0", False, False),
    ],
)
def test_https_without_a_named_proxy_is_a_warning_and_a_wrong_one_a_fault(
    https: str, proxies: str, ok: bool, optional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANYUN_HTTPS", https)
    monkeypatch.setenv("LIANYUN_TRUSTED_PROXIES", proxies)
    (found,) = doctor._proxy()
    assert (found.ok, found.optional) == (ok, optional)
    assert bool(found.advice) is not ok
