"""Visitor: who asks, as far as limits need to know, and the address under which the site is seen."""

from __future__ import annotations

import ipaddress
from typing import Any

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


def base_of(request: HttpRequest) -> str:
    """The site's address without a slash at the end."""
    return request.build_absolute_uri("/").rstrip("/")


def key_text(request: HttpRequest) -> str:
    """The key that a request carries: a header, or the parameter `_key`."""
    text = request.headers.get("X-API-Key") or request.headers.get("Authorization") or ""
    text = text.removeprefix("Bearer ").strip() or request.GET.get("_key", "")
    return text[:100]


def shared(response: Any) -> Any:
    """Lets pages of other sites read an answer that is for everybody."""
    response["Access-Control-Allow-Origin"] = "*"
    return response
