"""The telephone gateway: what goes out, and what happens where there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from lianyun.capabilities.identity import adapters
from lianyun.kernel import packs
from lianyun.kernel.access import UserError

TAKEN: list[dict[str, Any]] = []


class Gateway(BaseHTTPRequestHandler):
    """A city's gateway that takes texts with the right token."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = self.headers["Authorization"] == "Bearer t0"
        if right:
            TAKEN.append(body)
        self.send_response(204 if right else 401)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing: a text holds a code."""


@pytest.fixture
def gateway(settings: Any) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.TEXT_GATEWAY_URL = f"http://127.0.0.1:{server.server_port}/texts"
    settings.TEXT_GATEWAY_TOKEN = "t0"
    TAKEN.clear()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_text_goes_out_by_the_gateway(gateway: None, settings: Any) -> None:
    assert adapters.send_text("13812345678", "验证码 123456") == ""
    assert [(t["phone"], t["text"]) for t in TAKEN] == [("13812345678", "验证码 123456")]
    settings.TEXT_GATEWAY_TOKEN = "wrong"
    with pytest.raises(UserError, match="发不出去"):
        adapters.send_text("13812345678", "验证码 123456")


def test_without_a_gateway_only_a_sample_city_shows_the_text(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TEXT_GATEWAY_URL = ""
    assert adapters.send_text("13812345678", "验证码 1") == "验证码 1"
    monkeypatch.setattr(packs, "mapping", lambda pack, file: {"sample": False})
    with pytest.raises(UserError, match="尚未配置"):
        adapters.send_text("13812345678", "验证码 1")
