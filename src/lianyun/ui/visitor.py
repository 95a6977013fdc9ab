"""Visitor: where a request comes from, by one rule for limits, records and networks (ADR 0031).

The address is the peer's. Only a proxy that the installation names (LIANYUN_TRUSTED_PROXIES) is
believed about another one: from the right, the first address that is no such proxy; what stands
left of it anybody could have written.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(t.strip(), strict=False) for t in texts)


def parsed(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, in brackets; an IPv4 inside IPv6 is itself."""
    plain = text.strip().strip('"')
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        found = ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; what is no address lies in none."""
    found = parsed(address)
    return found is not None and any(found.version == n.version and found in n for n in networks)


def by_proxy(peer: str, proxies: Sequence[str] | None = None) -> bool:
    """Whether a peer is one of the proxies whose headers are believed; by the settings if not given."""
    named = settings.TRUSTED_PROXIES if proxies is None else proxies
    return bool(named) and within(peer, _networks(tuple(named)))


def source_of(peer: str, forwarded: str, proxies: Sequence[str] | None = None) -> str:
    """Where a call comes from: the peer, or what the trusted proxies in front of us saw.

    `forwarded` is the X-Forwarded-For header as it came, several joined by commas.
    """
    if not forwarded or not by_proxy(peer, proxies):
        return peer
    for hop in reversed(forwarded.split(",")):
        if not by_proxy(hop, proxies):
            found = parsed(hop)
            return str(found) if found is not None else hop.strip()[:60]
    return peer


@lru_cache(4_096)
def place_of(address: str) -> str:
    """The name under which an address is counted: of IPv6 its /64, which is one holder's.

    What is no address counts under its first letters.
    """
    found = parsed(address)
    if found is None:
        return address[:60] or "unknown"
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def caller_of(request: HttpRequest) -> str:
    """The address a request comes from, or an empty text where there is none (a socket file)."""
    text = source_of(
        request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_FOR") or ""
    )
    found = parsed(text)
    return str(found) if found is not None else ""


def address_of(request: HttpRequest) -> str:
    """The address whose uses are counted together: one of IPv4, a /64 of IPv6, else `unknown`."""
    return place_of(caller_of(request))


__all__ = [
    "address_of",
    "by_proxy",
    "caller_of",
    "parsed",
    "place_of",
    "source_of",
    "within",
]
