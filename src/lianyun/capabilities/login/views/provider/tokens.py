"""Tokens: codes and secrets for tokens, tokens for claims, and what a token is worth."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from lianyun.kernel.access import ANONYMOUS
from lianyun.ui.pages import public

from ... import actions, queries
from .answers import json_answer


@csrf_exempt
@never_cache
@public
def token(request: HttpRequest) -> HttpResponse:
    """Codes, refresh tokens and systems' own secrets for tokens."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return actions.exchange(request, by=ANONYMOUS)


@csrf_exempt
@never_cache
@public
def revoke(request: HttpRequest) -> HttpResponse:
    """A system gives a token back."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return actions.answer_endpoint("revocation", request, by=ANONYMOUS)


@csrf_exempt
@never_cache
@public
def introspect(request: HttpRequest) -> HttpResponse:
    """A system asks about a token it was shown."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return actions.answer_endpoint("introspection", request, by=ANONYMOUS)


@csrf_exempt
@never_cache
@public
def userinfo(request: HttpRequest) -> HttpResponse:
    """What the person lets the system know, for an access token (Core 1.0, 5.3)."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        return _bearer_needed("")
    found = queries.access_token(text.strip())
    if found is None or found.admission is None or "openid" not in found.scope.split():
        return _bearer_needed("invalid_token")
    return json_answer(actions.tell_claims(found, by=actions.actor_of_system(found.system)))


def _bearer_needed(wrong: str) -> HttpResponse:
    response = HttpResponse(status=401)
    response["WWW-Authenticate"] = 'Bearer realm="lianyun"' + (
        f', error="{wrong}"' if wrong else ""
    )
    return response
