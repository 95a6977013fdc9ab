"""Actions of forms: a draft opened, filled in, saved part by part, its files kept, closed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import Http404
from django.utils import timezone

from lianyun.capabilities.editions import api as editions
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party
from lianyun.kernel.rows import together

from . import adapters, queries, rules
from .models import Attachment, Declaration, Draft
from .rules import files as kinds
from .rules.content import Content, Filled

MAX_CONTENT = 600_000
"""Characters of a draft's content: far above any honest form."""
MAX_ATTACHMENTS = 100


def _inside(address: str) -> str:
    """An address of this site; UserError for anything else."""
    if not address.startswith("/") or address.startswith("//") or "\\" in address:
        raise UserError("返回地址不在本站")
    return address


def _write(draft: Draft, content: Content) -> None:
    """Seal a changed content into its locked row."""
    text = content.text()
    if len(text) > MAX_CONTENT:
        raise UserError("填写的内容太多，请缩短后再保存")
    draft.sealed = adapters.seal(text)
    draft.version += 1
    draft.changed_at = timezone.now()
    draft.save(update_fields=["sealed", "version", "changed_at"])


def _locked(draft: Draft, by: Actor) -> queries.Opened:
    """The draft as it is now, held until the transaction ends, for who may fill it in while it is open."""
    _hold(draft, by)
    if draft.closed_at is not None:
        raise UserError("这份申请表已经提交，不能再修改；需要更正请在“我的办件”里补正或重新申请")
    return queries.opened(draft)


def _hold(draft: Draft, by: Actor) -> None:
    """Lock the draft's row and read it anew, for who may fill it in; Http404 for everybody else."""
    fresh = Draft.objects.select_for_update()
    draft.refresh_from_db(from_queryset=fresh)
    if not by.everything and not queries.walks(by, draft):
        raise Http404("no such draft")


@action(None)
def open_draft(
    forms: Sequence[str],
    owner: Party,
    *,
    subject: str,
    once: str,
    back_to: str,
    next_to: str,
    by: Actor,
) -> Draft:
    """Begin to fill in one form, or several merged, for `owner`; the same `once` gives the same draft.

    `by` may fill it in too: who acts for the owner by mandate (asked anew each time), or who helps
    (a village clerk, a counter: as long as the draft is open; the caller has judged that right).
    UserError for a form that does not exist.
    """
    try:
        adapters.form(list(forms))
    except (KeyError, rules.BadForm) as wrong:
        raise UserError(f"没有这张表单：{wrong}") from wrong
    helper = None
    if by.party is not None and by.party != owner:
        helper = None if identity.may_act(by.party, owner, "apply") else by.party
    made, new = Draft.objects.get_or_create(
        owner=owner,
        once=once,
        defaults={
            "code": secrets.token_urlsafe(15),
            "forms": list(forms),
            "declared": _kept(adapters.frozen_at_opening(list(forms))),
            "helper": helper,
            "subject": subject,
            "back_to": _inside(back_to),
            "next_to": _inside(next_to),
            "sealed": adapters.seal(Content().text()),
        },
    )
    kind = "draft.opened" if new else "draft.reopened"
    record(kind, made, by=by, data={"forms": list(forms), "subject": subject})
    return made


@action(None)
def fill(draft: Draft, values: Mapping[str, Filled], *, by: Actor) -> list[str]:
    """Put in what the city knows, shown with its source; returns the fields that were filled.

    What the person has already answered otherwise stays. A value that the field would not take
    (a code that is not in the list, a wrong date) is left out, so that nobody is stuck with it.
    A repeated part takes a list of rows.
    """
    seen = _locked(draft, by)
    content, done = seen.content, []
    for name, known in values.items():
        value = _acceptable(seen, name, known.value)
        if value is None:
            continue
        before = content.filled.get(name)
        if content.answers.get(name) in (None, [], before.value if before else None):
            content.answers[name] = value
        content.filled[name] = Filled(value, known.source, known.as_of, known.ref)
        done.append(name)
    if done:
        _write(seen.draft, content)
    sources = sorted({values[n].source for n in done})
    record("draft.filled", draft, by=by, data={"fields": done, "sources": sources})
    return done


def _acceptable(seen: queries.Opened, name: str, value: Any) -> Any:
    for part in seen.form.parts:
        if part.repeat is not None and part.id == name and isinstance(value, list):
            rows = []
            for told in value[: part.repeat.high]:
                row = {f.id: _parsed(seen, f, told.get(f.id)) for f in part.fields}
                rows.append({rules.ROW_ID: rules.new_row_id(), **row})
            return rows or None
    try:
        return _parsed(seen, seen.form.field(name), value)
    except KeyError:
        return None


def _parsed(seen: queries.Opened, asked: rules.Field, value: Any) -> Any:
    if value is None or asked.kind in ("file", "signature", "declaration"):
        return None
    raw = [str(v) for v in value] if isinstance(value, list | tuple) else [_text(value)]
    try:
        return rules.parse(asked, raw, seen.means)
    except rules.Wrong:
        return None


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="minutes")
    return value.isoformat() if isinstance(value, dt.date) else str(value)


# ---- parts ---------------------------------------------------------------------------------


@dataclass
class Saved:
    """What became of a posted part: `good`; else `errors` by input, or `theirs`: another window's."""

    good: bool
    errors: dict[str, str] = field(default_factory=dict)
    stale: bool = False
    opened: queries.Opened | None = None


def _raw(seen: queries.Opened, part: rules.Part, posted: rules.Posted) -> dict[str, list[str]]:
    """What the part's inputs hold now, as texts that the database can keep."""
    before = seen.content.typed.get(part.id) or rules.posted_of(part, seen.answers)
    told = rules.completed(part, posted, before)
    return {name: [_clean(v) for v in values[:500]] for name, values in told.items()}


def _clean(text: str) -> str:
    """A raw text that the database can keep; what cannot be read is shown as such."""
    return text.replace("\x00", "\ufffd")[:20_001]


@action(None)
def save_part(
    draft: Draft, part_id: str, posted: rules.Posted, version: int, *, by: Actor
) -> Saved:
    """Keep a part's answers if they are all good, else keep what was typed and say what is wrong.

    `version` is the part's count of saves when the page was drawn: where another window has saved
    since, nothing is overwritten, and the person is told (`stale`). The same answers sent twice are
    saved once. Http404 for a part that is not asked.
    """
    seen = _locked(draft, by)
    part = _part(seen, part_id)
    raw = _raw(seen, part, posted)
    checked = rules.check(
        seen.form, part, raw, seen.answers, seen.means, files=seen.files, fixed=seen.fixed
    )
    checked.errors.update(rules.foreign_signatures(part, checked.values, _signers(seen.draft, by)))
    content = seen.content
    before = content.parts.get(part_id, 0)
    same = checked.ok and all(seen.answers.get(n) == v for n, v in checked.values.items())
    if version != before and not same:
        content.typed[part_id] = raw
        _write(seen.draft, content)
        record("draft.typed", draft, by=by, data={"part": part_id, "stale": True})
        return Saved(False, checked.errors, True, replace(seen))
    if not checked.ok:
        content.typed[part_id] = raw
        _write(seen.draft, content)
        record("draft.typed", draft, by=by, data={"part": part_id, "wrong": len(checked.errors)})
        return Saved(False, checked.errors, False, replace(seen))
    content.answers.update(checked.values)
    content.typed.pop(part_id, None)
    if version == before:
        content.parts[part_id] = before + 1
    _write(seen.draft, content)
    record("draft.saved", draft, by=by, data={"part": part_id})
    return Saved(True, opened=replace(seen))


def _signers(draft: Draft, by: Actor) -> set[str]:
    """Whose name may stand for the signature: the applicant's, or that of who acts for him."""
    return {draft.owner.name, *([by.party.name] if by.party is not None else [])}


def _part(seen: queries.Opened, part_id: str) -> rules.Part:
    try:
        part = seen.form.part(part_id)
    except KeyError:
        raise Http404("no such part") from None
    if part.id not in seen.shown:
        raise Http404("this part is not asked")
    return part


@action(None)
def keep_typed(
    draft: Draft,
    part_id: str,
    posted: rules.Posted,
    version: int,
    *,
    add: bool = False,
    drop: str = "",
    by: Actor,
) -> queries.Opened:
    """Keep what was typed into a part without judging it: on leaving it, or to add or drop a row.

    A late word of a window that another has overtaken is not kept.
    """
    seen = _locked(draft, by)
    part = _part(seen, part_id)
    content = seen.content
    raw = _raw(seen, part, posted)
    late = version != content.parts.get(part_id, 0)
    if part.repeat is not None and (add or drop):
        raw = _rows(part, raw, add=add, drop=drop)
        if drop:
            _drop_row(seen.draft, part, drop)
    if not (late and not add and not drop):
        content.typed[part_id] = raw
        _write(seen.draft, content)
    record("draft.typed", draft, by=by, data={"part": part_id})
    return queries.opened(draft) if drop else replace(seen)


def _rows(
    part: rules.Part, raw: Mapping[str, list[str]], *, add: bool, drop: str
) -> dict[str, list[str]]:
    """The typed rows with one more, or without the one of this id, numbered anew."""
    assert part.repeat is not None
    out: dict[str, list[str]] = {}
    at = 0
    for number in rules.rows_posted(part, raw):
        told = raw.get(f"{part.id}-{number}-{rules.ROW_ID}") or [""]
        if drop and told[0] == drop:
            continue
        out[f"{part.id}-{at}-{rules.ROW_ID}"] = told
        for asked in part.fields:
            value = raw.get(rules.input_name(part, asked, number))
            if value is not None:
                out[rules.input_name(part, asked, at)] = value
        at += 1
    if add:
        if at >= part.repeat.high:
            raise UserError(f"最多填写 {part.repeat.high} 项")
        out[f"{part.id}-{at}-{rules.ROW_ID}"] = [rules.new_row_id()]
    return out


def _drop_row(draft: Draft, part: rules.Part, row_id: str) -> None:
    slots = [rules.slot_of(part, f, row_id) for f in part.fields]
    _forget(list(draft.attachments.filter(slot__in=slots)))


@action(None)
def discard_typed(draft: Draft, part_id: str, *, by: Actor) -> None:
    """Throw away what was typed into a part and not saved."""
    seen = _locked(draft, by)
    if seen.content.typed.pop(part_id, None) is not None:
        _write(seen.draft, seen.content)
    record("draft.discarded", draft, by=by, data={"part": part_id})


# ---- files ---------------------------------------------------------------------------------


@action(None)
def keep_attachment(
    draft: Draft,
    slot: str,
    uploaded: UploadedFile | tuple[str, bytes],
    *,
    accept: Sequence[str] = ("pdf", "image"),
    most: int = 10,
    alone: bool = False,
    by: Actor,
) -> Attachment:
    """Keep a file in one of the draft's slots, sealed; the same bytes twice in a slot are one.

    What it is is told from its bytes. UserError says what is wrong with it. `alone` takes the
    slot's other files away.
    """
    seen = _locked(draft, by)
    if isinstance(uploaded, tuple):
        name, data = uploaded
    else:
        if (uploaded.size or 0) > kinds.MAX_BYTES:
            raise UserError("文件超过 20 MB，请压缩或分成几个后再上传")
        name, data = uploaded.name or "", uploaded.read()
    try:
        kind = kinds.kind_of(data, accept)
    except rules.Wrong as wrong:
        raise UserError(str(wrong)) from wrong
    digest = hashlib.sha256(data).hexdigest()
    others = list(seen.draft.attachments.filter(slot=slot))
    known = next((a for a in others if a.sha256 == digest), None)
    if alone:
        _forget([a for a in others if a is not known])
    elif known is None and len(others) >= most:
        raise UserError(f"这里最多上传 {most} 个文件，请先删去不要的")
    if known is None and seen.draft.attachments.count() >= MAX_ATTACHMENTS:
        raise UserError(f"一份申请最多上传 {MAX_ATTACHMENTS} 个文件")
    if known is None:
        known = Attachment.objects.create(
            code=secrets.token_urlsafe(15),
            draft=seen.draft,
            slot=slot[:200],
            name=kinds.clean_name(name, kind),
            media=kind.media,
            size=len(data),
            sha256=digest,
            added_by=by.name,
        )
        adapters.put_file(known.code, data)
    record("draft.attached", draft, by=by, data={"slot": slot, "sha256": digest, "size": len(data)})
    return known


@action(None)
def drop_attachment(draft: Draft, code: str, *, by: Actor) -> None:
    """Take one of the draft's files away; nothing happens where it is gone already."""
    seen = _locked(draft, by)
    gone = list(seen.draft.attachments.filter(code=code))
    _forget(gone)
    record("draft.detached", draft, by=by, data={"slots": [a.slot for a in gone]})


def _forget(gone: Iterable[Attachment]) -> None:
    for one in gone:
        away = partial(adapters.drop_file, one.code)
        one.delete()
        transaction.on_commit(away)


@action(None)
def carry_over(source: Draft, target: Draft, *, by: Actor) -> bool:
    """Put what was answered in a merged draft into the draft of one of its forms.

    Sources, corrections and files of the form's own questions come along, nothing else of the merged
    draft does; whether the target lacks nothing now is returned. Both belong to one owner; UserError
    where they do not, or where the target's form is not among those of the source.
    """
    (code,) = target.forms
    _hold(source, by)
    if source.owner_id != target.owner_id or code not in source.forms:
        raise UserError("两份申请表不属于同一次办理")
    told, seen = queries.opened(source), _locked(target, by)
    content, slots = Content(parts=dict(seen.content.parts)), dict[str, str]()
    for part in told.form.parts:
        if part.repeat is not None:
            for own in (a.own for a in part.askers if a.form == code):
                names = {f: a.own for f in part.fields for a in f.askers if a.form == code}
                rows = told.content.answers.get(part.id) or []
                content.answers[own] = [
                    {
                        rules.ROW_ID: row[rules.ROW_ID],
                        **{n: row.get(f.id) for f, n in names.items()},
                    }
                    for row in rows
                ]
                for row in rows:
                    for f, name in names.items():
                        held = rules.slot_of(part, f, row[rules.ROW_ID])
                        slots[held] = rules.slot_of(
                            replace(part, id=own), replace(f, id=name), row[rules.ROW_ID]
                        )
            continue
        for asked in part.fields:
            for own in (a.own for a in asked.askers if a.form == code):
                slots[asked.id] = own
                if asked.id in told.content.answers:
                    content.answers[own] = told.content.answers[asked.id]
                if asked.id in told.content.filled:
                    content.filled[own] = told.content.filled[asked.id]
    _write(seen.draft, content)
    for one in told.draft.attachments.filter(slot__in=list(slots)):
        _, data = queries.attachment(by, told.draft, one.code)
        keep_attachment(
            target, slots[one.slot], (one.name, data), accept=kinds.NAMES, most=20, by=by
        )
    record("draft.carried_over", target, by=by, data={"from": source.ref, "form": code})
    return not queries.opened(target).problems()


# ---- the end -------------------------------------------------------------------------------


@action(None)
def confirm(draft: Draft, *, by: Actor) -> None:
    """The person has looked at all answers; UserError names the parts that still lack something."""
    seen = _locked(draft, by)
    _complete(seen)
    record("draft.confirmed", draft, by=by, data={"version": seen.draft.version})


def _complete(seen: queries.Opened) -> None:
    wrong = seen.problems()
    missing = [p.title for p in seen.parts if p.id in wrong]
    if missing:
        raise UserError(f"还没有填完：{'、'.join(missing)}")


@action(None)
def close_draft(draft: Draft, *, by: Actor) -> bool:
    """End the filling in: the answers stand as they are from now on. True for the first to do so.

    UserError where something is still missing. Its form is frozen with it, as it stands today.
    """
    _hold(draft, by)
    if draft.closed_at is not None:
        record("draft.closed_again", draft, by=by)
        return False
    _close(queries.opened(draft), by)
    return True


def _close(seen: queries.Opened, by: Actor) -> None:
    _complete(seen)
    draft = seen.draft
    draft.closed_at = timezone.now()
    if draft.declared:
        draft.save(update_fields=["closed_at"])
    else:
        told = adapters.declared(draft.forms)
        draft.declared = list(told)
        if not _written(draft):
            _kept(told)
            _written(draft)
    record("draft.closed", draft, by=by, data={"version": draft.version})


_CLOSING = (
    "UPDATE forms_draft SET closed_at = %s, declared = %s WHERE id = %s AND %s ="
    " (SELECT count(*) FROM forms_declaration WHERE digest = ANY(%s))"
)


def _written(draft: Draft) -> bool:
    """Write a draft's end; False where what it names as its declarations is not kept yet."""
    names = draft.declared or []
    values = [draft.closed_at, json.dumps(names), draft.pk, len(names), names]
    with connection.cursor() as cursor:
        cursor.execute(_CLOSING, values)
        return bool(cursor.rowcount)


def _kept(told: Mapping[str, Any]) -> list[str] | None:
    """Keep declarations under their digests, each once; returns the digests, None for none."""
    rows = [Declaration(digest=digest, content=content) for digest, content in told.items()]
    if rows:
        Declaration.objects.bulk_create(rows, ignore_conflicts=True)
    return list(told) or None


def submit(code: str, *, by: Actor) -> tuple[list[str], dict[str, Any]]:
    """End the filling in, and give what counts of the answers, in clear: the draft is read once.

    A part of its caller's action, without a savepoint of its own: a refusal ends that too. Returns
    the codes of its forms and the answers as `answers` of the api. A second call gives the same; from
    the first on a clerk who helped may not. UserError where something is missing; Http404 for
    everybody who may not fill it in.
    """
    held = together(((Draft, "d"),), "FROM forms_draft d WHERE d.code = %s FOR UPDATE", [code])
    draft: Draft | None = held[0][0] if held else None
    if draft is None or not (by.everything or queries.walks(by, draft)):
        raise Http404("no such draft")
    seen = queries.opened(draft)
    if draft.closed_at is None:
        _close(seen, by)
    else:
        record("draft.closed_again", draft, by=by)
    return list(draft.forms), rules.submitted(seen.form, seen.answers, seen.means, shown=seen.shown)


@action(None)
def reopen_draft(draft: Draft, *, next_to: str, by: Actor) -> None:
    """Let a closed draft be corrected (补正), on the form as it was; afterwards it goes to `next_to`."""
    _hold(draft, by)
    draft.closed_at = None
    draft.next_to = _inside(next_to)
    draft.changed_at = timezone.now()
    draft.save(update_fields=["closed_at", "next_to", "changed_at"])
    record("draft.reopened", draft, by=by, data={"next_to": next_to})


@action(None)
def tidy(*, by: Actor, now: dt.datetime | None = None) -> int:
    """Throw away unfinished drafts that nobody has touched for long, with their files; how many."""
    before = (now or timezone.now()) - dt.timedelta(days=queries.KEPT_DAYS)
    gone = list(Draft.objects.filter(closed_at=None, changed_at__lt=before)[:2000])
    for one in gone:
        _forget(one.attachments.all())
        one.delete()
    record("drafts.tidied", "draft:", by=by, data={"count": len(gone)})
    return len(gone)


@action("editions.publish")
def publish_form(code: str, data: Mapping[str, Any], *, note: str = "", by: Actor) -> int:
    """Make this declaration the form's newest edition; returns its number.

    It goes through the checks of packs' forms. Raises UserError naming what is wrong.
    """
    if code in adapters.forms():
        raise UserError(f"表单 {code} 由行业包声明，请在行业包里修改")
    if wrong := adapters.faults_of(code, data):
        raise UserError(f"申请表不能发布：{'；'.join(wrong[:3])}")
    made = editions.publish("forms", code, {**data, "code": code}, note=note, by=by)
    record("form.published", made, by=by, data={"form": code, "version": made.number})
    return made.number
