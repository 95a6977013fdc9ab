"""Node actions: who this node is, how another is enrolled, confirmed, stopped, and how keys change."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.db import transaction
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from .. import rules
from ..adapters import keys, wire
from ..models import Announced, Key, Link, Node
from .outbox import current_key, post, this_node, wake


def own_node() -> Node:
    """This node's identity; raises UserError where it has not been given one."""
    found = this_node()
    if found is None:
        raise UserError("本节点还没有级联身份，请先填写节点代码、级别和地址")
    return found


def _new_key(algorithm: str) -> Key:
    if algorithm not in keys.ALGORITHMS:
        raise UserError("请选择签名算法：ECDSA P-256 / SHA-256 或 SM2 / SM3")
    pair = keys.new_pair(algorithm)
    return Key.objects.create(
        kid=pair.kid, algorithm=pair.algorithm, public=pair.public, secret=pair.secret
    )


@action("cascade.manage")
def identify(
    *,
    code: str,
    name: str,
    level: str,
    address: str,
    algorithm: str = "ecdsa-p256-sha256",
    by: Actor,
) -> Node:
    """Give this node its identity, or change its name and address; the first time draws its key."""
    wrong = rules.code_problem(code, level) or rules.address_problem(address)
    if wrong:
        raise UserError(wrong)
    if len(name.strip()) < 2:
        raise UserError("请填写节点名称，例如 赣榆区")
    node = this_node()
    if node is not None and node.code != code and Link.objects.exists():
        raise UserError("已与其他节点建立连接，节点代码不能再改")
    node = node or Node()
    node.code, node.name, node.level = code, name.strip()[:100], level
    node.address = address.strip()
    node.save()
    if current_key() is None:
        _new_key(algorithm)
    record("node.identified", node, by=by, data={"code": code, "level": level})
    for link in Link.objects.filter(enabled=True):
        post(link, "node.changed", "node", {"name": node.name, "address": node.address})
    return node


@action("cascade.manage")
def invite(*, code: str, name: str, level: str, by: Actor) -> tuple[Link, str]:
    """Prepare the enrolment of a lower node; returns the link and the one-time code, shown once.

    The code is good for 48 hours and one enrolment. Inviting again replaces an unused code; a node
    that was enrolled is enrolled anew (its old key is then no longer accepted).
    """
    node = own_node()
    wrong = rules.code_problem(code, level)
    if wrong:
        raise UserError(wrong)
    if not rules.below(code, node.code):
        raise UserError(f"{code} 不在本节点 {node.code} 的辖区内，不能登记为下级节点")
    if len(name.strip()) < 2:
        raise UserError("请填写下级节点名称，例如 赣榆区")
    link, new = Link.objects.get_or_create(
        code=code, defaults={"name": name.strip(), "level": level, "side": rules.LOWER}
    )
    if link.side != rules.LOWER:
        raise UserError("该节点已登记为上级节点")
    link.name, link.level = name.strip()[:100], level
    link.party = link.party or node_party(link)
    text = rules.new_invitation()
    link.invitation = keys.seal_invitation(text)
    link.invited_until = timezone.now() + dt.timedelta(hours=rules.INVITATION_HOURS)
    link.tries = 0
    link.save()
    record("link.invited", link, by=by, data={"name": link.name, "new": new})
    return link, text


@action("cascade.manage")
def cancel_invitation(*, link: Link, by: Actor) -> None:
    """Let a one-time code be good for nothing."""
    Link.objects.filter(pk=link.pk).update(invitation="", invited_until=None)
    record("link.invitation_cancelled", link, by=by)


def node_party(link: Link) -> Party:
    """The department that stands for another node in the catalogue and among grantors."""
    party, _ = Party.objects.get_or_create(
        slug=f"n{link.code}",
        defaults={
            "kind": Party.DEPARTMENT,
            "name": link.name,
            "short": link.name,
            "data": {"node": link.code},
        },
    )
    if party.name != link.name:
        party.name = party.short = link.name
        party.save(update_fields=["name", "short"])
    return party


def _identity(node: Node, key: Key) -> dict[str, Any]:
    return {
        "code": node.code,
        "name": node.name,
        "level": node.level,
        "address": node.address,
        "public": key.public,
        "algorithm": key.algorithm,
    }


def _read_identity(told: Any) -> dict[str, str]:
    """Another node's identity as it told it; raises UserError for anything malformed."""
    if not isinstance(told, dict):
        raise UserError("对方没有给出节点身份")
    out = {k: str(told.get(k) or "") for k in ("code", "name", "level", "address", "public")}
    wrong = rules.code_problem(out["code"], out["level"])
    if not wrong and out["address"]:
        wrong = rules.address_problem(out["address"])
    if wrong:
        raise UserError(f"对方的节点身份有误：{wrong}")
    try:
        out["kid"] = keys.fingerprint(out["public"])
    except ValueError as error:
        raise UserError("对方的公钥不能识别") from error
    return out


def admit(body: bytes) -> tuple[int, dict[str, Any]]:
    """A lower node enrols with its one-time code (the upper side); returns HTTP status and answer.

    The code itself never travels: both sides show by an HMAC that they know it. A wrong proof counts
    as a try; after five the code is void.
    """
    try:
        told = json.loads(body)
        inner = told["request"].encode()
        identity = _read_identity(json.loads(inner)["node"])
        given, signature = str(told["proof"]), str(told["signature"])
    except (UserError, ValueError, KeyError, TypeError, AttributeError):
        return 400, {"error": "malformed", "message": rules.ERRORS["malformed"]}
    refusal = 403, {"error": "invitation", "message": rules.ERRORS["invitation"]}
    with transaction.atomic():
        node = this_node()
        link = (
            Link.objects.select_for_update().filter(code=identity["code"], side=rules.LOWER).first()
        )
        if node is None or link is None or not link.invitation:
            return refusal
        if link.invited_until is None or link.invited_until < timezone.now():
            return refusal
        if link.tries >= rules.INVITATION_TRIES:
            return refusal
        invitation = keys.open_invitation(link.invitation)
        if not rules.same(rules.proof(invitation, inner), given) or not keys.verified(
            identity["public"], inner, signature
        ):
            link.tries += 1
            link.save(update_fields=["tries"])
            return refusal
        key = current_key()
        assert key is not None
        link.keys = [{"kid": identity["kid"], "public": identity["public"]}]
        # Where to call is for our own operator to say: until he does, only the other side calls.
        link.address, link.proposed, link.own_key = "", identity["address"], key
        link.invitation, link.invited_until = "", None
        link.enrolled_at, link.enabled = timezone.now(), False
        link.reason = ""
        # A node enrolled anew may have lost what it had: both sides begin again at one.
        _begin_anew(link)
        link.save()
        record(
            "link.enrolled",
            link,
            by=Actor(party=link.party, department=link.party),
            data={"fingerprint": identity["kid"]},
        )
        answer = json.dumps({"node": _identity(node, key)}, ensure_ascii=False)
        return 200, {"answer": answer, "proof": rules.proof(invitation, answer.encode())}


def _begin_anew(link: Link) -> None:
    link.outgoing.all().delete()
    link.incoming.all().delete()
    Announced.objects.filter(link=link).delete()
    link.sent = link.acked = link.received = link.newest = 0
    link.failures, link.next_try_at, link.last_error = 0, None, ""


@action("cascade.manage")
def join(*, address: str, invitation: str, by: Actor) -> Link:
    """Enrol this node with an upper one by its one-time code (the lower side).

    Raises UserError with what went wrong; a code that failed on the way may be tried again.
    """
    node = own_node()
    wrong = rules.address_problem(address)
    if wrong:
        raise UserError(wrong)
    if len(rules.plain_invitation(invitation)) != 20:
        raise UserError("接入码是 20 位字母和数字，请核对上级给出的接入码")
    key = current_key()
    assert key is not None
    inner = json.dumps({"node": _identity(node, key)}, ensure_ascii=False).encode()
    request = {
        "request": inner.decode(),
        "proof": rules.proof(invitation, inner),
        "signature": keys.Signer(key.kid, key.secret).sign(inner),
    }
    try:
        code, answer = wire.plain(address, "POST", "enrol", json.dumps(request).encode())
    except wire.WireError as error:
        raise UserError(str(error)) from error
    try:
        told = json.loads(answer)
        if code != 200:
            raise UserError(rules.ERRORS.get(told.get("error"), "上级节点拒绝了接入"))
        text = str(told["answer"])
        if not rules.same(rules.proof(invitation, text.encode()), str(told["proof"])):
            raise UserError("应答者不知道接入码，可能不是上级节点，请核对地址")
        upper = _read_identity(json.loads(text)["node"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("该地址不是联云节点，请核对") from error
    if not rules.below(node.code, upper["code"]):
        raise UserError(f"对方节点 {upper['code']} 不是本节点 {node.code} 的上级")
    link, _ = Link.objects.get_or_create(
        code=upper["code"],
        defaults={"name": upper["name"], "level": upper["level"], "side": rules.UPPER},
    )
    if link.side != rules.UPPER:
        raise UserError("该节点已登记为下级节点")
    link.name, link.level = upper["name"][:100], upper["level"]
    link.address = address.strip()
    link.keys = [{"kid": upper["kid"], "public": upper["public"]}]
    link.own_key, link.enrolled_at, link.enabled = key, timezone.now(), True
    link.party = node_party(link)
    _begin_anew(link)
    link.save()
    record("link.joined", link, by=by, data={"fingerprint": upper["kid"]})
    wake("announce", link.code, link=link.code)
    return link


@action("cascade.manage")
def confirm_link(*, link: Link, address: str = "", by: Actor) -> None:
    """The upper operator compared the fingerprints with the lower one: the link may work.

    `address` is the lower node's address as he saw it; without it (or where it has changed since)
    this node calls nobody, and the conversation waits for the lower one.
    """
    row = Link.objects.select_for_update().get(pk=link.pk)
    if row.enrolled_at is None:
        raise UserError("下级节点尚未用接入码接入")
    row.enabled, row.reason = True, ""
    row.failures, row.next_try_at = 0, None
    if address and address == row.proposed:
        row.address, row.proposed = address, ""
    row.save()
    link.enabled = True
    record(
        "link.confirmed",
        row,
        by=by,
        data={"fingerprint": row.keys[-1]["kid"], "address": row.address},
    )
    wake("announce", row.code, link=row.code)


@action("cascade.manage")
def settle_address(*, link: Link, address: str, accept: bool, by: Actor) -> None:
    """Say whether the address that the other node gives is to be called from now on.

    `address` is what the operator saw: one that came after it is not taken for it.
    """
    row = Link.objects.select_for_update().get(pk=link.pk)
    if not row.proposed or row.proposed != address:
        raise UserError("对方的地址已经变化，请刷新页面后重新核对")
    row.proposed = ""
    if accept:
        if wrong := rules.address_problem(address):
            raise UserError(wrong)
        row.address = address
        row.failures, row.next_try_at, row.last_error = 0, None, ""
        wake("converse", row.code, link=row.code)
    row.save()
    record(
        "link.address_confirmed" if accept else "link.address_declined",
        row,
        by=by,
        data={"address": address},
    )


@action("cascade.manage")
def set_address(*, link: Link, address: str, by: Actor) -> None:
    """Say oneself where the other node is called from now on; empty: it is not called."""
    address = address.strip()
    if address and (wrong := rules.address_problem(address)):
        raise UserError(wrong)
    row = Link.objects.select_for_update().get(pk=link.pk)
    row.address, row.proposed = address, ""
    row.failures, row.next_try_at, row.last_error = 0, None, ""
    row.save(update_fields=["address", "proposed", "failures", "next_try_at", "last_error"])
    record("link.address_set", row, by=by, data={"address": address})
    wake("converse", row.code, link=row.code)


@action("cascade.manage")
def disable_link(*, link: Link, reason: str, by: Actor) -> None:
    """Stop a link: nothing is taken or given; what was granted across it stops with its lease."""
    if len(reason.strip()) < 2:
        raise UserError("请写明停用的原因")
    row = Link.objects.select_for_update().get(pk=link.pk)
    row.enabled, row.reason = False, reason.strip()[:300]
    row.save(update_fields=["enabled", "reason"])
    link.enabled = False
    record("link.disabled", row, by=by, data={"reason": row.reason})


@action("cascade.manage")
def enable_link(*, link: Link, by: Actor) -> None:
    """Let a stopped link work again; it catches up from where it stood."""
    row = Link.objects.select_for_update().get(pk=link.pk)
    if row.enrolled_at is None:
        raise UserError("该节点尚未接入")
    row.enabled, row.reason = True, ""
    row.failures, row.next_try_at, row.last_error = 0, None, ""
    row.save()
    link.enabled = True
    record("link.enabled", row, by=by)
    wake("converse", row.code, link=row.code)


@action("cascade.manage")
def set_lease(*, link: Link, seconds: int, by: Actor) -> None:
    """How long a lower node may go on with our grants while it cannot reach us."""
    if not rules.LEAST_LEASE <= seconds <= rules.MOST_LEASE:
        raise UserError(f"租期应在 {rules.LEAST_LEASE} 至 {rules.MOST_LEASE} 秒之间")
    if link.side != rules.LOWER:
        raise UserError("租期由上级节点规定")
    Link.objects.filter(pk=link.pk).update(lease_seconds=seconds)
    record("link.lease_set", link, by=by, data={"seconds": seconds})


@action("cascade.manage")
def rotate_key(*, by: Actor, algorithm: str = "ecdsa-p256-sha256") -> Key:
    """Draw a new key pair. Each link changes over once the other node has taken the new public key.

    Until then the old key signs; a node that cannot be reached changes over when it is back.
    """
    own_node()
    made = _new_key(algorithm)
    for link in Link.objects.exclude(enrolled_at=None):
        post(
            link,
            "key.announced",
            "key",
            {"public": made.public, "algorithm": made.algorithm},
        )
    record("key.rotated", f"key:{made.kid}", by=by, data={"fingerprint": made.kid})
    return made


def change_over(link: Link) -> None:
    """Sign with the newest key once the other node has acknowledged its announcement."""
    newest = current_key()
    if newest is None or link.own_key_id == newest.pk:
        return
    told = link.outgoing.filter(kind="key.announced").order_by("-seq").first()
    if told is None or told.seq > link.acked or told.body.get("public") != newest.public:
        return
    Link.objects.filter(pk=link.pk).update(own_key=newest)
    link.own_key = newest
    for old in Key.objects.filter(retired_at=None).exclude(pk=newest.pk):
        if not Link.objects.filter(own_key=old).exists():
            Key.objects.filter(pk=old.pk).update(retired_at=timezone.now())


def take_key(link: Link, body: dict[str, Any]) -> None:
    """The other node has a new key; its former one stays good until the new one is first used."""
    try:
        kid = keys.fingerprint(str(body["public"]))
    except (KeyError, ValueError) as error:
        raise UserError("对方的新公钥不能识别") from error
    row = Link.objects.select_for_update().get(pk=link.pk)
    if kid not in {k["kid"] for k in row.keys}:
        row.keys = [*row.keys, {"kid": kid, "public": str(body["public"])}][-3:]
        row.save(update_fields=["keys"])
        record(
            "link.key_changed",
            row,
            by=Actor(party=row.party, department=row.party),
            data={"fingerprint": kid},
        )


def drop_former_keys(link: Link, used: str) -> None:
    """A newer key was used: the ones before it are no longer accepted."""
    listed = [k["kid"] for k in link.keys]
    at = listed.index(used)
    if at > 0:
        link.keys = link.keys[at:]
        link.save(update_fields=["keys"])


def take_change(link: Link, body: dict[str, Any]) -> None:
    """The other node changed its name or address; it is called there once our operator says so."""
    name, address = str(body.get("name") or ""), str(body.get("address") or "")
    if wrong := rules.address_problem(address):
        raise UserError(wrong)
    row = Link.objects.select_for_update().get(pk=link.pk)
    row.name = name[:100] or row.name
    new = address not in (row.address, row.proposed)
    row.proposed = "" if address == row.address else address
    row.save(update_fields=["name", "proposed"])
    if new:
        record(
            "link.address_proposed",
            row,
            by=Actor(party=row.party, department=row.party),
            data={"address": address},
        )
    node_party(row)
