"""A department's own system (模拟数据): a small web application that knows nobody but by the city's login.

``python -m demo.department_system FILE`` serves it; FILE is the JSON that the sample city wrote:
issuer, client_id, secret, port. The login is authlib's client, the ID token is checked by joserfc.
"""

from __future__ import annotations

import html
import json
import secrets
import sys
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>困难群众救助系统</title><style>body{{font:16px/1.7 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style>
<h1>困难群众救助系统</h1><p><strong>模拟数据</strong>　市民政局自己的系统，没有自己的账号。</p>{body}</html>"""


class System(ThreadingHTTPServer):
    """The application: its place at the city, and who is in it now."""

    daemon_threads = True

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", int(told["port"])), Handler)
        self.told, self.own = told, f"http://127.0.0.1:{self.server_port}"
        self.leaving: dict[str, dict[str, str]] = {}
        self.inside: dict[str, dict[str, Any]] = {}

    def city(self) -> dict[str, Any]:
        """The city's endpoints, as it publishes them."""
        place = f"{self.told['issuer']}/.well-known/openid-configuration"
        return dict(httpx.get(place, trust_env=False).json())

    def client(self, **more: Any) -> OAuth2Client:
        """authlib's client for this system."""
        return OAuth2Client(
            self.told["client_id"],
            self.told["secret"],
            scope="openid profile",
            redirect_uri=f"{self.own}/callback",
            code_challenge_method="S256",
            trust_env=False,
            **more,
        )

    def claims(self, token: str, **wanted: str) -> dict[str, Any]:
        """The claims of a token that the city signed for this system; raises on any other."""
        city = self.city()
        keys = KeySet.import_key_set(httpx.get(city["jwks_uri"], trust_env=False).json())
        found = jwt.decode(token, keys, algorithms=["RS256"]).claims
        expected = {"iss": city["issuer"], "aud": self.told["client_id"], **wanted}
        jwt.JWTClaimsRegistry(
            exp={"essential": True},
            **{k: {"essential": True, "value": v} for k, v in expected.items()},
        ).validate(found)
        return dict(found)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: System

    def log_message(self, *_: Any) -> None:
        """Codes stand in addresses: nothing is logged."""

    def _mark(self) -> str:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("relief")
        return cookie.value if cookie else ""

    def _send(self, status: int, body: str = "", **headers: str) -> None:
        text = PAGE.format(body=body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        """Home, the way to the city, the way back, the way out."""
        address, mark = urlsplit(self.path), self._mark()
        person = self.server.inside.get(mark)
        if address.path == "/login":
            mark, verifier, nonce = (secrets.token_urlsafe(48) for _ in range(3))
            place = self.server.city()["authorization_endpoint"]
            url, state = self.server.client().create_authorization_url(
                place, code_verifier=verifier, nonce=nonce
            )
            self.server.leaving[mark] = {"state": state, "verifier": verifier, "nonce": nonce}
            cookie = f"relief={mark}; HttpOnly; SameSite=Lax; Path=/"
            self._send(302, Location=url, Set_Cookie=cookie)
        elif address.path == "/callback":
            self._come_back({k: v[0] for k, v in parse_qs(address.query).items()}, mark)
        elif address.path == "/logout" and person is not None:
            del self.server.inside[mark]
            query = {
                "id_token_hint": person["id_token"],
                "post_logout_redirect_uri": self.server.own,
            }
            place = self.server.city()["end_session_endpoint"]
            self._send(302, Location=f"{place}?{urlencode(query)}")
        elif person is not None:
            name = html.escape(str(person["name"]))
            mark = (
                "<p>您的实名等级由演示环境的替身给出，本系统不作为凭据。</p>"
                if person["simulated"]
                else ""
            )
            self._send(200, f'<p id="who">您好，{name}</p>{mark}<p><a href="/logout">退出</a></p>')
        else:
            self._send(200, '<p><a id="login" href="/login">用城市账号登录</a></p>')

    def _come_back(self, answer: dict[str, str], mark: str) -> None:
        errand, city = self.server.leaving.pop(mark, None), self.server.city()
        if errand is None or answer.get("state") != errand["state"]:
            return self._send(400, "<p>登录不是从这里开始的。</p>")
        if answer.get("iss") != city["issuer"]:
            return self._send(400, "<p>登录结果来自别处。</p>")
        if "code" not in answer:
            return self._send(200, "<p id='refused'>您没有同意登录。</p>")
        client = self.server.client()
        tokens = client.fetch_token(
            city["token_endpoint"], code=answer["code"], code_verifier=errand["verifier"]
        )
        claims = self.server.claims(tokens["id_token"], nonce=errand["nonce"])
        told = client.get(city["userinfo_endpoint"]).json()
        fresh = secrets.token_urlsafe(32)
        self.server.inside[fresh] = {
            "name": told.get("name", claims["sub"]), "sid": claims["sid"], "id_token": tokens["id_token"],
            "simulated": claims.get("acr_simulated") is True,
        }  # fmt: skip
        self._send(302, Location="/", Set_Cookie=f"relief={fresh}; HttpOnly; SameSite=Lax; Path=/")

    def do_POST(self) -> None:
        """The city says that a login is over (back-channel logout)."""
        size = min(int(self.headers.get("Content-Length", "0")), 20_000)
        form = parse_qs(self.rfile.read(size).decode())
        try:
            claims = self.server.claims(form["logout_token"][0])
        except Exception:
            return self._send(400)
        for mark, person in list(self.server.inside.items()):
            if person["sid"] == claims["sid"]:
                del self.server.inside[mark]
        self._send(200)


def serve(told: dict[str, Any]) -> System:
    """Serve the application in a thread; returns it."""
    system = System(told)
    threading.Thread(target=system.serve_forever, daemon=True).start()
    return system


if __name__ == "__main__":
    made = System(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    print(f"困难群众救助系统（模拟数据）：{made.own}")
    made.serve_forever()
