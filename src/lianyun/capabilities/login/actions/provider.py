"""Provider: the protocol's grammar by authlib, each of its steps an action of ours.

authlib decides what a request is and what is wrong with it; its hooks read and write here only.
Every token answer happens in one transaction with its event, refusals included (ADR 0022).
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterable
from typing import Any, cast

from authlib.integrations.django_oauth2.requests import DjangoOAuth2Request
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.rpinitiated import EndSessionEndpoint, EndSessionRequest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from joserfc.jwk import RSAKey

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.identity import api as identity
from lianyun.kernel import rows
from lianyun.kernel.access import ANONYMOUS, Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from .. import adapters, queries, rules
from ..models import Admission, ClientSystem, Token
from .admissions import admit, end_admissions, told_of
from .keys import first_key

_CODE_USED = "UPDATE login_admission SET code_used_at = %s WHERE id = %s"
AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]
REPLAYED = "授权码被再次使用"
REUSED = "续期凭证被再次使用"


def issuer_of(request: HttpRequest) -> str:
    """The issuer: this site's address as the browser or system named it (one of ALLOWED_HOSTS)."""
    return request.build_absolute_uri("/").rstrip("/")


def actor_of_system(system: ClientSystem) -> Actor:
    """A system as the one who acts."""
    return Actor(system.party, system.department)


class Server(AuthorizationServer):
    """authlib's server over our tables, made for one request."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[str, ClientSystem | None] = {}

    def query_client(self, client_id: str) -> ClientSystem | None:
        """The open system of this name; read once a request, however often authlib asks."""
        if client_id not in self._clients:
            self._clients[client_id] = queries.client(client_id)
        return self._clients[client_id]

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        """A Django request as authlib reads it; refused unless it came by https (or loopback)."""
        return request if isinstance(request, OAuth2Request) else DjangoOAuth2Request(request)

    def handle_response(
        self, status: int, body: Any, headers: Iterable[tuple[str, str]]
    ) -> HttpResponse:
        """authlib's answer as a Django one."""
        text = json.dumps(body) if isinstance(body, dict) else body
        response = HttpResponse(text, status=status)
        for name, value in headers:
            response[name] = value
        return response

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens: what happens is an event."""

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Keep the digests of what is handed out."""
        admission: Admission | None = request.authorization_code
        if admission is None and request.refresh_token is not None:
            admission = request.refresh_token.admission
        now = timezone.now()
        made = [(Token.ACCESS, token["access_token"], dt.timedelta(seconds=token["expires_in"]))]
        if token.get("refresh_token"):
            assert admission is not None
            made.append((Token.REFRESH, token["refresh_token"], admission.until - now))
        tokens = [
            Token(
                digest=rules.digest(text),
                kind=kind,
                system=request.client,
                admission=admission,
                scope=token.get("scope") or "",
                made_at=now,
                until=min(now + life, admission.until) if admission else now + life,
            )
            for kind, text, life in made
        ]
        with connection.cursor() as cursor:
            cursor.execute(*rows.inserting(tokens))
        record(
            "token.refreshed" if request.refresh_token is not None else "token.issued",
            admission or request.client,
            by=actor_of_system(request.client),
            data={"system": request.client.ref, "scope": token.get("scope") or ""},
        )


def _new_token(
    grant_type: str,
    client: ClientSystem,
    user: Party | None = None,
    scope: str | None = None,
    expires_in: int | None = None,
    include_refresh_token: bool = True,
) -> dict[str, Any]:
    token: dict[str, Any] = {
        "token_type": "Bearer",
        "access_token": secrets.token_urlsafe(32),
        "expires_in": rules.ACCESS_SECONDS,
    }
    if include_refresh_token and "refresh_token" in client.grants:
        token["refresh_token"] = secrets.token_urlsafe(32)
    if scope:
        token["scope"] = scope
    return token


class CodeGrant(AuthorizationCodeGrant):
    """The code of an admission: good once, for a minute, for its own system."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def generate_authorization_code(self) -> str:
        """256 random bits."""
        return secrets.token_urlsafe(32)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Begin the admission; `request.terms` holds what the view has found out."""
        data = request.payload.data
        admit(
            system=request.client,
            code=code,
            scope=request.scope,
            redirect_uri=data["redirect_uri"],
            challenge=data["code_challenge"],
            nonce=data.get("nonce", ""),
            **request.terms,
        )

    def query_authorization_code(self, code: str, client: ClientSystem) -> Admission | None:
        """The admission of a code, whose one use this is, whatever comes of it.

        A code that is shown twice, or by another system than its own, has been stolen: everything
        that came of it ends (RFC 9700, 4.5).
        """
        row = queries.admission_of_code(code)
        if row is None:
            return None
        if row.code_used_at is not None or row.system_id != client.pk:
            end_admissions(
                Admission.objects.filter(pk=row.pk), why=REPLAYED, by=actor_of_system(client)
            )
            return None
        row.code_used_at = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute(_CODE_USED, [row.code_used_at, row.pk])
        return row if timezone.now() < row.code_until else None

    def delete_authorization_code(self, authorization_code: Admission) -> None:
        """It stays, marked as used, so that a second use is noticed."""

    def authenticate_user(self, authorization_code: Admission) -> Party | None:
        """The person, if the login still holds."""
        return authorization_code.party if queries.live(authorization_code) else None


class OnlyS256(CodeChallenge):
    """PKCE (RFC 7636) for every system, by S256 and no other method."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuses a request without a challenge, or with one that is its own answer."""
        data = grant.request.payload.data
        # A SHA-256 in base64url has 43 characters (RFC 7636, 4.2).
        fits = len(data.get("code_challenge") or "") == 43
        if not fits or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with code_challenge_method S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class IdToken(OpenIDCode):
    """The ID token: who, how surely, since when, for which session; nothing else of the person."""

    DEFAULT_EXPIRES_IN = rules.ID_TOKEN_SECONDS

    def __init__(self, issuer: str) -> None:
        super().__init__(require_nonce=False)
        self.issuer = issuer
        self._pair: tuple[str, RSAKey] | None = None

    @property
    def pair(self) -> tuple[str, RSAKey]:
        """The name and the secret half of the key that signs in this request."""
        self._pair = self._pair or signing_pair()
        return self._pair

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        """A nonce is the system's to check; our codes are good once without it."""
        return False

    def get_client_claims(self, client: ClientSystem) -> dict[str, Any]:
        """Issuer and audience."""
        return {"iss": self.issuer, "aud": client.client_id}

    def get_client_algorithm(self, client: ClientSystem) -> str:
        """RS256 for everybody."""
        return adapters.ALGORITHM

    def get_encode_header(self, client: ClientSystem) -> dict[str, str]:
        """The key by its name."""
        return {"alg": adapters.ALGORITHM, "kid": self.pair[0]}

    def resolve_client_private_key(self, client: ClientSystem) -> RSAKey:
        """The key that signs now."""
        return self.pair[1]

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        """With the person's name for this system, and the number of the entry."""
        self.sid = request.authorization_code.sid
        self.simulated = rules.simulated_claim(request.authorization_code.simulated)
        self.system = request.client
        return cast(str, super().encode_id_token(token, request))

    def generate_user_info(self, user: Party, scope: str) -> dict[str, Any]:
        """The claims of an ID token; all others are asked for at the userinfo endpoint."""
        return {
            "sub": adapters.pairwise_subject(self.system.client_id, user.pk),
            "sid": self.sid,
            **self.simulated,
        }


def signing_pair() -> tuple[str, RSAKey]:
    """The name and the secret half of the key that signs now; the first to need one makes it."""
    key = queries.signing_key() or first_key(by=ANONYMOUS)
    return key.kid, adapters.secret_key(key.kid, key.sealed)


class Refresh(RefreshTokenGrant):
    """A refresh token is good once; shown twice, it ends its whole family (RFC 9700, 4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        """The token, if it is good; uses of one token queue at its row."""
        row = (
            Token.objects.select_for_update(of=("self",))
            .select_related("admission__party", "admission__system", "system")
            .filter(digest=rules.digest(refresh_token), kind=Token.REFRESH)
            .first()
        )
        if row is None or row.admission is None:
            return None
        family = Admission.objects.filter(pk=row.admission.pk)
        if row.used_at is not None:
            end_admissions(family, why=REUSED, by=actor_of_system(row.system))
            return None
        good = row.ended_at is None and not row.is_expired() and queries.live(row.admission)
        return row if good else None

    def authenticate_user(self, refresh_token: Token) -> Party | None:
        """The person of its admission."""
        return refresh_token.get_user()

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """The one shown is used up, and the access tokens of before end with it."""
        now = timezone.now()
        refresh_token.used_at = now
        refresh_token.save(update_fields=["used_at"])
        Token.objects.filter(
            admission=refresh_token.admission_id,
            kind=Token.ACCESS,
            ended_at=None,
            made_at__lt=self.request_began,
        ).update(ended_at=now)

    def validate_token_request(self) -> None:
        """Remembers when this began, so that what it makes itself stays."""
        self.request_began = timezone.now()
        super().validate_token_request()


class ForSystems(ClientCredentialsGrant):
    """A token of a system itself, for the interfaces that the bureau has let it have."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def validate_requested_scope(self) -> None:
        """Registered interfaces only; none named means all of them."""
        client, asked = self.request.client, self.request.payload.scope
        wanted = asked.split() if asked else list(client.api_scopes)
        if not wanted or set(wanted) - set(client.api_scopes):
            raise InvalidScopeError()
        self.request.scope = " ".join(wanted)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """With the scopes as resolved."""
        token = self.generate_token(scope=self.request.scope, include_refresh_token=False)
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class Revocation(RevocationEndpoint):
    """A system gives a token back (RFC 7009): with a refresh token, the whole entry ends."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """Either kind, whatever the hint."""
        return Token.objects.filter(digest=rules.digest(token_string)).first()

    def revoke_token(self, token: Token, request: OAuth2Request) -> None:
        """End it; a refresh token ends its family."""
        token.ended_at = timezone.now()
        token.save(update_fields=["ended_at"])
        by = actor_of_system(request.client)
        if token.kind == Token.REFRESH and token.admission_id:
            end_admissions(
                Admission.objects.filter(pk=token.admission_id), why="系统交还凭证", by=by
            )
        record("token.revoked", request.client, by=by, data={"kind": token.kind})


class Introspection(IntrospectionEndpoint):
    """A system asks whether a token it was shown is good, and whose it is (RFC 7662)."""

    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """Access tokens that are good now."""
        return queries.access_token(token_string)

    def check_permission(self, token: Token, client: ClientSystem, request: OAuth2Request) -> bool:
        """Tokens of systems may be checked by every system; of people, by their own only."""
        return token.admission_id is None or token.system_id == client.pk

    def introspect_token(self, token: Token) -> dict[str, Any]:
        """Whose, for what, until when."""
        told: dict[str, Any] = {
            "active": True,
            "client_id": token.system.client_id,
            "token_type": "Bearer",
            "scope": token.scope,
            "exp": int(token.until.timestamp()),
            "iat": int(token.made_at.timestamp()),
        }
        if token.admission is not None:
            told["sub"] = adapters.pairwise_subject(
                token.system.client_id, token.admission.party_id
            )
            told["acr"] = token.admission.get_acr()
            told |= rules.simulated_claim(token.admission.simulated)
        else:
            told["sub"] = token.system.client_id
            told["department"] = token.system.department.slug
        return told


class EndSession(EndSessionEndpoint):
    """RP-initiated logout: whose ID token is shown, and where to go afterwards."""

    def get_server_jwks(self) -> dict[str, Any]:
        """Our keys, those that have signed lately included."""
        return {"keys": queries.public_keys() or [dict(first_key(by=ANONYMOUS).public)]}

    def get_algorithms(self) -> list[str]:
        """RS256 and nothing else."""
        return [adapters.ALGORITHM]

    def end_session(self, end_session_request: EndSessionRequest) -> None:
        """The view ends the session: it holds it."""


def provider(issuer: str) -> Server:
    """The provider as it speaks at this address."""
    server = Server()
    server.register_token_generator("default", _new_token)
    server.register_grant(CodeGrant, [OnlyS256(), IdToken(issuer)])
    server.register_grant(Refresh)
    server.register_grant(ForSystems)
    server.register_endpoint(Revocation)
    server.register_endpoint(Introspection)
    server.register_endpoint(EndSession)
    return server


@action(None)
def exchange(request: HttpRequest, *, by: Actor) -> HttpResponse:
    """Answer the token endpoint: what was done, or what was refused, is an event either way."""
    try:
        response = provider(issuer_of(request)).create_token_response(request)
    except (OAuth2Error, ValueError):
        # authlib puts words of the request into descriptions that may hold ASCII only.
        response = HttpResponse('{"error": "invalid_request"}', status=400)
    return _told("token.refused", request, response, by)


@action(None)
def answer_endpoint(name: str, request: HttpRequest, *, by: Actor) -> HttpResponse:
    """Answer the revocation or introspection endpoint."""
    try:
        response = provider(issuer_of(request)).create_endpoint_response(name, request)
    except (OAuth2Error, ValueError):
        response = HttpResponse('{"error": "invalid_request"}', status=400)
    if response.status_code == 200:
        record("token.asked", "oidc:" + name, by=by, data={"endpoint": name})
    return _told("token.refused", request, response, by)


def _told(kind: str, request: HttpRequest, response: HttpResponse, by: Actor) -> HttpResponse:
    response["Content-Type"] = "application/json"
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    if response.status_code != 200:
        system = queries.client(request.POST.get("client_id"))
        wrong = json.loads(response.content or b"{}").get("error", "")
        subject = system or "system:?"
        record(kind, subject, by=by, data={"error": wrong, "path": request.path})
    return response


@action(None)
def tell_claims(token: Token, *, by: Actor) -> dict[str, Any]:
    """What the userinfo endpoint answers to a good token; each telling is on record for the person."""
    admission = token.admission
    assert admission is not None
    scopes = token.scope.split()
    claims = queries.claims_for(by, admission.party, scopes, admission.level)
    told_of(admission, claims)
    number = identity.number_of(admission.party)
    if claims and number:
        audit.record_reading(
            by=by,
            resource=token.system.ref,
            people=[number],
            purpose=f"登录：{token.system.purpose}",
            channel="api",
        )
    record(
        "claims.told",
        admission,
        by=by,
        data={"system": token.system.ref, "claims": sorted(claims)},
    )
    subject = adapters.pairwise_subject(token.system.client_id, admission.party_id)
    simulated = rules.simulated_claim(admission.simulated)
    return {"sub": subject, "acr": admission.get_acr(), **simulated, **claims}


__all__ = [
    "Server",
    "actor_of_system",
    "answer_endpoint",
    "exchange",
    "issuer_of",
    "provider",
    "signing_pair",
    "tell_claims",
]
