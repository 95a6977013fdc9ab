#!/usr/bin/env python3
"""Check a Lianyun receipt: one file that stands alone, for whoever does not trust who wrote the receipt.

    python check_receipt.py receipt.json --key key.pem [--request FILE] [--response FILE] [--json]

Needs Python 3.9 and `cryptography` only. KEY is what you trust: the installation's signing key or
its certificate, or its root certificate (PEM). It proves that this very record stood in the ledger
when it was signed and time-stamped; with --request and --response also that it is of these bytes.
Exit code 0: the receipt holds; 1: it does not (the reason is printed); 2: it cannot be read.

用法见上；检验数据交换回执，只依赖 Python 与 cryptography，不依赖出具方的任何程序。
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Optional, Tuple  # noqa: UP035 - for old interpreters

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

ECDSA, SM2 = "ecdsa-p256-sha256", "sm2-sm3"


class Bad(Exception):
    """The receipt does not hold; the message says where."""


def need(good: object, why: str) -> None:
    """Raise Bad unless `good`."""
    if not good:
        raise Bad(why)


# ---- digests, trees --------------------------------------------------------------------------


def digest(name: str, data: bytes) -> bytes:
    """SHA-256 or SM3."""
    if name == "sha256":
        return hashlib.sha256(data).digest()
    need(name == "sm3", f"未知的散列算法 {name}")
    value = hashes.Hash(hashes.SM3())
    value.update(data)
    return value.finalize()


def root_of(name: str, leaf: bytes, proof: dict) -> bytes:
    """The root that a leaf's content and its path lead to (RFC 9162, 2.1.3.2)."""
    at, last = int(proof["index"]), int(proof["size"]) - 1
    need(0 <= at <= last, "路径有误")
    value = digest(name, b"\x00" + leaf)
    for text in proof["path"]:
        step = bytes.fromhex(text)
        need(last > 0 and len(step) == 32, "路径有误")
        if at % 2 or at == last:
            value = digest(name, b"\x01" + step + value)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            value = digest(name, b"\x01" + value + step)
        at, last = at // 2, last // 2
    need(last == 0, "路径有误")
    return value


# ---- DER -------------------------------------------------------------------------------------


def parts(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The values one after another: (tag, content, all bytes)."""
    out = []
    while data:
        need(len(data) >= 2, "编码有误")
        size, at = data[1], 2
        if size & 0x80:
            count = size & 0x7F
            need(0 < count <= 4 and len(data) >= 2 + count, "编码有误")
            size, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
            need(size >= 0x80 and size.bit_length() > 8 * (count - 1), "编码有误")
        need(len(data) >= at + size, "编码有误")
        out.append((data[0], data[at : at + size], data[: at + size]))
        data = data[at + size :]
    return out


def inside(value: tuple[int, bytes, bytes], tag: int = 0x30) -> list[tuple[int, bytes, bytes]]:
    """The values in a constructed one with this tag."""
    need(value[0] == tag, "编码有误")
    return parts(value[1])


def number(value: tuple[int, bytes, bytes]) -> int:
    """An INTEGER."""
    short = len(value[1]) == 1 or not (value[1][:1] == b"\0" and value[1][1] < 0x80)
    need(value[0] == 0x02 and value[1] and short, "编码有误")
    return int.from_bytes(value[1], "big", signed=True)


def oid(value: tuple[int, bytes, bytes]) -> str:
    """The content of an OBJECT IDENTIFIER, hex."""
    need(value[0] == 0x06, "编码有误")
    return value[1].hex()


# ---- signatures ------------------------------------------------------------------------------

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
SM2_ID = b"1234567812345678"
Point = Optional[Tuple[int, int]]  # noqa: UP006, UP045 - for old interpreters


def _add(one: Point, two: Point) -> Point:
    if one is None or two is None:
        return one or two
    if one[0] == two[0]:
        if (one[1] + two[1]) % P == 0:
            return None
        slope = (3 * one[0] * one[0] + A) * pow(2 * one[1], -1, P) % P
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P) % P
    x = (slope * slope - one[0] - two[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def _times(k: int, point: Point) -> Point:
    out: Point = None
    while k:
        if k & 1:
            out = _add(out, point)
        point, k = _add(point, point), k >> 1
    return out


def sm2_verify(point: bytes, data: bytes, signature: bytes) -> bool:
    """An SM2 signature with SM3 and the default ID (GB/T 32918.2-2016, 7.1); public values only."""
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    if (y * y - (x * x * x + A * x + B)) % P:
        return False
    values = parts(signature)
    if len(values) != 1:
        return False
    r, s = (number(v) for v in inside(values[0]))
    if not (0 < r < N and 0 < s < N) or (r + s) % N == 0:
        return False
    curve = b"".join(v.to_bytes(32, "big") for v in (A, B, *G))
    z = digest("sm3", (len(SM2_ID) * 8).to_bytes(2, "big") + SM2_ID + curve + point)
    e = int.from_bytes(digest("sm3", z + data), "big")
    found = _add(_times(s, G), _times((r + s) % N, (x, y)))
    return found is not None and (e + found[0]) % N == r


CURVES = {"2a8648ce3d030107": ECDSA, "2a811ccf5501822d": SM2}


def key_of(spki: bytes) -> tuple[str, bytes]:
    """Algorithm and point of a SubjectPublicKeyInfo."""
    kind, held = inside(parts(spki)[0])
    named = inside(kind)
    need(len(named) == 2 and oid(named[0]) == "2a8648ce3d0201", "不支持的公钥")
    algorithm = CURVES.get(oid(named[1]))
    need(algorithm and held[1][:2] == b"\x00\x04" and len(held[1]) == 66, "不支持的公钥")
    return str(algorithm), held[1][2:]


def spki_of(certificate: x509.Certificate) -> bytes:
    """SubjectPublicKeyInfo of a certificate, also of one whose key the library does not know."""
    values = inside(parts(certificate.tbs_certificate_bytes)[0])
    return values[6 if values[0][0] == 0xA0 else 5][2]


def good(algorithm: str, point: bytes, data: bytes, signature: bytes) -> bool:
    """Whether a signature (DER) holds."""
    if algorithm == SM2:
        return sm2_verify(point, data, signature)
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


# ---- certificates, time stamp ----------------------------------------------------------------


def chained(
    leaf: x509.Certificate,
    between: list[x509.Certificate],
    roots: list[x509.Certificate],
    at: dt.datetime,
) -> bool:
    """Whether a certificate, valid then, leads to one of the roots, valid then."""
    current = leaf
    for _ in range(6):
        if not current.not_valid_before_utc <= at <= current.not_valid_after_utc:
            return False
        if current in roots:
            return True
        for issuer in [*roots, *between]:
            try:
                ca = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
                current.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
                continue
            if ca and issuer != current:
                current = issuer
                break
        else:
            return False
    return False


SIGNED_DATA, TST_INFO = "2a864886f70d010702", "2a864886f70d0109100104"
CONTENT_TYPE, MESSAGE_DIGEST = "2a864886f70d010903", "2a864886f70d010904"
SIGNING_CERTIFICATE_2 = "2a864886f70d010910022f"
SHA2: dict[str, Any] = {
    "608648016503040201": hashes.SHA256,
    "608648016503040202": hashes.SHA384,
    "608648016503040203": hashes.SHA512,
}
HOW: dict[str, Any] = {
    "2a8648ce3d040302": hashes.SHA256,
    "2a8648ce3d040303": hashes.SHA384,
    "2a8648ce3d040304": hashes.SHA512,
    "2a864886f70d010101": None,
    "2a864886f70d01010b": hashes.SHA256,
    "2a864886f70d01010c": hashes.SHA384,
    "2a864886f70d01010d": hashes.SHA512,
}


def stamped_at(token: bytes, content: bytes, roots: list) -> dt.datetime:
    """When the content existed, as an RFC 3161 token says that leads to one of the roots."""
    outer = parts(token)
    need(len(outer) == 1, "时间戳格式有误")
    kind, held = inside(outer[0])
    need(oid(kind) == SIGNED_DATA, "不是时间戳")
    form, used, what, *rest = inside(inside(held, 0xA0)[0])
    tst_kind, tst_held = inside(what)
    need(oid(tst_kind) == TST_INFO and number(form) == 3, "不是时间戳")
    tst = inside(tst_held, 0xA0)[0]
    need(tst[0] == 0x04, "时间戳格式有误")
    version, _, imprint, _, time, *_ = inside(parts(tst[1])[0])
    algorithm, value = inside(imprint)
    need(
        number(version) == 1 and SHA2.get(oid(inside(algorithm)[0])) is hashes.SHA256,
        "时间戳不是对 SHA-256 摘要的",
    )
    need(value[1] == hashlib.sha256(content).digest(), "时间戳对应的不是这份签章")
    held_certificates = [
        x509.load_der_x509_certificate(v[2]) for p in rest if p[0] == 0xA0 for v in parts(p[1])
    ]
    signers = inside(rest[-1], 0x31)
    need(len(signers) == 1, "时间戳须恰有一个签名者")
    one, who, how_digest, signed, how, signature, *_ = inside(signers[0])
    issuer, serial = inside(who)
    named = [
        c
        for c in held_certificates
        if c.serial_number == number(serial) and c.issuer.public_bytes() == issuer[2]
    ]
    need(number(one) == 1 and named and signed[0] == 0xA0, "时间戳没有签名者证书")
    need(signature[0] == 0x04, "时间戳格式有误")
    certificate = named[0]
    attributes = {oid(inside(v)[0]): inside(inside(v)[1], 0x31)[0] for v in parts(signed[1])}
    digest_oid = oid(inside(how_digest)[0])
    need(digest_oid in [oid(inside(v)[0]) for v in inside(used, 0x31)], "时间戳格式有误")
    need(digest_oid in SHA2 and oid(inside(how)[0]) in HOW, "时间戳算法不受支持")
    value_of = hashes.Hash(SHA2[digest_oid]())
    value_of.update(tst[1])
    need(
        oid(attributes[CONTENT_TYPE]) == TST_INFO
        and attributes[MESSAGE_DIGEST][1] == value_of.finalize(),
        "时间戳内容与签名不符",
    )
    if SIGNING_CERTIFICATE_2 in attributes:
        first = inside(inside(inside(attributes[SIGNING_CERTIFICATE_2])[0])[0])
        spelt = first[0][0] == 0x30
        which = SHA2[oid(inside(first[0])[0])] if spelt else hashes.SHA256
        need(first[1 if spelt else 0][1] == certificate.fingerprint(which()), "时间戳证书不符")
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    need(
        usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING],
        "该证书不能用于时间戳",
    )
    key, over = certificate.public_key(), b"\x31" + signed[2][1:]
    hashed = (HOW[oid(inside(how)[0])] or SHA2[digest_oid])()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature[1], over, padding.PKCS1v15(), hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature[1], over, ec.ECDSA(hashed))
        else:
            raise Bad("时间戳的签名算法不受支持")
    except (InvalidSignature, TypeError) as wrong:
        raise Bad("时间戳的签名无效") from wrong
    text = time[1].decode()
    need(time[0] == 0x18 and re.fullmatch(r"\d{14}(\.\d{1,6})?Z", text), "时间戳时间有误")
    at = dt.datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=dt.timezone.utc)  # noqa: UP017
    need(chained(certificate, held_certificates, roots, at), "时间戳证书不可信")
    return at


# ---- the receipt -----------------------------------------------------------------------------


def trusted(pem: str) -> tuple[bytes, x509.Certificate | None]:
    """What the reader trusts: a key (its SubjectPublicKeyInfo) and, if given so, its certificate."""
    found = re.search(
        r"-----BEGIN (PUBLIC KEY|CERTIFICATE)-----([A-Za-z0-9+/=\s]+)-----END \1-----", pem
    )
    if found is None:
        raise Bad("信任的密钥须为 PEM 格式的公钥或证书")
    data = base64.b64decode(found[2])
    if found[1] == "PUBLIC KEY":
        return data, None
    certificate = x509.load_der_x509_certificate(data)
    return spki_of(certificate), certificate


def check(
    receipt: dict, pem: str, request: bytes | None = None, response: bytes | None = None
) -> dict:
    """What a receipt proves to whoever trusts the key (PEM); raises Bad."""
    try:
        return _checked(receipt, pem, request, response)
    except Bad:
        raise
    except Exception as wrong:
        # Whatever is malformed in a file from outside: the receipt does not hold.
        raise Bad(f"格式有误（{type(wrong).__name__}）") from wrong


def _checked(receipt: dict, pem: str, request: bytes | None, response: bytes | None) -> dict:
    need(receipt["format"] == "lianyun-receipt/1", "不认识的回执格式")
    record = dict(zip(receipt["columns"], json.loads(receipt["record"]), strict=True))
    need(record["uid"] == receipt["call"], "回执编号与记录不符")
    link = json.loads(receipt["link"])
    name = link["digest"]
    need(
        root_of(name, receipt["record"].encode(), receipt["record_path"]).hex() == link["root"],
        "记录不在这一批中（记录或路径被改动过）",
    )
    need(link["count"] == receipt["record_path"]["size"], "批的条数不符")
    statement_text, *lines = receipt["seal"].split("\n")
    statement = json.loads(statement_text)
    leaf = digest(name, receipt["link"].encode())
    need(
        root_of(statement["digest"], leaf, receipt["link_path"]).hex() == statement["root"],
        "这一批不在签章中（批或路径被改动过）",
    )
    first, last = statement["links"]
    need(
        link["link"] - first == receipt["link_path"]["index"]
        and last - first + 1 == receipt["link_path"]["size"],
        "批的序号不符",
    )
    # The signature: by the trusted key, or by keys that the trusted root vouches for.
    spki, root = trusted(pem)
    made = [line.split(" ") for line in lines if line]
    need(lines and lines[-1] == "" and made, "签章中没有签名")
    rebuilt = "\n".join([statement_text, *(" ".join(m) for m in made), ""])
    need(rebuilt == receipt["seal"], "签章格式有误")
    at = dt.datetime.fromisoformat(statement["at"].replace("Z", "+00:00"))
    signed_by = []
    for algorithm, kid, text in made:
        signature = base64.b64decode(text, validate=True)
        need(base64.b64encode(signature).decode() == text, "签名格式有误")
        if kid == hashlib.sha256(spki).hexdigest():
            own = spki
        elif root is not None and kid in receipt["certificates"]:
            certificate = x509.load_pem_x509_certificate(receipt["certificates"][kid].encode())
            own = spki_of(certificate)
            need(hashlib.sha256(own).hexdigest() == kid, "签名密钥与证书不符")
            if not chained(certificate, [], [root], at):
                continue
        else:
            continue
        found, point = key_of(own)
        need(found == algorithm, "签名算法与密钥不符")
        need(good(found, point, statement_text.encode(), signature), f"签名无效（{algorithm}）")
        signed_by.append(algorithm)
    need(signed_by, "没有一个签名出自您信任的密钥")
    # The time stamp leads to a root that the signed statement names.
    roots = [
        c
        for c in (x509.load_pem_x509_certificate(p.encode()) for p in receipt["roots"])
        if c.fingerprint(hashes.SHA256()).hex() in statement["stamp_roots"]
    ]
    token = base64.b64decode(receipt["token"], validate=True)
    need(base64.b64encode(token).decode() == receipt["token"], "时间戳格式有误")
    stamped = stamped_at(token, receipt["seal"].encode(), roots)
    salt = bytes.fromhex(receipt["salt"])
    proven = {"record": True}
    for what, data in (("request", request), ("response", response)):
        if data is not None:
            value = hashlib.sha256(salt + hashlib.sha256(data).digest()).hexdigest()
            need(record[f"{what}_digest"] == value, f"{what} 与记录的摘要不符")
            proven[what] = True
    return {
        "call": record["uid"],
        "record": record,
        "link": link["link"],
        "seal": statement["seal"],
        "signed_by": signed_by,
        "stamped_at": stamped.isoformat(),
        "proven": list(proven),
    }


def main(arguments: list[str] | None = None) -> int:
    """Check one file; 0 holds, 1 does not, 2 cannot be read."""
    parser = argparse.ArgumentParser(description="检验数据交换回执")
    parser.add_argument("receipt")
    parser.add_argument("--key", required=True, help="您信任的公钥、签名证书或根证书（PEM）")
    parser.add_argument("--request", help="当时的请求：方法 空格 路径?参数，如有正文另起一行")
    parser.add_argument("--response", help="当时收到的应答正文")
    parser.add_argument("--json", action="store_true", help="输出 JSON")
    given = parser.parse_args(arguments)
    try:
        receipt = json.loads(Path(given.receipt).read_text("utf-8"))
        pem = Path(given.key).read_text("utf-8")
        request = Path(given.request).read_bytes() if given.request else None
        response = Path(given.response).read_bytes() if given.response else None
    except (OSError, ValueError) as wrong:
        sys.stderr.write(f"无法读取：{wrong}\n")
        return 2
    try:
        found = check(receipt, pem, request, response)
    except Bad as wrong:
        sys.stdout.write(f"回执不成立：{wrong}\n")
        return 1
    if given.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    record = found["record"]
    sys.stdout.write(
        f"回执成立：调用 {found['call']}\n"
        f"  时间 {record['at']}，调用者 {record['by_name']}（{record['by']}）\n"
        f"  数据 {record['resource']}，操作 {record['operation']}，授权 {record['grant_code']}\n"
        f"  结果 {record['outcome']}，{record['rows']} 行；用途 {record['purpose']}\n"
        f"  签章第 {found['seal']} 号，签名 {'、'.join(found['signed_by'])}，"
        f"时间戳 {found['stamped_at']}\n"
        f"  已证明：{'、'.join(found['proven'])}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
