"""The national platform's stand-in (模拟数据): an OpenID provider that names sample people.

``python -m demo.national_platform FILE`` serves it; FILE is the JSON that the sample city wrote:
port, client_id, secret, redirect_uri, people (name, number, level). It knows one relying party,
asks for no password, and shows 模拟数据 on its page. `bend` changes what it signs or says, so that a
relying party can be tried.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>国家政务服务平台（模拟）</title><style>body{{font:16px/1.7 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}button{{font:inherit;padding:.4rem 1rem;margin:.2rem 0}}</style>
<h1>国家政务服务平台（模拟）</h1><p><strong>模拟数据</strong>　这是演示用的替身，不是国家平台；选一位样例人员即登录。</p>{body}</html>"""
Bend = Callable[[dict[str, Any]], dict[str, Any]]


def _same(told: dict[str, Any]) -> dict[str, Any]:
    return told


class Platform(ThreadingHTTPServer):
    """The provider: its key, its one relying party, and the codes it gave."""

    daemon_threads = True

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", int(told["port"])), Handler)
        self.told, self.issuer = told, f"http://127.0.0.1:{self.server_port}"
        self.key = RSAKey.generate_key(2048, {"kid": "national-1", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.bend: dict[str, Bend] = {}
        self.iss = True

    def bent(self, what: str, told: dict[str, Any]) -> dict[str, Any]:
        """What is said, as it is or as somebody bent it (claims, answer, userinfo)."""
        return self.bend.get(what, _same)(told)

    def metadata(self) -> dict[str, Any]:
        """Discovery."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.iss,
        }

    def come_back(self, query: dict[str, str], person: dict[str, Any]) -> str:
        """The address to which the browser returns with a code for this person."""
        code = secrets.token_urlsafe(24)
        # Choosing a person is all the login there is here, so it is always a new one.
        self.codes[code] = {"query": query, "person": person, "at": time.time()}
        answer = {"code": code, "state": query.get("state", "")}
        if self.iss:
            answer["iss"] = self.issuer
        return f"{query['redirect_uri']}?{urlencode(self.bent('answer', answer))}"

    def redeem(self, form: dict[str, str], basic: tuple[str, str]) -> dict[str, Any] | None:
        """Tokens for a code; None where anything does not fit. A code is good once."""
        held = self.codes.pop(form.get("code", ""), None)
        known = (self.told["client_id"], self.told["secret"])
        if held is None or time.time() - held["at"] > 60 or basic != known:
            return None
        query, person = held["query"], held["person"]
        made = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(made).decode().rstrip("=")
        if form.get("redirect_uri") != query["redirect_uri"] or shown != query["code_challenge"]:
            return None
        now, subject = int(time.time()), f"n-{person['number']}"
        claims = {
            "iss": self.issuer, "sub": subject, "aud": self.told["client_id"], "iat": now,
            "exp": now + 300, "nonce": query.get("nonce", ""), "acr": person["level"],
            "auth_time": int(held["at"]),
        }  # fmt: skip
        header = {"alg": "RS256", "kid": "national-1"}
        token = jwt.encode(header, self.bent("claims", claims), self.key, ["RS256"])
        access = secrets.token_urlsafe(24)
        self.tokens[access] = {
            "sub": subject, "name": person["name"], "citizen_number": person["number"]
        }  # fmt: skip
        made = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": token,
        }
        return self.bent("tokens", made)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Platform

    def log_message(self, *_: Any) -> None:
        """Codes stand in addresses: nothing is logged."""

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _json(self, told: dict[str, Any], status: int = 200) -> None:
        self._send(status, json.dumps(told, ensure_ascii=False).encode(), "application/json")

    def do_GET(self) -> None:
        """Discovery, keys, the page where a person is chosen, claims."""
        address = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(address.query).items()}
        if address.path == "/.well-known/openid-configuration":
            self._json(self.server.metadata())
        elif address.path == "/jwks":
            self._json({"keys": [self.server.key.as_dict(private=False)]})
        elif address.path == "/authorize":
            self._authorize(query)
        elif address.path == "/userinfo":
            scheme, _, token = self.headers.get("Authorization", "").partition(" ")
            held = self.server.tokens.get(token) if scheme == "Bearer" else None
            self._json(self.server.bent("userinfo", held) if held else {}, 200 if held else 401)
        else:
            self._send(404, b"", "text/plain")

    def _authorize(self, query: dict[str, str]) -> None:
        told = self.server.told
        fits = (
            query.get("client_id") == told["client_id"]
            and query.get("redirect_uri", "").split("?")[0] == told["redirect_uri"]
        )
        if not fits or query.get("code_challenge_method") != "S256":
            return self._send(
                400, PAGE.format(body="<p>登录请求有误。</p>").encode(), "text/html; charset=utf-8"
            )
        chosen = query.pop("person", "")
        if chosen.isdecimal() and int(chosen) < len(told["people"]):
            place = self.server.come_back(query, told["people"][int(chosen)])
            return self._send(302, b"", "text/plain", Location=place)
        links = "".join(
            f'<p><a id="person-{n}" href="/authorize?{html.escape(urlencode({**query, "person": n}))}">'
            f"{html.escape(p['name'])}（{html.escape(p['number'][:3])}***********{html.escape(p['number'][-4:])}）</a></p>"
            for n, p in enumerate(told["people"])
        )
        return self._send(200, PAGE.format(body=links).encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """A code for tokens."""
        size = min(int(self.headers.get("Content-Length", "0")), 20_000)
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(size).decode()).items()}
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        # Form-encoded before they were joined (RFC 6749, 2.3.1); these two need no decoding.
        user, _, secret = (
            base64.b64decode(text).decode().partition(":") if scheme == "Basic" else ("", "", "")
        )
        made = self.server.redeem(form, (user, secret))
        self._json(made or {"error": "invalid_grant"}, 200 if made else 400)


def serve(told: dict[str, Any]) -> Platform:
    """Serve the provider in a thread; returns it."""
    platform = Platform(told)
    threading.Thread(target=platform.serve_forever, daemon=True).start()
    return platform


if __name__ == "__main__":
    made = Platform(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    print(f"国家政务服务平台（模拟数据）：{made.issuer}")
    made.serve_forever()
