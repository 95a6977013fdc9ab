"""Webhook as a receiver: parts of JSON lines, signed, each with a key that makes a repetition harmless."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson

from lianyun.lake.portion import Taken

from .. import rules
from ..rules import Parcel, Receipt, ReceiverError, Stand
from . import hosts

AGAIN = (408, 425, 429)


class Webhook:
    """An address of a department that takes POSTs; redirects are not followed."""

    def __init__(self, location: str, secret: str, vouched: bool) -> None:
        self.location, self.secret, self.vouched = location, secret, vouched
        self.parts = rules.split_location(location)
        if self.parts.scheme not in ("https", "http"):
            raise ReceiverError("Webhook 地址应以 https:// 或 http:// 开头", final=True)

    def test(self) -> str:
        """Send an empty part marked as a test."""
        with self._client() as (client, url, extensions):
            self._post(client, url, extensions, "test", b"", {"X-Lianyun-Test": "1"})
        return "连接成功，对方已签收测试消息"

    def stands(self, subscription: str, number: int) -> Stand | None:
        """A webhook keeps no position for us."""
        return None

    def packing(self, taken: Taken) -> contextlib.AbstractContextManager[None]:
        """See Receiver: nothing is made ready."""
        return contextlib.nullcontext()

    def give(
        self,
        taken: Taken,
        parcel: Parcel,
        still: Callable[[], None],
        sent: Callable[[int], None],
        free: Callable[[int], None],
    ) -> Receipt:
        """POST part after part, in order, beginning with the first that was not taken yet."""
        free(-1)
        digest, size, part = hashlib.sha256(), 0, 0
        total = max(1, -(-taken.upserts // rules.PARTS) + -(-taken.deletes // rules.PARTS))
        with self._client() as (client, url, extensions):
            for body in _parts(taken):
                part += 1
                digest.update(body)
                size += len(body)
                if part <= parcel.part:
                    continue
                still()
                headers = {
                    "X-Lianyun-Subscription": parcel.subscription,
                    "X-Lianyun-Delivery": str(parcel.number),
                    "X-Lianyun-Part": f"{part}/{total}",
                    "X-Lianyun-Full": "1" if taken.full else "0",
                    "X-Lianyun-Position": parcel.upto,
                }
                key = parcel.idempotency_key(part)
                self._post(client, url, extensions, key, body, headers)
                sent(part)
        return Receipt(size, digest.hexdigest())

    def _client(self) -> _Opened:
        host = self.parts.hostname or ""
        port = self.parts.port or (443 if self.parts.scheme == "https" else 80)
        return _Opened(self.parts, host, hosts.address_of(host, port, vouched=self.vouched))

    def _post(
        self,
        client: httpx.Client,
        url: str,
        extensions: dict[str, Any],
        key: str,
        body: bytes,
        headers: dict[str, str],
    ) -> None:
        moment = int(time.time())
        try:
            # The answer's body is nobody's business here, and may be as long as its sender likes.
            with client.stream(
                "POST",
                url,
                content=body,
                headers={
                    "Host": self.parts.netloc.rpartition("@")[2],
                    "Content-Type": "application/x-ndjson; charset=utf-8",
                    "Idempotency-Key": key,
                    "X-Lianyun-Signature": rules.signature(self.secret, moment, key, body),
                    **headers,
                },
                extensions=extensions,
            ) as answer:
                pass
        except httpx.TimeoutException as error:
            raise ReceiverError("对方没有在时限内答复，将自动重试", away=True) from error
        except httpx.HTTPError as error:
            if "CERTIFICATE" in str(error).upper():
                raise ReceiverError("对方的 HTTPS 证书无效，请对方更换证书") from error
            raise ReceiverError("连接不上对方的地址，将自动重试", away=True) from error
        if answer.is_success:
            return
        if answer.is_redirect:
            raise ReceiverError("对方把请求转到了别处，平台不跟随转址；请填写最终地址", final=True)
        final = answer.status_code < 500 and answer.status_code not in AGAIN
        raise ReceiverError(
            f"对方答复 {answer.status_code}："
            + ("不接受该数据，请与对方核对接口" if final else "暂时不能接收，将自动重试"),
            final=final,
        )


class _Opened:
    """An HTTP client that talks to the address that was judged, under the host's own name."""

    def __init__(self, parts: Any, host: str, address: str) -> None:
        netloc = f"[{address}]" if ":" in address else address
        if parts.port:
            netloc += f":{parts.port}"
        self.url = parts._replace(netloc=netloc).geturl()
        self.extensions: dict[str, Any] = {"sni_hostname": host}
        self.client = httpx.Client(timeout=30, follow_redirects=False, trust_env=False)

    def __enter__(self) -> tuple[httpx.Client, str, dict[str, Any]]:
        return self.client, self.url, self.extensions

    def __exit__(self, *_: object) -> None:
        self.client.close()


def lines(rows: list[dict[str, Any]], keys: tuple[str, ...], operation: str) -> bytes:
    """Rows as JSON lines: `op`, `key`, and for an upsert the `row`; decimals and dates as text."""
    out = []
    for row in rows:
        told: dict[str, Any] = {"op": operation, "key": {k: row[k] for k in keys}}
        if operation == "upsert":
            told["row"] = row
        out.append(orjson.dumps(told, default=str, option=orjson.OPT_NON_STR_KEYS))
    return b"\n".join(out) + b"\n" if out else b""


def _parts(taken: Taken) -> Iterator[bytes]:
    """The same parts at every attempt: deletions first, then rows in the order of their key."""
    any_at_all = False
    if taken.deletes:
        order = ", ".join(f'"{k}"' for k in taken.keys)
        for batch in taken.batches(f"{taken.gone} ORDER BY {order}", rules.PARTS):
            any_at_all = True
            yield lines(batch.to_pylist(), taken.keys, "delete")
    if taken.upserts:
        for batch in taken.batches(taken.ordered, rules.PARTS):
            any_at_all = True
            yield lines(batch.to_pylist(), taken.keys, "upsert")
    if not any_at_all:
        yield b""
