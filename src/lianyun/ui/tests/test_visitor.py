"""Visitor: nobody chooses the address under which he is counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from lianyun.ui import visitor

PROXIES = ["192.0.2.0/24", "2001:db8:ffff::/48"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        # A stranger's header says nothing, however it looks.
        ("198.51.100.7", "10.0.0.1", "198.51.100.7"),
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.5", "203.0.113.5"),
        # What a caller writes himself stands left of what the proxy saw.
        ("192.0.2.1", "10.0.0.1, 203.0.113.5", "203.0.113.5"),
        ("192.0.2.1", "10.0.0.1, 203.0.113.5, 192.0.2.9, 192.0.2.8", "203.0.113.5"),
        # Every hop is ours: the peer itself.
        ("192.0.2.1", "192.0.2.9", "192.0.2.1"),
        ("2001:db8:ffff::1", "2001:db8:1::5", "2001:db8:1::5"),
        ("::ffff:192.0.2.1", "203.0.113.5", "203.0.113.5"),
        ("192.0.2.1", "203.0.113.5:4711", "203.0.113.5"),
        ("192.0.2.1", "[2001:db8:1::5]:4711", "2001:db8:1::5"),
        ("192.0.2.1", "203.0.113.5, unknown", "unknown"),
        ("", "203.0.113.5", ""),
    ],
)
def test_where_a_call_comes_from(peer: str, forwarded: str, source: str) -> None:
    assert visitor.source_of(peer, forwarded, PROXIES) == source


def test_what_is_counted_together() -> None:
    assert visitor.place_of("2001:db8::1") == visitor.place_of("2001:db8::ffff") == "2001:db8::/64"
    assert visitor.place_of("2001:db8:0:1::1") == "2001:db8:0:1::/64"
    assert visitor.place_of("::ffff:203.0.113.5") == "203.0.113.5"
    assert visitor.place_of("") == "unknown"


def test_a_request_without_named_proxies_is_its_peer(settings: Any) -> None:
    settings.TRUSTED_PROXIES, settings.HTTPS = [], True
    ask = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="203.0.113.5")
    assert visitor.address_of(ask) == visitor.caller_of(ask) == "192.0.2.1"
    settings.TRUSTED_PROXIES = PROXIES
    assert visitor.address_of(ask) == "203.0.113.5"
    ask.META["HTTP_X_FORWARDED_FOR"] = "not an address"
    assert (visitor.caller_of(ask), visitor.address_of(ask)) == ("", "unknown")
