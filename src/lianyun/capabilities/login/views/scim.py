"""SCIM: the door by which a department's directory writes its people (RFC 7644)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from lianyun.ui.pages import public


@csrf_exempt
@never_cache
@public
def scim(request: HttpRequest, path: str = "") -> HttpResponse:
    """Every SCIM request of a department's directory."""
    from .staff import answer  # its library takes a second to load, and few installations need it

    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return answer(request, path, token.strip() if scheme.lower() == "bearer" else "")
