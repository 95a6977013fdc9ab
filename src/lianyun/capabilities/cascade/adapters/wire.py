"""Wire: requests to another node, signed, and its answers, verified."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from .. import rules
from . import keys

HEADERS = {
    "node": "Lianyun-Node",
    "peer": "Lianyun-Peer",
    "key": "Lianyun-Key",
    "stamp": "Lianyun-Stamp",
    "nonce": "Lianyun-Nonce",
    "signature": "Lianyun-Signature",
}
USED_KEY = "_key"
"""In a verified answer: the fingerprint of the key that signed it."""
MOST_ANSWER = 16 * 2**20


class WireError(Exception):
    """The other node was not reached or refused; `code` is the protocol's word, "" for no answer.

    `signed` says that the refusal itself came verifiably from the other node.
    """

    def __init__(self, message: str, code: str = "", signed: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.signed = signed


@dataclass(frozen=True)
class Caller:
    """Who calls whom: our code and key, the other node's code, address and public keys by kid."""

    node: str
    signer: keys.Signer
    peer: str
    address: str
    known: Mapping[str, str]
    timeout: float = 20.0


def _client(timeout: float) -> httpx.Client:
    """A client that follows no redirects and trusts LIANYUN_CASCADE_CA for https if that is set."""
    authority: Any = os.environ.get("LIANYUN_CASCADE_CA") or True
    return httpx.Client(
        timeout=httpx.Timeout(timeout, connect=5.0),
        verify=authority,
        follow_redirects=False,
        trust_env=False,
    )


def _path(address: str, path: str) -> str:
    return httpx.URL(address.rstrip("/") + rules.BASE + path).raw_path.decode()


def _sent(client: httpx.Client, method: str, url: str, body: bytes, headers: dict[str, str]) -> Any:
    try:
        answer = client.request(method, url, content=body, headers=headers)
    except httpx.TimeoutException as error:
        raise WireError("对方没有在规定时间内应答，将自动重试") from error
    except httpx.ConnectError as error:
        text = str(error)
        if "CERTIFICATE" in text.upper():
            raise WireError(
                "对方的 HTTPS 证书不受信任，请核对证书（LIANYUN_CASCADE_CA）"
            ) from error
        raise WireError("连不上对方节点：地址不通或对方未启动，将自动重试") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WireError("与对方的连接中途断开，将自动重试") from error
    if len(answer.content) > MOST_ANSWER:
        raise WireError("对方的应答过大，已丢弃")
    return answer


def plain(address: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """An unsigned call (the greeting and the enrolment); raises WireError where there is no answer."""
    with _client(20.0) as client:
        url = address.rstrip("/") + rules.BASE + path
        answer = _sent(client, method, url, body, {"Content-Type": "application/json"})
        return answer.status_code, answer.content


def call(caller: Caller, method: str, path: str, body: bytes, stamp: int) -> dict[str, Any]:
    """A signed call and its verified JSON answer; raises WireError with a Chinese message.

    An answer that is not signed by a known key of the other node is no answer.
    """
    nonce = rules.new_nonce()
    where = _path(caller.address, path)
    text = rules.request_text(method, where, caller.node, caller.peer, stamp, nonce, body)
    headers = {
        "Content-Type": "application/octet-stream" if method == "PUT" else "application/json",
        HEADERS["node"]: caller.node,
        HEADERS["peer"]: caller.peer,
        HEADERS["key"]: caller.signer.kid,
        HEADERS["stamp"]: str(stamp),
        HEADERS["nonce"]: nonce,
        HEADERS["signature"]: caller.signer.sign(text),
    }
    with _client(caller.timeout) as client:
        url = caller.address.rstrip("/") + rules.BASE + path
        answer = _sent(client, method, url, body, headers)
    signed = _signed(caller, nonce, answer)
    try:
        told = json.loads(answer.content)
        if not isinstance(told, dict):
            raise ValueError
    except ValueError:
        raise WireError(f"对方的应答不是协议规定的内容（HTTP {answer.status_code}）") from None
    if answer.status_code != 200:
        code = str(told.get("error") or "")
        text_zh = rules.ERRORS.get(code) or str(told.get("message") or "")[:200]
        raise WireError(text_zh or f"对方拒绝（HTTP {answer.status_code}）", code, signed)
    if not signed:
        raise WireError("对方应答的签名无效，已丢弃；请与对方核对指纹")
    return {**told, USED_KEY: answer.headers[HEADERS["key"]]}


def _signed(caller: Caller, nonce: str, answer: Any) -> bool:
    kid = answer.headers.get(HEADERS["key"], "")
    public = caller.known.get(kid)
    if public is None:
        return False
    text = rules.answer_text(caller.peer, caller.node, nonce, answer.status_code, answer.content)
    return keys.verified(public, text, answer.headers.get(HEADERS["signature"], ""))
