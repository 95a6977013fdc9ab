"""Proof: a walk over events, calls and seals, and how long exchanges have waited for a seal."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import operator
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from lianyun.kernel import event
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Event
from lianyun.trust import certificates, signatures, timestamps

from .. import adapters, rules
from ..models import CallLink, CallRecord, CallSeal, SealerTry, SigningKey

GAP = """
SELECT extract(epoch FROM clock_timestamp() - l.at)::float8 FROM audit_calllink l
WHERE l.number > COALESCE((SELECT last_link FROM audit_callseal ORDER BY number DESC LIMIT 1), 0)
ORDER BY l.number LIMIT 1
"""
"""Seconds since the oldest link that has no seal yet was made; no row where all are sealed."""
SILENT = dt.timedelta(seconds=90)


class Unproven(UserError):
    """Exchanges are closed: they could not be signed or time-stamped for too long."""


@dataclass(frozen=True)
class Standing:
    """Whether exchanges may go on: how long the oldest unsealed one has waited, and why."""

    seconds: float
    failing: str

    @property
    def open(self) -> bool:
        """False once the grace of settings.PROOF_GRACE_MINUTES is over."""
        return self.seconds < settings.PROOF_GRACE_MINUTES * 60

    @property
    def reason(self) -> str:
        """Why exchanges are closed or soon will be, for officers; empty while all is well."""
        if not self.failing:
            return ""
        waited = int(self.seconds // 60)
        tail = f"最早一批已等待 {waited} 分钟" if waited else "刚刚开始"
        state = "" if self.open else "，数据交换已暂停"
        return f"调用记录未能签名或加盖时间戳：{self.failing}（{tail}{state}）"


def standing(viewer: Actor) -> Standing:
    """How sealing stands now; for every viewer, since it says nothing of any exchange."""
    with connection.cursor() as cursor:
        cursor.execute(GAP)
        found = cursor.fetchone()
    seconds = float(found[0]) if found else 0.0
    tried = SealerTry.objects.filter(pk=1).first()
    failing = tried.reason if tried is not None else ""
    if not failing and seconds > max(SILENT.total_seconds(), settings.PROOF_SEAL_SECONDS * 4):
        failing = "签章进程没有运行"
        if tried is not None and timezone.now() - tried.at > SILENT:
            failing += f"（最近一次在 {timezone.localtime(tried.at):%m-%d %H:%M}）"
    return Standing(seconds, failing or ("签章积压" if seconds > 60 else ""))


@dataclass(frozen=True)
class Proof:
    """What a walk over all found: counts, and the first broken place of each chain, if any."""

    events: int
    events_broken: str
    links: int
    calls: int
    calls_broken: str
    seals: int
    seals_broken: str
    unsealed: int

    @property
    def ok(self) -> bool:
        """True when every link of all chains holds and every seal is genuine."""
        return not self.events_broken and not self.calls_broken and not self.seals_broken


def seals(viewer: Actor) -> QuerySet[CallSeal]:
    """Seals, newest first."""
    viewer.require("audit.verify")
    return CallSeal.objects.order_by("-number")


def signing_keys(viewer: Actor) -> list[SigningKey]:
    """The installation's keys with their certificates, newest first; certificates are public."""
    return list(SigningKey.objects.defer("secret"))


def _calls_proof() -> tuple[int, int, str]:
    value, number, total = rules.GENESIS, 0, 0
    stored = (
        CallRecord.objects.order_by("link", "id")
        .values_list("link", *rules.COLUMNS)
        .iterator(chunk_size=5000)
    )
    groups = itertools.groupby(stored, key=operator.itemgetter(0))
    found = next(groups, None)
    for link in CallLink.objects.order_by("number").iterator(chunk_size=2000):
        number += 1
        if link.number != number:
            return number - 1, total, f"调用记录链中缺少第 {number} 批"
        rows: list[rules.Row] = []
        if found is not None and found[0] == number:
            rows = [row[1:] for row in found[1]]
            found = next(groups, None)
        if len(rows) != link.count:
            return (
                number - 1,
                total,
                f"调用记录链第 {number} 批应有 {link.count} 条，实有 {len(rows)} 条",
            )
        if link.digest not in ("", "sha256", "sm3"):
            return number - 1, total, f"调用记录链第 {number} 批的散列算法被改动过"
        if link.digest:
            root = rules.root(link.digest, rows)
            text = rules.link_text(link.digest, number, link.at, link.count, value, root)
            value = rules.link_value(link.digest, text)
        else:
            root, value = "", rules.link_hash(value, number, rows)
        if value != link.hash or root != link.root:
            return number - 1, total, f"调用记录链第 {number} 批的内容被改动过"
        total += len(rows)
    if found is not None:
        return number, total, f"有调用记录标为第 {found[0]} 批，却不在链中"
    return number, total, _anchors_proof(number)


def _anchors_proof(last: int) -> str:
    for found in Event.objects.filter(kind="calls.anchored").order_by("id").iterator():
        at = found.data.get("number", 0)
        if not at:
            continue
        if at > last:
            return f"调用记录链在第 {last} 批之后被截断（台账记载至少有 {at} 批）"
        if CallLink.objects.get(number=at).hash != found.data.get("hash"):
            return f"调用记录链第 {at} 批与台账记载的链值不符"
        number = found.data.get("seal")
        if number:
            seal = CallSeal.objects.filter(number=number).first()
            if seal is None:
                return f"签章第 {number} 号被删除（台账有记载）"
            if rules.seal_value("sha256", seal.note, bytes(seal.token)) != found.data["seal_hash"]:
                return f"签章第 {number} 号与台账记载的散列不符"
    return ""


def _trusted_keys() -> dict[str, tuple[str, signatures.PublicKey, x509.Certificate]]:
    """The signing keys by their name: algorithm, key, certificate; only those their root vouches for."""
    rows = list(SigningKey.objects.defer("secret"))
    roots = [
        c for k in rows if k.use == SigningKey.ROOT for c in certificates.load_all(k.certificate)
    ]
    out = {}
    for row in rows:
        if row.use != SigningKey.SEAL:
            continue
        try:
            certificate = certificates.load_all(row.certificate)[0]
            certificates.check_chain(certificate, [], roots, row.made_at)
            key = signatures.public_key(row.certificate)
        except (certificates.BadChain, signatures.BadKey):
            continue
        if key.kid == row.kid and key.algorithm == row.algorithm:
            out[row.kid] = (row.algorithm, key, certificate)
    return out


def _stamp_roots() -> list[x509.Certificate]:
    own = SigningKey.objects.filter(use=SigningKey.ROOT).values_list("certificate", flat=True)
    found = [c for pem in own for c in certificates.load_all(pem)]
    return found + adapters.outside_roots()


def _link_values(first: int, last: int) -> list[str]:
    return list(
        CallLink.objects.filter(number__gte=first, number__lte=last)
        .order_by("number")
        .values_list("hash", flat=True)
    )


def _seals_proof() -> tuple[int, int, str]:
    """How many seals hold, the last link that is sealed, and what is wrong with the first that does not."""
    try:
        keys, roots = _trusted_keys(), _stamp_roots()
    except (adapters.NoRoots, certificates.BadChain) as wrong:
        return 0, 0, str(wrong)
    before, number, last = ("", b""), 0, 0
    for seal in CallSeal.objects.order_by("number").iterator(chunk_size=500):
        number += 1
        token = bytes(seal.token)
        why = (
            "缺失"
            if seal.number != number
            else next(_faults(seal, token, before, last, keys, roots), "")
        )
        if why:
            return number - 1, last, f"签章第 {number} 号{why}"
        before, last = (seal.note, token), seal.last_link
    return number, last, ""


def _faults(
    seal: CallSeal,
    token: bytes,
    before: tuple[str, bytes],
    last: int,
    keys: dict[str, tuple[str, signatures.PublicKey, x509.Certificate]],
    roots: list[x509.Certificate],
) -> Iterator[str]:
    """What is wrong with one seal, the graver first."""
    try:
        said = rules.statement_of(seal.note)
        lines = rules.signatures_of(seal.note)
        name = said["digest"]
        links = _link_values(seal.first_link, seal.last_link)
        expected = {
            "seal": seal.number,
            "at": seal.at.astimezone(dt.UTC),
            "links": (seal.first_link, seal.last_link),
            "calls": seal.calls,
            "root": rules.seal_root(name, links),
            "before": rules.seal_value(name, *before) if seal.number > 1 else rules.GENESIS,
        }
        given = {
            **said,
            "at": dt.datetime.fromisoformat(said["at"]),
            "links": tuple(said["links"]),
        }
        thumbprints = said["stamp_roots"]
        events = said["events"]
    except (ValueError, KeyError, TypeError):
        yield "的内容被改动过"
        return
    for field, value in expected.items():
        if given[field] != value:
            yield "的内容与调用记录不符" if field in ("root", "links") else "的内容被改动过"
    if seal.first_link != last + 1 or len(links) != seal.last_link - last:
        yield "与前一号不相连"
    statement = seal.note.partition("\n")[0].encode()
    for algorithm, kid, made in lines:
        known = keys.get(kid)
        if known is None or known[0] != algorithm:
            yield "的签名密钥不明"
        elif not known[1].verify(statement, made):
            yield f"的签名无效（{signatures.TITLES[algorithm]}）"
    try:
        digest = hashlib.sha256(seal.note.encode()).digest()
        named = [c for c in roots if certificates.thumbprint(c) in thumbprints]
        stamp = timestamps.verify(token, digest, named)
        if abs(stamp.at - seal.at) > dt.timedelta(minutes=10):
            yield "的时间戳与签章时间相差过大"
    except timestamps.BadToken as wrong:
        yield f"的时间戳无效（{wrong}）"
    if events[0] and not Event.objects.filter(seq=events[0], hash=events[1]).exists():
        yield f"所记的台账链值（第 {events[0]} 条）与台账不符"


def proof(viewer: Actor) -> Proof:
    """Walk the events, the calls and the seals; names the first broken place of each."""
    viewer.require("audit.verify")
    verdict = event.verify()
    links, total, broken = _calls_proof()
    seals_, last, seals_broken = _seals_proof()
    return Proof(
        verdict.checked,
        verdict.reason,
        links,
        total,
        broken,
        seals_,
        seals_broken,
        max(0, links - last),
    )


__all__ = ["GAP", "Proof", "Standing", "Unproven", "proof", "seals", "signing_keys", "standing"]
