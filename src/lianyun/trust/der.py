"""DER: the few ASN.1 values that keys, certificates and time stamps are made of (X.690), written and read strictly."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass

INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x02, 0x03, 0x04, 0x05, 0x06
UTF8, GENERALIZED_TIME = 0x0C, 0x18
SEQUENCE, SET = 0x30, 0x31


class BadDer(ValueError):
    """Bytes that are not the DER of what was expected."""


def tlv(tag: int, content: bytes) -> bytes:
    """One value: tag, length, content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of values."""
    return tlv(SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """A SET OF values, in DER's order."""
    return tlv(SET, b"".join(sorted(parts)))


def integer(value: int) -> bytes:
    """An INTEGER, not negative."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(data: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTET_STRING, data)


def bits(data: bytes) -> bytes:
    """A BIT STRING of whole bytes."""
    return tlv(BIT_STRING, b"\x00" + data)


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(0x80 | arc & 0x7F)
        out += bytes(reversed(chunk))
    return tlv(OID, bytes(out))


def generalized_time(at: dt.datetime) -> bytes:
    """A GeneralizedTime in UTC; fractions as DER wants them (no trailing zeros)."""
    utc = at.astimezone(dt.UTC)
    text = utc.strftime("%Y%m%d%H%M%S")
    if utc.microsecond:
        text += f".{utc.microsecond:06d}".rstrip("0")
    return tlv(GENERALIZED_TIME, f"{text}Z".encode())


def pem(label: str, data: bytes) -> str:
    """Bytes as PEM (RFC 7468)."""
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


@dataclass(frozen=True)
class Value:
    """One value read: its tag, its content, and all its bytes."""

    tag: int
    content: bytes
    whole: bytes

    def parts(self) -> list[Value]:
        """The values inside a constructed one; raises BadDer."""
        if not self.tag & 0x20:
            raise BadDer("not constructed")
        out, rest = [], self.content
        while rest:
            value, rest = first(rest)
            out.append(value)
        return out

    def expect(self, tag: int) -> Value:
        """This value, if it has the tag; raises BadDer."""
        if self.tag != tag:
            raise BadDer(f"tag {self.tag:#x} where {tag:#x} belongs")
        return self

    def as_int(self) -> int:
        """The number of an INTEGER in its shortest form."""
        content = self.expect(INTEGER).content
        if not content or (len(content) > 1 and content[0] == 0 and content[1] < 0x80):
            raise BadDer("integer not in its shortest form")
        return int.from_bytes(content, "big", signed=True)

    def as_oid(self) -> str:
        """The dotted form of an OBJECT IDENTIFIER."""
        arcs, arc = [], 0
        for byte in self.expect(OID).content:
            arc = arc << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(arc)
                arc = 0
        if not arcs:
            raise BadDer("empty object identifier")
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - first * 40, *arcs[1:])))

    def as_bits(self) -> bytes:
        """The bytes of a BIT STRING without unused bits."""
        content = self.expect(BIT_STRING).content
        if not content or content[0] != 0:
            raise BadDer("bits unused")
        return content[1:]

    def as_time(self) -> dt.datetime:
        """The moment of a GeneralizedTime (RFC 3161: UTC, fractions allowed)."""
        text = self.expect(GENERALIZED_TIME).content.decode("ascii", "replace")
        whole, _, fraction = text.removesuffix("Z").partition(".")
        if not text.endswith("Z") or len(whole) != 14 or not (whole + fraction).isdecimal():
            raise BadDer("not a time in UTC")
        try:
            at = dt.datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
        except ValueError as wrong:
            raise BadDer("no such time") from wrong
        return at + dt.timedelta(microseconds=int((fraction + "000000")[:6]))


def first(data: bytes) -> tuple[Value, bytes]:
    """The value at the beginning, and the bytes that follow it; raises BadDer."""
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise BadDer("cut short")
    size, at = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        if not 0 < count <= 4 or len(data) < 2 + count:
            raise BadDer("length not definite")
        size, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
        if size < 0x80 or size.bit_length() <= 8 * (count - 1):
            raise BadDer("length not in its shortest form")
    if len(data) < at + size:
        raise BadDer("cut short")
    return Value(data[0], data[at : at + size], data[: at + size]), data[at + size :]


def algorithm(value: Value) -> str:
    """The name of an AlgorithmIdentifier without parameters (none, or NULL); raises BadDer."""
    name, *parameters = value.expect(SEQUENCE).parts()
    if [p.whole for p in parameters] not in ([], [tlv(NULL, b"")]):
        raise BadDer("parameters where none belong")
    return name.as_oid()


def read(data: bytes) -> Value:
    """The one value that these bytes are; raises BadDer, also where something follows it."""
    value, rest = first(data)
    if rest:
        raise BadDer("something follows")
    return value


__all__ = [
    "BIT_STRING",
    "GENERALIZED_TIME",
    "INTEGER",
    "NULL",
    "OCTET_STRING",
    "OID",
    "SEQUENCE",
    "SET",
    "UTF8",
    "BadDer",
    "Value",
    "algorithm",
    "bits",
    "first",
    "generalized_time",
    "integer",
    "octets",
    "oid",
    "pem",
    "read",
    "sequence",
    "set_of",
    "tlv",
]
