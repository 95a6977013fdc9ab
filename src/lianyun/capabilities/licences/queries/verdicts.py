"""Verdicts: what a code, a file or a credential proves today, in plain Chinese.

Whoever verifies sees no more than what proves the licence: type, issuer, dates, state, the masked
name. An unknown code gets the same answer as one that never was.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Grant, Party
from lianyun.kernel.rows import together

from ..adapters import seal, shelf
from ..models import Document, Licence
from ..rules import credential, types
from . import kinds, licences, status

CODE = re.compile(r"[0-9a-f]{32}")
_IN_FILE = re.compile(rb"/verify/([0-9a-f]{32})/")
_WITH = ("grant__grantee", "grant__grantor")
TITLES = {
    "valid": "证照真实、有效",
    "expired": "证照已过有效期",
    "early": "证照尚未生效",
    "suspended": "证照已被暂扣",
    "replaced": "证照已换发新版本，这一版不再有效",
    "revoked": "证照已被吊销",
    "withdrawn": "证照已被撤销",
    "annulled": "证照已注销",
    "changed": "文件被改动过，不可采信",
    "foreign": "签名者不是本市发证机关，不可采信",
    "unsealed": "文件没有电子印章，只能核对登记状态",
    "copy_over": "加注件已超过用途期限",
    "copy_withdrawn": "加注件已被持证人收回",
    "unknown": "没有查到这本证照",
    "form": "无法识别：不是本平台的证照文件或凭证",
}
_GOOD, _WARN = {"valid"}, {"unsealed", "early", "suspended", "form", "unknown"}


@dataclass
class Verdict:
    """The answer: a code of TITLES, what was checked (good or not, text), and what may be told."""

    code: str
    points: list[tuple[bool, str]] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The answer in one sentence."""
        return TITLES[self.code]

    @property
    def good(self) -> bool:
        """Whether the licence may be relied on."""
        return self.code in _GOOD

    @property
    def tone(self) -> str:
        """green, amber or red."""
        return "green" if self.good else "amber" if self.code in _WARN else "red"

    def as_dict(self) -> dict[str, Any]:
        """For the interface."""
        return {
            "result": self.code,
            "valid": self.good,
            "title": self.title,
            "points": [{"ok": ok, "text": text} for ok, text in self.points],
            "facts": dict(self.facts),
        }


def _facts(licence: Licence) -> list[tuple[str, str]]:
    kind = kinds.kind(licence.kind)
    name = licence.grant.grantee.name
    number = kind.item(kind.number)
    return [
        ("证照类型", kind.title),
        (
            "证照编号",
            str(mask_value(number.mask if number.personal else "account", licence.number)),
        ),
        ("持证主体", str(mask_value("name", name)) if kind.for_people else name),
        ("颁发机关", str(licence.grant.grantor or "")),
        ("发证日期", types.sentence(licence.issued_on)),
        ("有效期至", types.sentence(licence.ends_on)),
        ("可信等级", types.GRADES[licence.trust]),
    ]


def _standing(licence: Licence) -> tuple[str, tuple[bool, str]]:
    code, words, _ = licences.standing(licence)
    return code, (code == "valid", f"登记状态：{words}")


def _of_code(code: str) -> tuple[Licence | None, Document | None]:
    """The licence of a code, and the copy if the code is a copy's."""
    rows = together(
        ((Licence, "l"), (Grant, "g"), (Party, "e"), (Party, "o")),
        "FROM licences_licence l JOIN kernel_grant g ON g.id = l.grant_id"
        " JOIN kernel_party e ON e.id = g.grantee_id LEFT JOIN kernel_party o ON o.id = g.grantor_id"
        " WHERE l.check_code = %s",
        [code],
    )
    if rows:
        found: Licence = rows[0][0]
        found.grant = rows[0][1]
        found.grant.grantee, found.grant.grantor = rows[0][2:]
        return found, None
    copy = (
        Document.objects.filter(check_code=code, copy=True)
        .select_related(*(f"licence__{name}" for name in _WITH))
        .first()
    )
    return (copy.licence, copy) if copy else (None, None)


def _copy_standing(copy: Document) -> tuple[str, tuple[bool, str]]:
    if copy.withdrawn_at is not None:
        return "copy_withdrawn", (False, "持证人已收回这份加注件")
    over = copy.ends_on is not None and copy.ends_on < timezone.localdate()
    words = (
        f"仅限用于“{copy.purpose}”，提供给“{copy.recipient}”，有效至{types.sentence(copy.ends_on)}"
    )
    return ("copy_over" if over else "valid"), (not over, words)


def by_code(viewer: Actor, code: str) -> Verdict:
    """What the code of a QR proves: the state of the licence, not that a paper beside it is whole."""
    licence, copy = _of_code(code) if CODE.fullmatch(code) else (None, None)
    if licence is None:
        return Verdict("unknown", [(False, "核验码不在本平台的登记中")])
    result, point = _standing(licence)
    points = [(True, "核验码由本平台签发"), point]
    if copy is not None:
        of_copy, more = _copy_standing(copy)
        points.append(more)
        result = result if result != "valid" else of_copy
    return Verdict(result, points, _facts(licence))


def by_file(viewer: Actor, data: bytes) -> Verdict:
    """What a file proves: whose seal it bears, whether a byte was changed, how the licence stands."""
    proof = seal.check(data)
    if proof is None:
        return Verdict("form", [(False, "不是可以读取的 PDF 文件，也不是本平台制作的 OFD 文件")])
    codes = [m.decode() for m in dict.fromkeys(_IN_FILE.findall(data))]
    licence, copy = _of_code(codes[0]) if len(codes) == 1 else (None, None)
    points: list[tuple[bool, str]] = []
    result = ""
    faults = {p.code for p in proof.problems}
    if faults == {"unsigned"}:
        result = "unsealed"
        points.append((False, "文件没有电子印章"))
    elif not proof.intact:
        result = "changed"
        points += [(False, str(p)) for p in proof.problems]
    elif not proof.good:
        result = "foreign"
        points += [(False, str(p)) for p in proof.problems]
    else:
        points.append((True, f"电子印章有效：{proof.organ or proof.signer}"))
        points.append((True, "盖章后文件没有被改动"))
    if licence is None:
        points.append((False, "文件不对应本平台登记的证照"))
        return Verdict(result if result in ("changed", "foreign") else "unknown", points)
    issuer = licence.grant.grantor
    if not result and issuer is not None and proof.organ != issuer.name:
        result = "foreign"
        points.append((False, f"印章属于“{proof.organ}”，不是颁发机关“{issuer.name}”"))
    if (
        result == "unsealed"
        and not Document.objects.filter(
            Q(digest=_digest(data)) | Q(ofd=_digest(data)), check_code=codes[0]
        ).exists()
    ):
        result = "changed"
        points.append((False, "与登记的文件摘要不一致"))
    state, point = _standing(licence)
    points.append(point)
    if copy is not None:
        of_copy, more = _copy_standing(copy)
        points.append(more)
        state = state if state != "valid" else of_copy
    return Verdict(
        state if not result or (result == "unsealed" and state != "valid") else result,
        points,
        # A file that does not hold tells nothing of the licence that it names.
        _facts(licence) if result in ("", "unsealed") else [],
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def by_credential(viewer: Actor, text: str) -> Verdict:
    """What an SD-JWT VC proves, its status included; only what the holder disclosed is told."""
    try:
        told = credential.check(text, status.public_keys(viewer).get, timezone.now().timestamp())
    except credential.BadCredential as wrong:
        known = {"changed": "changed", "foreign": "foreign", "expired": "expired", "early": "early"}
        return Verdict(known.get(wrong.code, "form"), [(False, str(wrong))])
    points = [(True, "凭证由本市电子证照平台签名"), (True, "披露的内容与签发时一致")]
    place = told.status
    number = status.number_of(*place) if place else None
    licence = (
        Licence.objects.filter(pk=number).select_related(*_WITH).first()
        if number is not None and told.issuer == shelf.site()
        else None
    )
    if licence is None:
        return Verdict("foreign", [*points, (False, "凭证指向的证照不在本平台")])
    state, point = _standing(licence)
    kind = kinds.kind(licence.kind)
    shown = kinds.spoken(kind, {n: str(v) for n, v in told.claims.items() if n in kind.names})
    facts = [("证照类型", kind.title), ("颁发机关", str(licence.grant.grantor or ""))]
    for name, value in told.claims.items():
        if name in types.PROOFS:
            facts.append((types.PROOFS[name], "是" if value is True else "否"))
        elif name in shown:
            facts.append((kind.item(name).title, shown[name]))
    return Verdict(state, [*points, point], facts)


__all__ = ["CODE", "TITLES", "Verdict", "by_code", "by_credential", "by_file"]
