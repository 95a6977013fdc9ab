"""Wire: requests to another node, signed, and its answers, verified.

Every address is looked up and judged at each call (lianyun.trust.hosts): an enrolled node that names
another machine's address gains nothing by it.
"""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from lianyun.trust import hosts

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
HOSTS = "LIANYUN_CASCADE_HOSTS"
"""The operator's list of nodes that lie in networks of our own."""
HOSTS_FILE = "cascade.hosts"
"""More of that list in the state folder, one entry a line: read at each call, without a restart."""
PATIENCE = 3
"""An answer that trickles in is waited for so many times the time-out."""


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


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, headers and the body as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _authority() -> ssl.SSLContext:
    """Whom https certificates are checked by: LIANYUN_CASCADE_CA if that is set, else the system."""
    file = os.environ.get("LIANYUN_CASCADE_CA")
    try:
        return ssl.create_default_context(cafile=file or None)
    except (OSError, ssl.SSLError) as error:
        raise WireError(
            "读不出根证书文件，请系统管理员检查 LIANYUN_CASCADE_CA 指向的 PEM 文件"
        ) from error


def _url(address: str, path: str) -> httpx.URL:
    """The URL of a path of the node API under a node's address."""
    if not address:
        raise WireError("尚未确认对方的地址，本节点不能主动访问；请运维人员在连接页面确认")
    try:
        return httpx.URL(address.rstrip("/") + rules.BASE + path)
    except httpx.InvalidURL as error:
        raise WireError("节点地址不完整，请写成 协议://主机:端口") from error


def listed() -> list[str]:
    """What the operator wrote into the file of the state folder."""
    try:
        text = (Path(settings.HOME) / HOSTS_FILE).read_text("utf-8")
    except FileNotFoundError:
        return []
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _sent(
    timeout: float, method: str, url: httpx.URL, body: bytes, headers: dict[str, str]
) -> Answer:
    """One request to the address that the host has now, if it may be called; redirects end it."""
    secure = url.scheme == "https"
    try:
        address = hosts.address_of(
            url.host, url.port or (443 if secure else 80), HOSTS, also=listed()
        )
    except hosts.HostRefused as refused:
        raise WireError(str(refused)) from refused
    named = {"Host": url.netloc.decode(), "Accept-Encoding": "identity", **headers}
    limits = httpx.Timeout(timeout, connect=5.0)
    with httpx.Client(
        timeout=limits,
        verify=_authority() if secure else False,
        follow_redirects=False,
        trust_env=False,
    ) as client:
        try:
            with client.stream(
                method,
                url.copy_with(host=address.split("%")[0]),
                content=body,
                headers=named,
                extensions={"sni_hostname": url.host},
            ) as answer:
                if answer.is_redirect:
                    raise WireError("对方把请求转到了别处，本节点不跟随转址；请核对节点地址")
                return Answer(answer.status_code, answer.headers, _body(answer, timeout * PATIENCE))
        except httpx.TimeoutException as error:
            raise WireError("对方没有在规定时间内应答，将自动重试") from error
        except httpx.ConnectError as error:
            if "CERTIFICATE" in str(error).upper():
                raise WireError(
                    "对方的 HTTPS 证书不受信任，请核对证书（LIANYUN_CASCADE_CA）"
                ) from error
            raise WireError("连不上对方节点：地址不通或对方未启动，将自动重试") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WireError("与对方的连接中途断开，将自动重试") from error


def _body(answer: httpx.Response, seconds: float) -> bytes:
    """The body, as long as it is not too large and does not trickle in for ever."""
    end = time.monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > MOST_ANSWER:
            raise WireError("对方的应答过大，已丢弃")
        if time.monotonic() > end:
            raise WireError("对方没有在规定时间内应答，将自动重试")
        parts.append(part)
    return b"".join(parts)


def plain(address: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """An unsigned call (the greeting and the enrolment); raises WireError where there is no answer."""
    headers = {"Content-Type": "application/json"}
    answer = _sent(20.0, method, _url(address, path), body, headers)
    return answer.status, answer.body


def call(caller: Caller, method: str, path: str, body: bytes, stamp: int) -> dict[str, Any]:
    """A signed call and its verified JSON answer; raises WireError with a Chinese message.

    An answer that is not signed by a known key of the other node is no answer.
    """
    nonce = rules.new_nonce()
    url = _url(caller.address, path)
    where = url.raw_path.decode()
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
    answer = _sent(caller.timeout, method, url, body, headers)
    signed = _signed(caller, nonce, answer)
    try:
        told = json.loads(answer.body)
        if not isinstance(told, dict):
            raise ValueError
    except ValueError:
        raise WireError(f"对方的应答不是协议规定的内容（HTTP {answer.status}）") from None
    if answer.status != 200:
        code = str(told.get("error") or "")
        text_zh = rules.ERRORS.get(code) or str(told.get("message") or "")[:200]
        raise WireError(text_zh or f"对方拒绝（HTTP {answer.status}）", code, signed)
    if not signed:
        raise WireError("对方应答的签名无效，已丢弃；请与对方核对指纹")
    return {**told, USED_KEY: answer.headers[HEADERS["key"]]}


def _signed(caller: Caller, nonce: str, answer: Answer) -> bool:
    kid = answer.headers.get(HEADERS["key"], "")
    public = caller.known.get(kid)
    if public is None:
        return False
    text = rules.answer_text(caller.peer, caller.node, nonce, answer.status, answer.body)
    return keys.verified(public, text, answer.headers.get(HEADERS["signature"], ""))
