"""Rules of cascade: what is signed, what counts as a repetition, how long to wait, what lies in an area."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PROTOCOL = "lianyun-cascade-1"
BASE = "/api/cascade/v1/"
UPPER, LOWER = "upper", "lower"
SIDES = {UPPER: "上级", LOWER: "下级"}
LEVELS = {"province": "省级", "city": "市级", "county": "县级"}

MESSAGES_A_ROUND = 200
BYTES_A_ROUND = 2 * 2**20
MOST_PARKED = 5_000
"""With so many messages that could not be applied, further ones are not taken (back-pressure)."""
CHUNK_BYTES = 4 * 2**20
CHUNK_ROWS = 50_000
MOST_CHUNK_BYTES = 9 * 2**20
LEAST_LEASE, MOST_LEASE, USUAL_LEASE = 5, 86_400, 300
INVITATION_HOURS = 48
INVITATION_TRIES = 5
REPLAY_WINDOW_MS = 600_000
"""How far back, on the sender's own clock, a stamp may lie behind the newest one seen."""
FIRST_WAIT, LONGEST_WAIT = 5, 600
REJECTS_TOLD = 200
ROW_KEY = "row_key"
"""The item that tells returned rows apart where their own key is masked or not granted."""

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

ERRORS = {
    "unknown_node": "对方不认识本节点，请先完成接入",
    "wrong_node": "消息发错了节点，请核对对方地址",
    "bad_signature": "签名无效，消息可能被篡改或密钥不一致，请与对方核对指纹",
    "unknown_key": "对方不认识本节点的密钥，请与对方核对指纹",
    "replayed": "重复发送的请求被拒绝",
    "disabled": "对方已停用与本节点的连接",
    "busy": "对方积压的消息过多，暂缓接收",
    "unconfirmed": "对方尚未核对指纹并启用连接",
    "invitation": "接入码不正确、已使用或已过期，请上级重新生成",
    "malformed": "请求内容不符合协议",
    "unknown_transfer": "对方没有这个传输任务",
    "bad_chunk": "数据块校验失败，将重新传送",
    "refused": "对方不接收",
    "position": "对方的数据位置与本节点的记录不一致，改为全量传送",
}


def canonical(value: Any) -> bytes:
    """One way to write a JSON value as bytes, so that both nodes sign and compare the same."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def digest(data: bytes) -> str:
    """SHA-256 as hex."""
    return hashlib.sha256(data).hexdigest()


def request_text(
    method: str, path: str, node: str, peer: str, stamp: int, nonce: str, body: bytes
) -> bytes:
    """What a node signs of a request: who asks whom for what, once."""
    parts = (PROTOCOL, method, path, node, peer, str(stamp), nonce, digest(body))
    return "\n".join(parts).encode()


def answer_text(node: str, peer: str, nonce: str, code: int, body: bytes) -> bytes:
    """What a node signs of an answer: bound to the nonce of the request it answers."""
    return "\n".join((PROTOCOL, "answer", node, peer, nonce, str(code), digest(body))).encode()


def message_text(node: str, peer: str, seq: int, kind: str, topic: str, body: Any) -> bytes:
    """What a node signs of one message; the signature stays with it at the receiver as proof."""
    parts = (PROTOCOL, "message", node, peer, str(seq), kind, topic)
    return "\n".join(parts).encode() + b"\n" + canonical(body)


def new_nonce() -> str:
    """A number used once: 128 random bits, hex."""
    return secrets.token_hex(16)


# ---- enrolment ---------------------------------------------------------------------------


def new_invitation() -> str:
    """A one-time code that can be read out: five groups of four, 100 random bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(5))


def plain_invitation(text: str) -> str:
    """A one-time code as it was typed, without spaces and dashes."""
    return "".join(c for c in text.upper() if c in _ALPHABET)


def proof(invitation: str, body: bytes) -> str:
    """Shows knowledge of the one-time code without sending it (HMAC-SHA-256 over the body)."""
    key = plain_invitation(invitation).encode()
    return hmac.new(key, PROTOCOL.encode() + b"\n" + body, hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def grouped(fingerprint: str) -> str:
    """A fingerprint as people compare it: groups of four."""
    return " ".join(fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4))


def code_problem(code: str, level: str = "") -> str:
    """What is wrong with a node's division code, in Chinese; empty for a good one."""
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return "节点代码是六位行政区划代码，例如 320707"
    if code[:2] == "00" or code[0] == "0":
        return "行政区划代码不以 0 开头"
    if level and level not in LEVELS:
        return "请选择节点级别"
    return ""


def below(lower: str, upper: str) -> bool:
    """Whether one division lies in another (by the code of GB/T 2260)."""
    return lower != upper and lower.startswith(area_prefix(upper))


def address_problem(address: str) -> str:
    """What is wrong with a node's address, in Chinese; empty for a good one."""
    if not address.startswith(("http://", "https://")):
        return "节点地址以 http:// 或 https:// 开头"
    if len(address) > 300:
        return "节点地址过长"
    rest = address.split("://", 1)[1]
    host = rest.split("/", 1)[0]
    if not host or "@" in host or "?" in rest or "#" in rest or any(c.isspace() for c in rest):
        return "节点地址只写主机、端口和路径，不含账号、参数和空格"
    try:
        parts = urlsplit(address)
        if not parts.hostname or parts.port == 0:
            return "节点地址中必须写明主机名"
    except ValueError:
        return "节点地址不完整，请写成 协议://主机:端口"
    return ""


# ---- order, repetition, waiting ----------------------------------------------------------


def wait_seconds(failures: int) -> int:
    """Seconds until the next try after so many failures: doubling from 5 up to 600."""
    return int(min(FIRST_WAIT * 2 ** max(failures - 1, 0), LONGEST_WAIT))


def next_stamp(now_ms: int, last: int) -> int:
    """The stamp of the next request: the clock, but never behind what was sent before."""
    return max(now_ms, last + 1)


def stale(stamp: int, newest: int) -> bool:
    """Whether a stamp lies too far behind the newest of the same sender to be anything but a replay.

    Only the sender's clock is looked at, so nodes whose clocks differ by days still talk.
    """
    return stamp < newest - REPLAY_WINDOW_MS


@dataclass(frozen=True)
class Judged:
    """What to do with a message that came: take it, know it already, or ask for what is missing."""

    take: bool = False
    repeated: bool = False
    gap: bool = False


def judge(seq: int, received: int) -> Judged:
    """A message's place after the newest one taken: exactly the next is taken."""
    if seq <= received:
        return Judged(repeated=True)
    if seq == received + 1:
        return Judged(take=True)
    return Judged(gap=True)


_TRANSFER = re.compile(r"([1-9]\d{5})-\d{14}-[0-9a-f]{8}")


def good_transfer(code: str, sender: str) -> bool:
    """Whether a transfer's number is one of this sender's; it names a folder, so it is looked at."""
    found = _TRANSFER.fullmatch(code)
    return found is not None and found[1] == sender


# ---- areas -------------------------------------------------------------------------------


def area_prefix(division: str) -> str:
    """The digits that every code within a division begins with: 320700 → 3207, 320707 → 320707."""
    while len(division) > 2 and division.endswith("00"):
        division = division[:-2]
    return division


_AREA_ELEMENTS = ("region_code", "town_code", "village_code")


def area_column(items: Iterable[Mapping[str, Any]]) -> str:
    """The item by which a dataset's rows belong to an area; empty where it has none."""
    listed = list(items)
    for wanted in _AREA_ELEMENTS:
        for item in listed:
            if wanted in (item.get("element"), item.get("name")):
                return str(item["name"])
    for item in listed:
        if item.get("check") == "region":
            return str(item["name"])
    return ""


def area_rule(column: str, division: str, name: str) -> dict[str, str]:
    """The rule that refuses uploaded rows of another area."""
    prefix = area_prefix(division)
    return {
        "code": "cascade_area",
        "title": f"不属于{name}（{prefix}）的记录",
        "sql": f"{column} IS NULL OR starts_with({column}, '{prefix}')",
        "severity": "reject",
    }


def scope_problem(scope: Mapping[str, Iterable[str]], column: str, division: str) -> str:
    """Why a request's row scope cannot be met across nodes, in Chinese; empty where it can."""
    prefix = area_prefix(division)
    outside = [v for v in scope.get(column, ()) if not str(v).startswith(prefix)] if column else []
    if outside:
        return f"申请范围（{'、'.join(outside)}）超出本节点辖区 {prefix}，只能申请本地区的数据"
    return ""


# ---- entries -----------------------------------------------------------------------------

SAME_CODE, SAME_ENTRY, BOTH_EDITED = "code", "entry", "edited"
CONFLICTS = {
    SAME_CODE: "资源代码与本级目录相同",
    SAME_ENTRY: "本级已有同名目录",
    BOTH_EDITED: "本级与下级都作了修改",
}
KEEP, BOTH, THEIRS = "keep", "both", "theirs"
DECISIONS = {
    KEEP: "以本级为准，不收录下级目录",
    BOTH: "两条并存，下级目录另编代码",
    THEIRS: "以下级为准，覆盖本级对该条目的修改",
}


def decisions_for(conflict: str) -> list[str]:
    """What an officer may decide on a conflict."""
    return [KEEP, THEIRS] if conflict == BOTH_EDITED else [KEEP, BOTH]


def adopted_name(division: str, name: str) -> str:
    """The identifier of another node's dataset here; at most 58 characters, so it may name a table."""
    return f"n{division}_{name}"[:58].rstrip("_")


def adopted_code(division: str, code: str) -> str:
    """A resource code that cannot meet one of ours: the 顺序码 begins with the node's code."""
    category, _, serial = code.partition("/")
    return f"{category}/{division}{serial}"[:80]


def returned_name(division: str, name: str, grant: str) -> str:
    """The identifier of the dataset into which one grant's rows come back; one for each grant."""
    mark = hashlib.sha256(grant.encode()).hexdigest()[:6]
    return f"r{division}_{name}"[:51].rstrip("_") + f"_{mark}"


def share_of(terms: Mapping[str, Any]) -> int:
    """The share type of an entry's content: 1, 2 or 3."""
    return int((terms.get("share") or {}).get("type") or 2)


def crosses(content: Mapping[str, Any], side: str) -> bool:
    """Whether an entry is told to a peer: everything upward, what may be shared downward."""
    return side == UPPER or (share_of(content) != 3 and int(content.get("level") or 1) < 4)
