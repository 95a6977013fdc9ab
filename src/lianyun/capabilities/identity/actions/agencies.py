"""Agencies: representatives, agents and guardians; officers who stand in for each other."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, Membership, UserError, roles
from lianyun.kernel.action import action
from lianyun.kernel.element import credit_code_ok, mask_value
from lianyun.kernel.event import record
from lianyun.kernel.party import Party

from .. import adapters, queries, rules
from ..models import Account, Agency, Cover, User
from . import limits
from .persons import (
    NOT_PROVEN,
    checked_number,
    find_entity,
    find_person,
    need_proven,
    number_of,
    open_visit,
    own_account,
)
from .sessions import department_of


def _proven(by: Actor) -> Account:
    account = own_account(by)
    if not rules.reaches(account.level, rules.PERSON):
        raise UserError("请先完成实人核验，再办理代理关系")
    return account


NOT_HEAD = (
    "登记机关的信息没有表明您是这家单位的法定代表人：请核对统一社会信用代码，"
    "或者带营业执照到政务服务窗口办理"
)
"""The one answer online to a firm that is unknown, gone, another's, or whose register has no number."""
MOST_ENDED = (20, 0.1)
"""A nightly comparison that would end more than this many, and more than this share, ends nobody:
then the register is at fault, not the representatives."""


def _credit_code(text: str) -> str:
    plain = text.strip().upper()
    if not credit_code_ok(plain):
        raise UserError("统一社会信用代码有误：请核对 18 位代码和末位校验码")
    return plain


@action("identity.prove")
def bind_representative(code: str, credit_code: str, seen: bool, *, by: Actor) -> Agency:
    """At the counter: a proven person is a firm's legal representative, as the library says too.

    Where the library has the representative's number, the number decides; where it has none, the
    name together with the business licence on the table.
    """
    visit = open_visit(code, by)
    account = visit.account
    need_proven(account)
    if not seen:
        raise UserError("请核对营业执照和本人，并勾选确认")
    plain = _credit_code(credit_code)
    found = adapters.heads(account.party.name, queries.digests_of(account), plain)
    if found is None or found.says not in rules.HEADSHIPS:
        raise UserError("法人库登记的法定代表人不是来访人，请先到登记机关办理变更")
    agency = _represents(account, plain, found, by)
    visit.closed_at = timezone.now()
    visit.save(update_fields=["closed_at"])
    return agency


@action(None)
def claim_firm(credit_code: str, *, by: Actor) -> Agency | None:
    """Online: bind oneself to the firm whose register holds one's own proven number; None otherwise.

    By number only: a name proves nobody from afar. A proof by a stand-in does not suffice, since the
    binding ends whoever represented the firm before.
    """
    account = _proven(by)
    if account.simulated:
        raise UserError("模拟核验的账号不能在线登记单位，请到政务服务窗口办理")
    if account.number_hash is None:
        raise UserError("请先完成实人核验，再办理代理关系")
    plain = _credit_code(credit_code)
    limits.spend("firms_per_person", str(account.party_id))
    found = adapters.heads(account.party.name, queries.digests_of(account), plain)
    if found is None or found.says != rules.BY_NUMBER:
        record("identity.refused", account, by=by, data={"way": rules.REPRESENTATIVE})
        return None
    return _represents(account, plain, found, by)


def _represents(account: Account, code: str, found: adapters.Headship, by: Actor) -> Agency:
    """The person represents the firm from now on, and nobody else does."""
    entity = find_entity(code, name=found.entity, by=by)
    identity, _ = Account.objects.get_or_create(party=entity)
    identity.level = rules.PERSON
    identity.way = rules.LIBRARY if found.says == rules.BY_NUMBER else rules.COUNTER
    identity.proved_at = timezone.now()
    identity.save()
    # A firm has one representative: who was it before is it no longer, and his agents end with him.
    for former in (
        Agency.objects.select_for_update()
        .filter(principal=entity, kind=rules.REPRESENTATIVE, ended_at=None)
        .exclude(agent=account.party)
    ):
        _end_representation(former, by, rules.LEAVINGS[rules.OTHER_HEAD])
    agency, _ = Agency.objects.get_or_create(
        kind=rules.REPRESENTATIVE,
        principal=entity,
        agent=account.party,
        ended_at=None,
        defaults={
            "since": timezone.localdate(),
            "accepted_at": timezone.now(),
            "scope": list(rules.SCOPES),
        },
    )
    agency.basis = rules.HEADSHIPS[found.says]
    agency.save(update_fields=["basis"])
    record(
        "agency.accepted",
        agency,
        by=by,
        data={"kind": agency.kind, "entity": entity.code, "ground": found.says},
    )
    return agency


def _end_representation(agency: Agency, by: Actor, why: str) -> None:
    """End a representation and every mandate that rests on it."""
    now = timezone.now()
    agency.ended_at, agency.basis = now, f"{agency.basis}；终止：{why}"[:200].lstrip("；")
    agency.save(update_fields=["ended_at", "basis"])
    for given in Agency.objects.filter(principal=agency.principal, kind=rules.AGENT, ended_at=None):
        given.ended_at = now
        given.save(update_fields=["ended_at"])
        record("agency.ended", given, by=by, data={"kind": given.kind, "why": why})
    record("agency.ended", agency, by=by, data={"kind": agency.kind, "why": why})


@action("identity.manage")
def end_representations(credit_code: str, *, keep: str = "", why: str, by: Actor) -> int:
    """End who represents a firm, the moment its register names another or the firm is gone; how many.

    `keep` is the citizen number of whom the register names now: he stays. The next one binds himself
    as ever (`claim_firm`, `bind_representative`), once the library has the register's new row.
    """
    rows = (
        Agency.objects.select_for_update(of=("self",))
        .filter(principal__code=credit_code, kind=rules.REPRESENTATIVE, ended_at=None)
        .select_related("principal", "agent__identity")
        .order_by("pk")
    )
    kept, ended = adapters.number_hash(keep.strip().upper()) if keep else "", 0
    for row in rows:
        assert row.agent is not None
        if kept and kept in queries.digests_of(row.agent.identity):
            continue
        _end_representation(row, by, why)
        told = {"to": row.agent.ref, "firm": row.principal.name, "why": why}
        record("representative.ended", row, by=by, data=told)
        ended += 1
    record("representatives.followed", "system:identity", by=by, data={"ended": ended})
    return ended


@action("identity.manage")
def represent_new_firm(credit_code: str, name: str, head: Party, *, by: Actor) -> bool:
    """Who founded a firm and heads it by its register represents it from its first minute.

    As `claim_firm`, but by the registrar's own word, before the library has the row: for a person
    proven as surely as there, never by a stand-in. False where the person has to bind himself later.
    """
    account = Account.objects.filter(party=head).first()
    fits = account is not None and not account.simulated and account.number_hash is not None
    if account is None or not fits or not rules.reaches(account.level, rules.PERSON):
        record("representatives.followed", "system:identity", by=by, data={"bound": False})
        return False
    _represents(account, _credit_code(credit_code), adapters.Headship(rules.BY_NUMBER, name), by)
    return True


@action("identity.manage")
def rename_entity(credit_code: str, name: str, *, by: Actor) -> None:
    """A firm bears another name since today, as its register says."""
    row = Party.objects.select_for_update().get(code=credit_code, kind=Party.LEGAL_ENTITY)
    before, row.name = row.name, name.strip()
    row.save(update_fields=["name"])
    record("entity.renamed", row, by=by, data={"before": before, "after": row.name})


def compare_representatives(*, by: Actor) -> int:
    """End the representations that the register of today contradicts; returns how many.

    Ended where the register names another (by number, or by name where it has no number) and where
    the firm is gone. A firm that the library does not know today, or without a representative,
    changes nothing: a register that is being rebuilt must not dismiss anybody.
    """
    rows = queries.representations(by)
    over: dict[int, str] = {}
    for row in rows:
        assert row.agent is not None
        digests = queries.digests_of(row.agent.identity)
        says = adapters.heads_today(row.agent.name, digests, str(row.principal.code))
        if says in rules.LEAVINGS:
            over[row.pk] = rules.LEAVINGS[says]
    codes = [str(row.principal.code) for row in rows]
    return _end_contradicted(over, codes, by=by)


@action("identity.manage")
def _end_contradicted(over: dict[int, str], codes: list[str], *, by: Actor) -> int:
    """`codes`: every firm whose row was read, for the record."""
    halted = len(over) > max(MOST_ENDED[0], len(codes) * MOST_ENDED[1])
    rows = Agency.objects.select_for_update(of=("self",)).filter(pk__in=over, ended_at=None)
    ended = [] if halted else list(rows.select_related("principal").order_by("pk"))
    for row in ended:
        _end_representation(row, by, over[row.pk])
    if codes:
        audit.record_reading(
            by=by, resource="legal_entity", people=codes, purpose="每日核对法定代表人",
            rows=len(codes),
        )  # fmt: skip
    record(
        "representatives.compared", "system:identity", by=by,
        data={"compared": len(codes), "contradicted": len(over), "halted": halted},
    )  # fmt: skip
    return len(ended)


@action(None)
def appoint_agent(
    entity: int,
    name: str,
    number: str,
    scope: list[str],
    since: dt.date,
    until: dt.date | None,
    *,
    by: Actor,
) -> Agency:
    """A representative gives somebody a mandate with scope and end; it holds once that one accepts.

    Whether the number belongs to anybody is not told: the invitation waits for its owner.
    """
    account = _proven(by)
    mine = Agency.objects.filter(
        agent=account.party, principal_id=entity, kind=rules.REPRESENTATIVE, ended_at=None
    ).select_related("principal")
    held = mine.first()
    if held is None:
        raise UserError("只有法定代表人可以委托经办人")
    problem = rules.agency_problem(scope, since, until, timezone.localdate())
    if problem:
        raise UserError(problem)
    plain = checked_number(number)
    if adapters.number_hash(plain) == account.number_hash:
        raise UserError("不能委托自己")
    limits.spend("invitations_per_person", str(account.party_id))
    agency = Agency.objects.create(
        kind=rules.AGENT,
        principal=held.principal,
        invited_hash=adapters.number_hash(plain),
        invited_mask=f"{mask_value('name', name.strip() or '某')} {mask_value('citizen_number', plain)}",
        scope=[s for s in rules.SCOPES if s in scope],
        since=since,
        until=until,
    )
    record("agency.offered", agency, by=by, data={"scope": agency.scope, "until": until})
    return agency


@action(None)
def accept_agency(agency: int, *, by: Actor) -> Agency:
    """Accept a mandate that waits for the actor's proven number."""
    account = _proven(by)
    found = (
        Agency.objects.select_for_update()
        .filter(pk=agency, invited_hash=account.number_hash or "-", accepted_at=None, ended_at=None)
        .first()
    )
    if found is None:
        raise UserError("这份委托已经撤回或处理过")
    found.agent, found.accepted_at = account.party, timezone.now()
    found.save(update_fields=["agent", "accepted_at"])
    record("agency.accepted", found, by=by, data={"kind": found.kind})
    return found


@action(None)
def end_agency(agency: int, *, by: Actor) -> None:
    """End a mandate: by its agent, or by the representative who gave it; a guardian's at the counter.

    A representative lays down his own representation; the firm does it by its new representative,
    whose binding ends the former (`claim_firm`, `bind_representative`).
    """
    found = Agency.objects.select_for_update().filter(pk=agency, ended_at=None).first()
    mine = queries.own_agencies(by)
    known = {a.pk for part in mine.values() for a in part}
    if found is None or found.pk not in known:
        raise UserError("没有这份委托，或者它已经终止")
    if found.kind == rules.GUARDIAN:
        raise UserError("监护关系的变更请到窗口办理")
    if found.kind == rules.REPRESENTATIVE:
        _end_representation(found, by, "法定代表人本人在线终止")
        return
    found.ended_at = timezone.now()
    found.save(update_fields=["ended_at"])
    record("agency.ended", found, by=by)


@action(None)
def add_child(name: str, number: str, *, by: Actor) -> Agency | None:
    """A proven adult becomes the guardian of a child of the same household; None with no reason told.

    The population library must have the child's name and number, and both under one household
    number; other guardians (by court, by appointment) are entered at the counter. Ends at 18.
    """
    account = _proven(by)
    plain = checked_number(number)
    today = timezone.localdate()
    born = rules.birth_of(plain)
    if rules.age_on(born, today) >= rules.ADULT:
        raise UserError("已满十八周岁的，请本人注册")
    own = number_of(account)
    if rules.age_on(rules.birth_of(own), today) < rules.ADULT:
        raise UserError("监护人须年满十八周岁")
    if not adapters.same_person(name, plain) or not adapters.same_household(own, plain):
        record("identity.refused", account, by=by, data={"way": rules.GUARDIAN_WAY})
        return None
    child = find_person(plain, name=name, by=by)
    identity = Account.objects.select_for_update().get(party=child)
    if identity.level < rules.ELEMENTS:
        identity.level, identity.way = rules.ELEMENTS, rules.GUARDIAN_WAY
        identity.proved_at = timezone.now()
        identity.save()
    agency, made = Agency.objects.get_or_create(
        kind=rules.GUARDIAN,
        principal=child,
        agent=account.party,
        ended_at=None,
        defaults={
            "since": today,
            "until": rules.adult_on(born) - dt.timedelta(days=1),
            "accepted_at": timezone.now(),
            "scope": list(rules.SCOPES),
        },
    )
    record("agency.accepted", agency, by=by, data={"kind": agency.kind, "new": made})
    return agency


@action("identity.prove")
def bind_guardian(
    code: str,
    name: str,
    number: str,
    ground: str,
    paper: str,
    until: dt.date | None,
    seen: bool,
    *,
    by: Actor,
) -> Agency:
    """At the counter: a proven adult is somebody's guardian by appointment, court or parenthood.

    The ward (a child, or an adult by an authority's or court's paper, 民法典 art. 28) must stand in
    the population library by this name and number. `until` is the day of review, for adults.
    """
    visit = open_visit(code, by)
    account = visit.account
    need_proven(account)
    if ground not in rules.GUARDIANSHIPS or not paper.strip() or not seen:
        raise UserError("请选择监护依据、填写文书编号，并核对文书和本人")
    plain, today = checked_number(number), timezone.localdate()
    born = rules.birth_of(plain)
    if rules.age_on(rules.birth_of(number_of(account)), today) < rules.ADULT:
        raise UserError("监护人须年满十八周岁")
    if adapters.number_hash(plain) == account.number_hash:
        raise UserError("不能登记为自己的监护人")
    adult = rules.age_on(born, today) >= rules.ADULT
    if problem := rules.guardian_problem(adult, until, today, born, ground):
        raise UserError(problem)
    if not adapters.same_person(name, plain):
        record("identity.refused", account, by=by, data={"way": rules.GUARDIAN_WAY})
        raise UserError("被监护人的姓名和号码与人口库不一致，请核对文书")
    ward = find_person(plain, name=name, by=by)
    identity = Account.objects.select_for_update().get(party=ward)
    if identity.level < rules.ELEMENTS:
        identity.level, identity.way = rules.ELEMENTS, rules.GUARDIAN_WAY
        identity.proved_at = timezone.now()
        identity.save()
    last = until if adult else rules.adult_on(born) - dt.timedelta(days=1)
    agency, made = Agency.objects.get_or_create(
        kind=rules.GUARDIAN,
        principal=ward,
        agent=account.party,
        ended_at=None,
        defaults={
            "since": today,
            "until": last,
            "accepted_at": timezone.now(),
            "scope": list(rules.SCOPES),
        },
    )
    agency.basis = f"{rules.GUARDIANSHIPS[ground]} {paper.strip()}"[:200]
    agency.until = last
    agency.save(update_fields=["basis", "until"])
    visit.closed_at = timezone.now()
    visit.save(update_fields=["closed_at"])
    record(
        "agency.accepted", agency, by=by,
        data={"kind": agency.kind, "new": made, "ground": ground},
    )  # fmt: skip
    return agency


@action("identity.prove")
def end_at_counter(code: str, agency: int, paper: str, seen: bool, *, by: Actor) -> Agency:
    """At the counter: end the visitor's representation or guardianship, by a paper.

    The agents whom a representative appointed end with him.
    """
    visit = open_visit(code, by)
    found = (
        Agency.objects.select_for_update()
        .filter(pk=agency, agent=visit.account.party, ended_at=None)
        .first()
    )
    if found is None:
        raise UserError("来访人没有这项代理关系，或者它已经终止")
    if not paper.strip() or not seen:
        raise UserError("请填写终止依据，并核对文书和本人")
    now, why = timezone.now(), paper.strip()
    if found.kind == rules.REPRESENTATIVE:
        _end_representation(found, by, why)
    else:
        found.ended_at, found.basis = now, f"{found.basis}；终止：{why}"[:200].lstrip("；")
        found.save(update_fields=["ended_at", "basis"])
        record("agency.ended", found, by=by, data={"kind": found.kind})
    visit.closed_at = now
    visit.save(update_fields=["closed_at"])
    return found


# ---- leave cover -----------------------------------------------------------------------------


@action("identity.manage", department=department_of)
def cover_leave(
    absent: User, deputy: User, since: dt.date, until: dt.date, reason: str, *, by: Actor
) -> list[Cover]:
    """Let a colleague fill an officer's posts for some days, each department's as one arrangement.

    Administrators' posts of the three kinds go only to somebody who holds none of the others
    (三员分立); nobody arranges his own cover. Posts the deputy has anyway are left alone.
    """
    assert absent.party is not None
    assert deputy.party is not None
    if by.party is not None and by.party.pk in (absent.party_id, deputy.party_id):
        raise UserError("不能为自己安排代理，请由另一位管理员办理")
    if absent.party_id == deputy.party_id:
        raise UserError("请选择另一位同事")
    longest = int(queries.cover_rule()["longest_days"])
    problem = rules.cover_problem(since, until, timezone.localdate(), longest)
    if problem:
        raise UserError(problem)
    if not reason.strip():
        raise UserError("请填写代理事由，例如“年休假”")
    User.objects.select_for_update().get(pk=deputy.pk)
    if deputy.pk not in {u.pk for u in queries.colleagues(by, absent)}:
        raise UserError("代理人须是同一部门的在用账号")
    held = list(deputy.party.memberships.values_list("role", flat=True))
    whole = by.departments("identity.manage") is None
    made: list[Cover] = []
    posts: dict[int, list[Membership]] = {}
    for post in absent.party.memberships.filter(until=None).select_related("department"):
        posts.setdefault(post.department_id, []).append(post)
    for rows in posts.values():
        given: list[str] = []
        filled = False
        for post in rows:
            declared = roles().get(post.role)
            if declared is None or (declared.scope == "all" and not whole):
                continue
            if rules.role_conflict(held, post.role):
                raise UserError(
                    "系统、安全、审计三类管理员须由不同的人担任（三员分立），不能由此人代理"
                )
            _, new = Membership.objects.get_or_create(
                party=deputy.party,
                department=post.department,
                role=post.role,
                defaults={"since": since, "until": until},
            )
            filled = True
            if new:
                given.append(post.role)
                held.append(post.role)
        if filled:  # also where the deputy holds the post already: what was claimed comes to him
            made.append(
                Cover.objects.create(
                    absent=absent.party,
                    deputy=deputy.party,
                    department=rows[0].department,
                    roles=given,
                    since=since,
                    until=until,
                    reason=reason.strip()[:100],
                )
            )
    if not made:
        raise UserError("没有可以代理的任职：它们只能由市级管理员安排")
    titles = "、".join(roles()[r].title for c in made for r in c.roles) or "同岗代理"
    for user, who in ((absent, deputy), (deputy, absent)):
        record(
            "cover.arranged",
            user,
            by=by,
            data={"with": who.username, "since": since, "until": until, "note": titles},
        )
    return made


def _absent_department(cover: Cover, *args: Any, **kwargs: Any) -> Party:
    return cover.department


@action("identity.manage", department=_absent_department)
def end_cover(cover: Cover, *, by: Actor) -> None:
    """End a leave cover before its day: the deputy's temporary posts go at once."""
    if cover.ended_at is not None:
        raise UserError("这项代理已经结束")
    Membership.objects.filter(
        party=cover.deputy,
        department=cover.department,
        role__in=cover.roles,
        since=cover.since,
        until=cover.until,
    ).delete()
    cover.ended_at = timezone.now()
    cover.save(update_fields=["ended_at"])
    record("cover.ended", cover.deputy.account, by=by, data={"with": cover.absent.ref})


__all__ = [
    "NOT_HEAD",
    "NOT_PROVEN",
    "accept_agency",
    "add_child",
    "appoint_agent",
    "bind_guardian",
    "bind_representative",
    "claim_firm",
    "compare_representatives",
    "cover_leave",
    "end_agency",
    "end_at_counter",
    "end_cover",
    "end_representations",
    "rename_entity",
    "represent_new_firm",
]
