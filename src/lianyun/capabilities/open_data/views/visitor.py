"""Visitor: the key that a request carries, and the address under which the site is seen."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


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
