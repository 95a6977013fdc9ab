"""Visitor: who asks, as far as limits for everybody need to know."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The address whose uses are counted together: one of IPv4, a /64 of IPv6.

    Behind the proxy that ends HTTPS (LIANYUN_HTTPS=1) it is the last one that proxy saw.
    """
    text = request.META.get("REMOTE_ADDR") or ""
    if settings.HTTPS and (passed := request.META.get("HTTP_X_FORWARDED_FOR")):
        text = passed.rsplit(",", 1)[-1].strip()
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
