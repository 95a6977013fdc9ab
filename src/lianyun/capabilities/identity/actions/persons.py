"""Persons: registered, proven step by step, corrected, merged, and erased."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.clock import calendar
from lianyun.kernel.element import citizen_number_ok, credit_code_ok
from lianyun.kernel.event import forget, record
from lianyun.kernel.models import Event
from lianyun.kernel.party import Party

from .. import adapters, queries, rules
from ..models import Account, Agency, FormerNumber, TextCode, User, Visit
from . import limits
from .officers import set_password
from .passwords import check_secret
from .sessions import end_all_sessions

TEXT_LIFE = dt.timedelta(minutes=10)
TEXT_TRIES = 5
NOT_PROVEN = "未能核验：请核对姓名和号码，或带身份证到政务服务窗口办理"
"""The one answer to every number that does not prove the person, whether anybody holds it or not."""


def lock_number(digest: str) -> None:
    """Hold a number until the transaction ends, so that two at once make one person."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 6))", [digest])


def checked_number(number: str) -> str:
    """A citizen number as it is kept; raises UserError for one whose check digit is wrong."""
    plain = number.strip().upper()
    if not citizen_number_ok(plain):
        raise UserError("公民身份号码有误：请核对位数、出生日期和末位校验码")
    return plain


# ---- holders whom a register names -----------------------------------------------------------


@action(None)
def find_person(number: str, *, name: str, by: Actor) -> Party:
    """The person of a citizen number, entered at level 0 where nobody holds it yet.

    Raises UserError for a number whose check digit is wrong.
    """
    plain = checked_number(number)
    digest = adapters.number_hash(plain)
    lock_number(digest)
    found = queries.party_by_hash(by, digest)
    if found is None:
        found = Party.objects.filter(kind=Party.PERSON, data__citizen_hash=digest).first()
        if found is None:
            found = Party.objects.create(kind=Party.PERSON, name=name.strip() or "未登记姓名")
        account, _ = Account.objects.get_or_create(party=found)
        _keep_number(account, plain)
        account.save()
    record("person.registered", f"identity:{found.pk}", by=by, personal={"name": found.name})
    return found


def _keep_number(account: Account, number: str) -> None:
    account.number_hash = adapters.number_hash(number)
    account.number_sealed = adapters.seal(number, adapters.NUMBER_USE)
    account.claim_hash, account.claim_sealed = account.number_hash, ""


@action(None)
def find_entity(code: str, *, name: str, by: Actor) -> Party:
    """The legal entity of a credit code, entered where it is not known yet; UserError if malformed."""
    plain = code.strip().upper()
    if not credit_code_ok(plain):
        raise UserError("统一社会信用代码有误：请核对 18 位代码和末位校验码")
    party, made = Party.objects.get_or_create(
        code=plain, defaults={"kind": Party.LEGAL_ENTITY, "name": name.strip() or plain}
    )
    record("entity.registered", party, by=by, data={"new": made})
    return party


# ---- registration ----------------------------------------------------------------------------


def _text_digest(phone_hash: str, code: str) -> str:
    return hashlib.sha256(f"{phone_hash}:{code}".encode()).hexdigest()


@action(None)
def send_code(phone: str, use: str, *, address: str, by: Actor) -> str:
    """Send a code to a telephone or e-mail address; the same answer whoever has it or nobody.

    Returns '' when it went out, else the stand-in's text (模拟短信, sample city only).
    """
    mail = "@" in phone
    if mail and not adapters.mail_ok(phone):
        raise UserError("请填写正确的电子邮箱")
    if not mail and not adapters.phone_ok(phone):
        raise UserError("请填写 11 位手机号码")
    digest = adapters.phone_hash(phone)
    limits.spend("texts_per_phone", digest)
    limits.spend("texts_per_address", address)
    code = rules.text_code()
    TextCode.objects.filter(phone_hash=digest, use=use, used_at=None).delete()
    TextCode.objects.create(phone_hash=digest, use=use, digest=_text_digest(digest, code))
    record("text.sent", "system:texts", by=by, data={"use": use})
    text = f"验证码 {code}，10 分钟内有效，请勿告诉他人。"
    return adapters.send_mail(phone, "验证码", text) if mail else adapters.send_text(phone, text)


@action(None)
def check_code(phone: str, use: str, code: str, *, by: Actor) -> bool:
    """Whether this is the code sent to the telephone; it is spent by success and by five failures.

    An action of its own, so that a failure stays counted whatever becomes of the request.
    """
    digest = adapters.phone_hash(phone)
    sent = (
        TextCode.objects.select_for_update()
        .filter(
            phone_hash=digest,
            use=use,
            used_at=None,
            tries__lt=TEXT_TRIES,
            made_at__gte=timezone.now() - TEXT_LIFE,
        )
        .first()
    )
    wanted = sent.digest if sent else _text_digest(digest, "------")
    right = secrets.compare_digest(wanted, _text_digest(digest, code.strip())) and sent is not None
    if sent is not None:
        sent.tries += 1
        sent.used_at = timezone.now() if right else None
        sent.save(update_fields=["tries", "used_at"])
    record("text.checked", "system:texts", by=by, data={"use": use, "right": right})
    return right


@action(None)
def register(phone: str, name: str, number: str, password: str, *, address: str, by: Actor) -> User:
    """A citizen's own account (level 1), after the telephone's code was right.

    Two people may declare the same number: it belongs to nobody until it is proven, so nobody can
    block another, and nobody learns whether a number is held. Under 14 the guardian registers.
    """
    plain = checked_number(number)
    name = name.strip()
    if not 2 <= len(name) <= 50:
        raise UserError("请填写身份证上的姓名")
    age = rules.age_on(rules.birth_of(plain), timezone.localdate())
    if age < rules.CONSENT_AGE:
        raise UserError("未满十四周岁的，请由监护人登录后在“我的代办”中登记")
    limits.spend("registrations_per_address", address)
    digest = adapters.phone_hash(phone)
    lock_number(digest)
    if Account.objects.filter(phone_hash=digest).exists():
        raise UserError("这个手机号码已有账号，请直接登录")
    party = Party.objects.create(kind=Party.PERSON, name=name)
    user = User(username=f"u{secrets.randbelow(10**10):010d}", party=party)
    set_password(user, password)
    user.save()
    account = Account(
        party=party,
        level=rules.SELF,
        claim_hash=adapters.number_hash(plain),
        claim_sealed=adapters.seal(plain, adapters.NUMBER_USE),
        phone_hash=digest,
        phone_sealed=adapters.seal(phone, adapters.PHONE_USE),
    )
    account.save()
    record(
        "account.created",
        user,
        by=actor_of(party),
        data={"personal": True},
        personal={"name": name},
    )
    return user


def own_account(by: Actor) -> Account:
    """The actor's own identity, held until the transaction ends; raises UserError where none is kept."""
    found = Account.objects.select_for_update().filter(party=by.party).first()
    if found is None:
        raise UserError("这个账号没有登记个人身份")
    return found


def number_of(account: Account) -> str:
    """The number that a person holds or declares, in clear; for checks only."""
    sealed = account.number_sealed or account.claim_sealed
    if not sealed:
        raise UserError("这个账号没有登记公民身份号码")
    return adapters.unseal(sealed, adapters.NUMBER_USE)


# ---- proof -------------------------------------------------------------------------------------


@action(None)
def try_proof(*, address: str, by: Actor) -> None:
    """Count one attempt to be proven, before it is made; raises UserError when there were too many."""
    account = own_account(by)
    limits.spend("proofs_per_account", str(account.party_id))
    limits.spend("proofs_per_address", address)
    record("identity.proof_tried", account, by=by)


@action(None)
def prove_elements(*, by: Actor) -> bool:
    """Level 2: name and number as the population library has them; False with nothing said about why.

    At this level the number is not yet the person's alone: it finds the account only at level 3.
    """
    account = own_account(by)
    if rules.reaches(account.level, rules.ELEMENTS):
        raise UserError("您已经通过了两要素核验")
    number = number_of(account)
    digest = adapters.number_hash(number)
    lock_number(digest)
    right = adapters.same_person(account.party.name, number)
    taken = (
        Account.objects.filter(claim_hash=digest, level__gte=rules.ELEMENTS)
        .exclude(pk=account.pk)
        .exists()
    )
    if not right or taken:
        record("identity.refused", account, by=by, data={"way": rules.LIBRARY})
        return False
    account.level, account.way = rules.ELEMENTS, rules.LIBRARY
    account.proved_at = timezone.now()
    account.save()
    record("identity.proved", account, by=by, data={"level": account.level, "way": account.way})
    return True


@action(None)
def go_to_counter(*, by: Actor) -> Visit:
    """A code for the counter, good for a quarter of an hour; a former one is void."""
    account = own_account(by)
    account.visits.filter(closed_at=None).update(closed_at=timezone.now())
    code = rules.visit_code()
    while Visit.objects.filter(code=code, closed_at=None).exists():
        code = rules.visit_code()
    visit = Visit.objects.create(account=account, code=code)
    record("identity.visit_opened", account, by=by)
    return visit


def open_visit(code: str, by: Actor) -> Visit:
    if not limits.count("visits_per_officer", by.ref):
        raise UserError(limits.TOO_OFTEN)
    found = queries.caller(by, code)
    if found is None:
        raise UserError("到窗码不正确或已过期，请来访人重新生成")
    visit = Visit.objects.select_for_update(of=("self",)).get(pk=found.visit.pk)
    if visit.closed_at is not None:
        raise UserError("这次核验已经办结")
    if by.party is not None and visit.account.party_id == by.party.pk:
        raise UserError("不能核验本人，请由另一位窗口人员办理")
    return visit


def need_proven(account: Account) -> None:
    """Raises UserError unless the visitor was proven in earnest: what a stand-in said does not count."""
    if not rules.reaches(account.level, rules.PERSON) or account.simulated:
        raise UserError("请先为来访人办理实人核验")


@action("identity.prove")
def confirm_at_counter(
    code: str, name: str, number: str, document: str, seen: bool, *, by: Actor
) -> Account:
    """Level 3: an officer holds the document, compares the face, and types what stands in it.

    The number then belongs to this account alone: a login whose owner only declared it loses the
    claim, and a holder whom only a register knew gets this login. `document` is the kind of paper.
    """
    visit = open_visit(code, by)
    account = visit.account
    if not seen:
        raise UserError("请当面比对证件照片与本人，并勾选确认")
    if not document.strip():
        raise UserError("请选择证件种类")
    plain = checked_number(number)
    if plain != number_of(account) or not rules.same_name(name, account.party.name):
        record("identity.refused", account, by=by, data={"way": rules.COUNTER})
        raise UserError("证件上的姓名或号码与来访人登记的不一致：请来访人核对，或办理号码变更")
    visit.closed_at = timezone.now()
    visit.save(update_fields=["closed_at"])
    return prove_person(account, plain, rules.COUNTER, document.strip()[:40], by)


def prove_person(account: Account, number: str, way: str, document: str, by: Actor) -> Account:
    """Level 3 for who was found to be the number's holder; another account of his is merged.

    To be called inside an action, after the caller has made sure of the person.
    """
    digest = adapters.number_hash(number)
    lock_number(digest)
    holder = Account.objects.filter(number_hash=digest).exclude(pk=account.pk).first()
    if holder is not None:
        account = _merge(holder, account, by)
    _keep_number(account, number)
    account.level = max(account.level, rules.PERSON)
    account.way, account.proved_at, account.simulated = way, timezone.now(), False
    account.save()
    _displace(account, digest, by)
    audit.link_person(party=account.party, citizen_number=number, by=by)
    record(
        "identity.proved",
        account,
        by=by,
        data={"level": account.level, "way": way, "document": document},
    )
    return account


def _displace(account: Account, digest: str, by: Actor) -> None:
    """Logins that only declared this number lose the claim: it was never theirs."""
    for other in Account.objects.filter(claim_hash=digest).exclude(pk=account.pk):
        other.claim_hash, other.claim_sealed = None, ""
        other.level, other.way = rules.SELF, ""
        other.save()
        user = User.objects.filter(party=other.party).first()
        if user is not None:
            end_all_sessions(user)
        record("identity.displaced", other, by=by)


def _merge(holder: Account, newer: Account, by: Actor) -> Account:
    """Make two accounts of one person one: the holder's stays, with the login of who stands here."""
    if newer.party.memberships.exists() or holder.party.memberships.exists():
        raise UserError("此人另有工作人员账号：两种账号不合并，请使用原账号办理")
    user = User.objects.filter(party=newer.party).first()
    former = User.objects.filter(party=holder.party).first()
    if former is not None:
        end_all_sessions(former)
        former.party, former.is_active = None, False
        former.save()
        record("account.disabled", former, by=by, data={"reason": "与本人另一账号合并"})
    phone, sealed = newer.phone_hash, newer.phone_sealed
    newer.number_hash = newer.claim_hash = newer.phone_hash = None
    newer.number_sealed = newer.claim_sealed = newer.phone_sealed = ""
    newer.level, newer.merged_into = rules.REGISTER, holder
    newer.save()
    newer.party.active = False
    newer.party.save(update_fields=["active"])
    if user is not None:
        end_all_sessions(user)
        user.party = holder.party
        user.save(update_fields=["party"])
    if phone:
        holder.phone_hash, holder.phone_sealed = phone, sealed
    newer.linked.update(account=holder)
    newer.certificates.filter(ended_at=None).update(ended_at=timezone.now())
    held = set(
        Agency.objects.filter(agent=holder.party, ended_at=None).values_list("kind", "principal_id")
    )
    for agency in Agency.objects.filter(agent=newer.party):
        if agency.ended_at is None and (agency.kind, agency.principal_id) in held:
            agency.ended_at = timezone.now()
        agency.agent = holder.party
        agency.save(update_fields=["agent", "ended_at"])
    holder.party.name = newer.party.name
    holder.party.save(update_fields=["name"])
    holder.erase_on = None
    record(
        "identity.merged",
        holder,
        by=by,
        data={"kept": holder.party.ref, "gone": newer.party.ref},
    )
    return holder


@action("identity.prove")
def change_number(code: str, number: str, basis: str, seen: bool, *, by: Actor) -> Account:
    """A proven person has a new number (the police changed it): the old one still finds him."""
    visit = open_visit(code, by)
    account = visit.account
    need_proven(account)
    if account.number_hash is None:
        raise UserError("此人的原号码还没有经过核验，请先办理实人核验")
    if not seen or not basis.strip():
        raise UserError("请核对公安机关的变更证明和本人，并填写证明文号")
    plain = checked_number(number)
    digest = adapters.number_hash(plain)
    lock_number(digest)
    if queries.party_by_hash(by, digest) is not None:
        raise UserError("不能变更为这个号码，请联系公安机关核对")
    FormerNumber.objects.create(
        account=account,
        number_hash=account.number_hash,
        number_sealed=account.number_sealed,
        basis=basis.strip()[:200],
    )
    _keep_number(account, plain)
    account.save()
    audit.link_person(party=account.party, citizen_number=plain, by=by)
    visit.closed_at = timezone.now()
    visit.save(update_fields=["closed_at"])
    record("identity.number_changed", account, by=by, personal={"basis": basis.strip()[:200]})
    return account


@action(None)
def change_phone(user: User, phone: str, password: str, *, by: Actor, fresh: bool = False) -> None:
    """Another telephone for one's own account, after its code was right and the password given.

    `fresh` stands in for the password where there is none (`passwords.check_secret`).
    """
    account = own_account(by)
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能更换自己的手机号码")
    check_secret(user, password, fresh)
    digest = adapters.phone_hash(phone)
    lock_number(digest)
    if Account.objects.filter(phone_hash=digest).exclude(pk=account.pk).exists():
        raise UserError("这个手机号码已用于另一个账号")
    former = account.phone_sealed
    account.phone_hash = digest
    account.phone_sealed = adapters.seal(phone, adapters.PHONE_USE)
    account.save()
    # The owner of the former telephone is told too: it may be he who lost the account.
    record("identity.phone_changed", account, by=by, personal={"former": former})


@action(None)
def change_mail(mail: str, *, by: Actor) -> None:
    """Another address for notices, after its code was right; an empty one takes it off."""
    account = own_account(by)
    if mail and not adapters.mail_ok(mail):
        raise UserError("请填写正确的电子邮箱")
    former = account.mail_sealed
    account.mail_sealed = adapters.seal(mail, adapters.MAIL_USE) if mail else ""
    account.save(update_fields=["mail_sealed"])
    record("identity.mail_changed", account, by=by, personal={"former_mail": former})


# ---- the end of an account -------------------------------------------------------------------


@action(None)
def ask_erasure(user: User, password: str, *, by: Actor, fresh: bool = False) -> dt.date:
    """Have one's account erased within the limit (packs/core/access.yaml); until then it can be undone.

    `fresh` stands in for the password where there is none (`passwords.check_secret`).
    """
    account = own_account(by)
    if by.party is None or user.party_id != by.party.pk:
        raise UserError("只能注销自己的账号")
    if account.party.memberships.exists():
        raise UserError("工作人员账号由本部门管理员停用，不能自行注销")
    check_secret(user, password, fresh)
    if account.erase_on is None:
        account.erase_on = calendar().add_working_days(
            timezone.localdate(), int(queries.erasure_rule()["working_days"])
        )
        account.save(update_fields=["erase_on"])
    record("erasure.asked", account, by=by, data={"on": account.erase_on})
    return account.erase_on


@action(None)
def keep_account(*, by: Actor) -> None:
    """Take back the wish to be erased."""
    account = own_account(by)
    if account.erase_on is None:
        raise UserError("这个账号没有申请注销")
    account.erase_on = None
    account.save(update_fields=["erase_on"])
    record("erasure.cancelled", account, by=by)


@action("identity.manage")
def erase_due(*, by: Actor) -> int:
    """Erase the accounts whose day has come; returns how many.

    Login, telephone, declared number, devices, factors and mandates go, and the personal part of
    the account's events. A proven number stays, encrypted, as the key of licences and cases that
    the law keeps longer (个人信息保护法 art. 47: nothing but storage).
    """
    due = list(
        Account.objects.select_for_update()
        .filter(erase_on__lte=timezone.localdate())
        .order_by("pk")
    )
    for account in due:
        user = User.objects.filter(party=account.party).first()
        if user is not None:
            end_all_sessions(user)
            forget(Event.objects.filter(subject=user.ref))
            user.delete()
        forget(Event.objects.filter(subject=account.ref))
        Agency.objects.filter(agent=account.party, ended_at=None).update(ended_at=timezone.now())
        for kept in (account.visits, account.linked, account.certificates, account.notices):
            kept.all().delete()
        account.mail_sealed, account.certified_until = "", None
        account.phone_hash = account.claim_hash = account.erase_on = None
        account.phone_sealed = account.claim_sealed = account.way = ""
        account.level = rules.REGISTER
        account.save()
        if account.number_hash is None:
            account.party.name = "已注销用户"
            account.party.active = False
        account.party.data = {k: v for k, v in account.party.data.items() if k != "citizen_hash"}
        account.party.save()
        record("account.erased", account, by=by)
    if not due:
        record("account.erasure_checked", "system:identity", by=by)
    return len(due)
