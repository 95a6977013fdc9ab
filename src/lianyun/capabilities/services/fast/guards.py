"""Guard: what a credential must show beside its secret: network, certificate, signature."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from lianyun.trust import signatures
from lianyun.ui.visitor import by_proxy, source_of, within

from .calls import Call, Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(texts: Any) -> tuple[Network, ...] | None:
    """The networks that a list of CIDR texts names; None where one of them is none."""
    try:
        return tuple(ipaddress.ip_network(str(t).strip(), strict=False) for t in texts or ())
    except ValueError:
        return None


PEM_BEGIN, PEM_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def thumbprint_of(header: str) -> str:
    """SHA-256 (hex) of the certificate in a Client-Cert header; raises Refused.

    Either DER in base64 between colons (RFC 9440; HAProxy, Caddy, Envoy by a filter), or PEM in
    percent-encoding, which is all that nginx can say (`$ssl_client_escaped_cert`).
    """
    text = header.strip()
    try:
        if text.startswith("-----BEGIN%20"):
            pem = unquote(text, errors="strict").strip()
            if not (pem.startswith(PEM_BEGIN) and pem.endswith(PEM_END)):
                raise ValueError
            body = "".join(pem[len(PEM_BEGIN) : -len(PEM_END)].split())
        elif len(text) > 2 and text[0] == text[-1] == ":":
            body = text[1:-1]
        else:
            raise ValueError
        return hashlib.sha256(base64.b64decode(body, validate=True)).hexdigest()
    except (ValueError, binascii.Error) as wrong:
        raise Refused(400, "bad_request", "请求头 Client-Cert 有误") from wrong


def certificate_shown(peer: str, headers: Mapping[str, str]) -> str:
    """The thumbprint of the certificate that the caller has proven to hold; "" for none.

    TLS ends at the proxy: only from there is the header believed, from others it is no proof.
    """
    header = headers.get("client-cert", "")
    return thumbprint_of(header) if header and by_proxy(peer) else ""


@dataclass(frozen=True)
class Guard:
    """What one credential must show; keys and certificates with the moment each ends, if any."""

    networks: tuple[Network, ...] | None = ()
    signed: bool = False
    keys: dict[str, tuple[signatures.PublicKey, float | None]] = field(default_factory=dict)
    certificates: dict[str, float | None] = field(default_factory=dict)
    bound: bool = False
    """Whether a certificate was ever registered: then one is needed, even if all have ended."""

    def good_keys(self) -> dict[str, signatures.PublicKey]:
        """Keys that have not ended, by their name."""
        now = dt.datetime.now(dt.UTC).timestamp()
        return {kid: key for kid, (key, end) in self.keys.items() if end is None or now < end}

    def good_certificates(self) -> list[str]:
        """Thumbprints of certificates that have not ended."""
        now = dt.datetime.now(dt.UTC).timestamp()
        return [print_ for print_, end in self.certificates.items() if end is None or now < end]

    def check_network(self, call: Call) -> None:
        """Refuse a call from outside the networks that the grant allows."""
        if self.networks == ():
            return
        if self.networks is None or not within(call.source, self.networks):
            raise Refused(403, "network", "来源网络不在授权范围内", f"来源 {call.source}")

    def check_certificate(self, shown: str) -> None:
        """Refuse a call without one of the certificates that are registered, if any are."""
        if self.bound and shown not in self.good_certificates():
            why = "证书未登记或已停用" if shown else "该凭证已绑定证书，须用双向 TLS 调用"
            raise Refused(401, "unauthorized", "未出示有效的客户端证书", why)


def guard_of(terms: Mapping[str, Any], rows: list[dict[str, Any]], *, bound: bool = False) -> Guard:
    """The guard of a credential with these terms and registered keys.

    Terms that cannot be read close: a network that is none lets nobody in.
    """
    keys: dict[str, tuple[signatures.PublicKey, float | None]] = {}
    certificates: dict[str, float | None] = {}
    for row in rows:
        if row["use"] == "certificate":
            certificates[row["kid"]] = row["ends"]
        else:
            keys[row["kid"]] = (signatures.public_key(row["pem"]), row["ends"])
    signed = terms.get("signature") == "required"
    return Guard(_networks(terms.get("networks")), signed, keys, certificates, bound)


__all__ = ["Guard", "by_proxy", "certificate_shown", "guard_of", "source_of", "thumbprint_of"]
