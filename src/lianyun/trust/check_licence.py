#!/usr/bin/env python3
"""Check a licence credential: one file that stands alone, for whoever wants to check without the site.

    python check_licence.py credential.sd-jwt --keys issuer.json [--status list.jwt] [--at TIME] [--json]

Needs Python 3.9 and `cryptography` only. KEYS is what you trust: the installation's
`/.well-known/jwt-vc-issuer` as saved before (or a JWKS). STATUS is the signed status list that the
credential points to; without it a revocation cannot be seen, and that is said. Exit code 0: the
credential holds; 1: it does not (the reason is printed); 2: it cannot be read.

用法见上；离线检验电子证照凭证（SD-JWT VC），只依赖 Python 与 cryptography。
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple  # noqa: UP035 - for old interpreters

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

LEEWAY = 60
STATES = {0: "有效", 1: "已失效（吊销、撤销、注销或已换发）", 2: "已暂扣"}


class Bad(Exception):
    """The credential does not hold; the message says where."""


def unb64(text: str) -> bytes:
    """base64url without padding, in its one form: other texts for the same bytes are refused."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Bad("凭证格式不正确")
    return data


def key_named(keys: Dict[str, Any], kid: str) -> ec.EllipticCurvePublicKey:  # noqa: UP006
    """The public key of this name among those trusted."""
    held: List[Dict[str, Any]] = (keys.get("jwks") or keys).get("keys") or []  # noqa: UP006
    for key in held:
        if key.get("kid") == kid and key.get("kty") == "EC" and key.get("crv") == "P-256":
            x, y = (int.from_bytes(unb64(key[n]), "big") for n in ("x", "y"))
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raise Bad("签名者不在您信任的密钥之中：不是本市电子证照平台签发的")


def opened(token: str, kind: str, keys: Dict[str, Any]) -> Dict[str, Any]:  # noqa: UP006
    """The body of a signed token of this type."""
    try:
        head, body, signature = token.split(".")
        header, raw = json.loads(unb64(head)), unb64(signature)
    except ValueError as wrong:
        raise Bad("不是签名令牌") from wrong
    if header.get("typ") != kind or header.get("alg") != "ES256" or "crit" in header:
        raise Bad("类型或签名算法不正确")
    key = key_named(keys, str(header.get("kid")))
    if len(raw) != 64:
        raise Bad("签名格式不正确")
    value = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(value, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as wrong:
        raise Bad("签名与内容不符：凭证被改动过") from wrong
    told = json.loads(unb64(body))
    if not isinstance(told, dict):
        raise Bad("不是签名令牌")
    return told


def check(text: str, keys: Dict[str, Any], now: float) -> Tuple[Dict[str, Any], Dict[str, Any]]:  # noqa: UP006
    """The issuer's body and what was disclosed; raises Bad."""
    parts = text.strip().split("~")
    if len(parts) < 2 or parts[-1]:
        raise Bad("不是完整的 SD-JWT 凭证")
    body = opened(parts[0], "dc+sd-jwt", keys)
    hidden, claims = body.get("_sd") or [], {}
    if body.get("_sd_alg", "sha-256") != "sha-256":
        raise Bad("摘要算法不受支持")
    for disclosure in parts[1:-1]:
        value = hashlib.sha256(disclosure.encode()).digest()
        if base64.urlsafe_b64encode(value).rstrip(b"=").decode() not in hidden:
            raise Bad("披露的内容不是签发时的内容：凭证被改动过")
        try:
            _, name, told = json.loads(unb64(disclosure))
        except ValueError as wrong:
            raise Bad("披露项无法读取") from wrong
        if name in claims or name in body:
            raise Bad("披露项重复")
        claims[name] = told
    if now < float(body.get("nbf") or 0) - LEEWAY:
        raise Bad("凭证尚未生效")
    if now > float(body.get("exp") or 0) + LEEWAY:
        raise Bad("凭证已过期")
    return body, claims


def state_of(body: Dict[str, Any], token: Optional[str], keys: Dict[str, Any], now: float) -> str:  # noqa: UP006, UP045
    """The licence's state by the signed list; raises Bad unless it is valid."""
    if token is None:
        return "未核对状态列表：不能排除已被吊销"
    place = body["status"]["status_list"]
    told = opened(token.strip(), "statuslist+jwt", keys)
    if told.get("sub") != place["uri"]:
        raise Bad("状态列表不是这份凭证所指的那一份")
    if now > float(told.get("exp") or 0) + LEEWAY:
        raise Bad("状态列表已过期，请重新下载")
    bits = int(told["status_list"]["bits"])
    data = zlib.decompress(unb64(told["status_list"]["lst"]))
    each, at = 8 // bits, int(place["idx"])
    value = (data[at // each] >> (bits * (at % each))) & ((1 << bits) - 1)
    if value:
        raise Bad(f"证照{STATES.get(value, '状态不明')}")
    return "状态列表核对：有效"


def main(arguments: Optional[List[str]] = None) -> int:  # noqa: UP006, UP045
    """Check one credential and say what came of it."""
    parser = argparse.ArgumentParser(description="离线检验电子证照凭证")
    parser.add_argument("credential", type=Path)
    parser.add_argument(
        "--keys", type=Path, required=True, help="信任的公钥（jwt-vc-issuer 或 JWKS）"
    )
    parser.add_argument("--status", type=Path, help="签名的状态列表")
    parser.add_argument("--at", type=float, help="按这一时刻检验（1970 年以来的秒数）")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(arguments)
    try:
        text = told.credential.read_text("utf-8")
        keys = json.loads(told.keys.read_text("utf-8"))
        token = told.status.read_text("utf-8") if told.status else None
    except (OSError, ValueError) as wrong:
        sys.stderr.write(f"无法读取：{wrong}\n")
        return 2
    now = told.at if told.at is not None else time.time()
    try:
        body, claims = check(text, keys, now)
        state = state_of(body, token, keys, now)
    except Bad as wrong:
        sys.stdout.write(
            json.dumps({"valid": False, "reason": str(wrong)}, ensure_ascii=False)
            if told.json
            else f"不通过：{wrong}"
        )
        sys.stdout.write("\n")
        return 1
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        zlib.error,
    ) as wrong:
        sys.stdout.write(f"不通过：凭证格式不正确（{type(wrong).__name__}）\n")
        return 1
    if told.json:
        answer = {"valid": True, "issuer": body.get("iss"), "claims": claims, "state": state}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(
            f"通过：{body.get('licence_title')}（{body.get('issuing_authority')}）\n{state}\n"
        )
        for name, value in claims.items():
            sys.stdout.write(f"  {name}: {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
