"""The public's side: counts and limits, keys, ratings, requests, corrections, things made with the data."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.quality import api as quality
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.case import bureau
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, WorkItem
from lianyun.lake import release

from .. import adapters, rules
from ..models import Key, Opening, Rating, Use, Voice
from ..queries import site

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class TooMany(UserError):
    """More often than the declared limit; the text says when to come back."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


def spend(*, what: str, who: str, limit: int, opening: Opening | None = None) -> int:
    """Count one use in the current window and return how many are left; raises TooMany at none.

    `who` is an address or a key's number; only a keyed digest of it is stored. With `opening` the
    use also counts for the dataset's own figures. Counting is exact over all processes; a crash may
    lose the last few counts (the commit is not waited for), never a limit.
    """
    seconds = rules.WINDOWS[what]
    now = timezone.now()
    slot = rules.window(now, seconds)
    column, other = ("downloads", "calls") if what == "download" else ("calls", "downloads")
    used = f"""
        , used AS (
            INSERT INTO open_data_use (opening_id, day, {column}, {other})
            SELECT %s, %s, 1, 0 FROM counted WHERE times <= %s
            ON CONFLICT (opening_id, day) DO UPDATE SET {column} = open_data_use.{column} + 1
        )"""
    values: list[Any] = [what, adapters.blurred(who), slot]
    if opening is not None:
        values += [opening.pk, timezone.localdate(), limit]
    with connection.cursor() as cursor:  # one statement, one way to the server
        cursor.execute(
            f"""
            WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
            counted AS (
                INSERT INTO open_data_tally (what, who, slot, times) VALUES (%s, %s, %s, 1)
                ON CONFLICT (what, who, slot) DO UPDATE SET times = open_data_tally.times + 1
                RETURNING times
            ){used if opening is not None else ""}
            SELECT times FROM counted, quick""",
            values,
        )
        times = int(cursor.fetchone()[0])
    if times > limit:
        left = seconds - int(now.timestamp()) % seconds
        raise TooMany(f"访问过于频繁，请在 {_wait(left)}后再试", left)
    return limit - times


def _wait(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} 秒"
    return f"{-(-seconds // 60)} 分钟" if seconds < 5400 else f"{-(-seconds // 3600)} 小时"


def _limit(name: str) -> int:
    return int(site.settings()["rates"][name])


@action(None)
def count_uses(*, by: Actor) -> int:
    """Bring every opening's number of uses up to date from its days; returns the sum."""
    total = 0
    for opening in Opening.objects.filter(stage=rules.OPEN):
        uses = sum(u.downloads + u.calls for u in Use.objects.filter(opening=opening))
        if uses != opening.uses:
            Opening.objects.filter(pk=opening.pk).update(uses=uses)
        total += uses
    record("opening.counted", "system:open_data", by=by, data={"uses": total})
    return total


@action(None)
def give_key(*, title: str, address: str, by: Actor) -> str:
    """A new key for whoever asks, a few a day for an address; it is shown once and kept as a digest."""
    if not title.strip():
        raise UserError("请填写用途")
    spend(what="key", who=address, limit=_limit("keys"))
    text = rules.new_key()
    key = Key.objects.create(digest=rules.digest(text), hint=text[:8], title=title.strip()[:100])
    record("open_key.given", key, by=by, data={"title": key.title})
    return text


@action(None)
def rate(*, opening: Opening, stars: int, address: str, by: Actor) -> float | None:
    """One visitor's stars for a dataset; a second rating from the same address replaces the first."""
    if not 1 <= stars <= 5:
        raise UserError("请选择 1 到 5 星")
    spend(what="rating", who=address, limit=_limit("ratings"))
    who = adapters.blurred(f"rating:{address}")
    Rating.objects.update_or_create(
        opening=opening, who=who, defaults={"stars": stars, "at": timezone.now()}
    )
    mean = rules.average(list(opening.ratings.values_list("stars", flat=True)))
    Opening.objects.filter(pk=opening.pk).update(stars=mean)
    opening.stars = mean
    record("opening.rated", opening, by=by, data={"stars": stars})
    return mean


@action(None)
def speak(
    *,
    kind: str,
    title: str,
    told: str,
    opening: Opening | None = None,
    department: Party | None = None,
    who: str = "",
    contact: str = "",
    url: str = "",
    key: str = "",
    address: str,
    by: Actor,
) -> Voice:
    """What a visitor asks for, finds wrong or has made; becomes a case with a clock at an officer's desk.

    Raises UserError (what is missing, too many from one address). The voice's code is all the visitor
    needs to read the answer.
    """
    if kind not in rules.PATHS:
        raise UserError("请选择类别")
    if len(title.strip()) < 2 or len(told.strip()) < 5:
        raise UserError("请把标题和内容写清楚一些")
    holder = site.key_of(by, key) if key else None
    if kind == rules.ACCESS:
        if opening is None or not opening.conditional:
            raise UserError("该数据集无需申请即可使用")
        if holder is None:
            raise UserError("请填写密钥；还没有的，先免费申领")
        if not who.strip() or not contact.strip():
            raise UserError("申请使用须填写单位（个人）和联系方式，以便提供部门核实")
    if kind == rules.APPLICATION and not url:
        raise UserError("请填写成果的网址")
    spend(what="voice", who=address, limit=_limit("voices"))
    desk = department or (opening.provider if opening else None) or bureau()
    if kind == rules.APPLICATION:
        desk = bureau()
    voice = Voice.objects.create(
        code="".join(secrets.choice(ALPHABET) for _ in range(12)),
        kind=kind,
        opening=opening,
        department=desk,
        title=title.strip()[:100],
        told=told.strip(),
        who=who.strip()[:100],
        contact=contact.strip()[:100],
        url=url[:300],
        key=holder,
    )
    voice.case = cases.open_case(
        rules.PATHS[kind],
        title=f"{voice.get_kind_display()}：{voice.title}",
        subject=voice,
        department=desk,
        data={"kind": kind, "opening": opening.name if opening else ""},
        by=by,
    )
    voice.save(update_fields=["case"])
    record(
        "voice.raised",
        voice,
        by=by,
        case=voice.case,
        data={"kind": kind, "opening": opening.name if opening else ""},
        personal={"who": voice.who, "contact": voice.contact} if voice.contact else None,
    )
    return voice


def correct(
    *,
    opening: Opening,
    key: Mapping[str, str],
    item: str,
    told: str,
    address: str,
    by: Actor,
) -> Case:
    """A visitor says that a published value is wrong: the path of all corrections, ten working days.

    Only where the dataset's key is published, and only for a row that is. Raises UserError.
    """
    version = opening.current
    if version is None or not set(key) <= set(version.types) or item not in version.types:
        raise UserError("没有这一行或这个数据项")
    if len(told.strip()) < 5:
        raise UserError("请写明哪里有误、依据是什么")
    spend(what="voice", who=address, limit=_limit("voices"))
    filters = tuple((name, "eq", value.strip()) for name, value in key.items())
    _, found, _ = site.rows_of(by, opening, release.Question(filters=filters, limit=1))
    if not found:
        raise UserError("开放的数据中没有这一行，请核对后重填")
    # The visitor has no account; the system reports in the public's name.
    return quality.report_error(
        dataset=opening.resource.name,
        key={name: value.strip() for name, value in key.items()},
        item=item,
        told=f"公众反映：{told.strip()}",
        by=SYSTEM,
    )


@action(None)
def answer(*, item: WorkItem, outcome: str, note: str, publish: bool, by: Actor) -> Voice:
    """Do the step of a visitor's case; the note is what the visitor reads.

    `publish` also puts a request and its answer on the site. What was made with the data is shown
    once it is agreed to; an agreed use of conditional data opens it to the visitor's key.
    """
    voice = Voice.objects.select_related("opening", "key").get(case=item.case_id)
    case = cases.step(item, outcome, note=note, by=by)
    if case.state != Case.CLOSED:
        return voice
    voice.answer, voice.answered_at = note.strip(), timezone.now()
    if voice.kind == rules.APPLICATION:
        voice.shown = case.outcome == "shown"
    elif voice.kind == rules.REQUEST:
        voice.shown = publish
    if voice.kind == rules.ACCESS and case.outcome == "agreed" and voice.key and voice.opening:
        key = Key.objects.select_for_update().get(pk=voice.key.pk)
        if voice.opening.name not in key.allowed:
            key.allowed = [*key.allowed, voice.opening.name]
            key.save(update_fields=["allowed"])
    voice.save(update_fields=["answer", "answered_at", "shown"])
    record(
        "voice.answered",
        voice,
        by=by,
        case=case,
        data={"kind": voice.kind, "outcome": case.outcome, "shown": voice.shown},
    )
    return voice


def note_key_use(*, key: Key, today: Any) -> None:
    """Remember the last day on which a key was used."""
    if key.used_on != today:
        Key.objects.filter(pk=key.pk).update(used_on=today)
