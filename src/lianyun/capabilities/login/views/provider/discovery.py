"""Discovery: what this provider is and can do, and its public keys."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from lianyun.kernel.access import ANONYMOUS
from lianyun.ui.pages import public

from ... import actions, queries, rules
from .answers import actor_in, json_answer
from .authorization import PROMPTS


@public
def discovery(request: HttpRequest) -> HttpResponse:
    """What this provider is and can do (OpenID Connect Discovery 1.0, RFC 8414)."""
    issuer = actions.issuer_of(request)

    def place(name: str) -> str:
        return issuer + reverse(f"login:{name}")

    return json_answer(
        {
            "issuer": issuer,
            "authorization_endpoint": place("authorize"),
            "token_endpoint": place("token"),
            "userinfo_endpoint": place("userinfo"),
            "jwks_uri": place("jwks"),
            "end_session_endpoint": place("end_session"),
            "revocation_endpoint": place("revoke"),
            "introspection_endpoint": place("introspect"),
            "scopes_supported": list(rules.SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(rules.GRANTS),
            "acr_values_supported": [rules.acr_of(n) for n in range(5)],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "none",
            ],
            "claims_supported": [c for s in rules.SCOPES.values() for c in s.claims]
            + ["iss", "aud", "exp", "iat", "nonce", "amr", "sid", "at_hash", rules.SIMULATED],
            "claims_parameter_supported": False,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "prompt_values_supported": sorted(PROMPTS),
            "ui_locales_supported": ["zh-CN"],
        },
        seconds=300,
    )


@public
def jwks(request: HttpRequest) -> HttpResponse:
    """The public keys: present, next, and lately retired."""
    keys = queries.public_keys(actor_in(request))
    if not keys:
        keys = [dict(actions.first_key(by=ANONYMOUS).public)]
    return json_answer({"keys": keys}, seconds=300)
