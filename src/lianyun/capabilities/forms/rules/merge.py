"""Merge: one form for several items (一表申请): what they share is asked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .form import BadForm, Field, Form, Part, Repeat

MAX_FORMS = 10


def merged(forms: Sequence[Form]) -> Form:
    """One form for several: parts of one id become one, fields of one element (or id) are asked once.

    A field with the id of another but another meaning is kept under `<form>__<id>`; each form's own
    name for a field stands with its askers. Raises BadForm for none, too many, or the same twice.
    """
    if not forms or len(forms) > MAX_FORMS:
        raise BadForm(f"一次可以合并 1 至 {MAX_FORMS} 张表")
    codes = tuple(f.code for f in forms)
    if len(set(codes)) != len(codes):
        raise BadForm("同一张表不用合并两次")
    if len(forms) == 1:
        return forms[0]
    parts: list[Part] = []
    for form in forms:
        for at, part in enumerate(form.parts):
            _add(parts, form.code, part, [p.id for p in form.parts[at + 1 :]])
    titles = "、".join(f.title for f in forms)
    note = "\n".join(f.note for f in forms if f.note)
    return Form("+".join(codes), titles, tuple(parts), codes, note)


def _names(parts: Sequence[Part]) -> set[str]:
    out = {p.id for p in parts}
    for part in parts:
        if part.repeat is None:
            out |= {f.id for f in part.fields}
    return out


def _add(parts: list[Part], code: str, part: Part, following: Sequence[str]) -> None:
    """Put one part in, before the first shared part that follows it: signatures stay at the end."""
    at = next(
        (
            n
            for n, p in enumerate(parts)
            if p.id == part.id and (p.repeat is None) == (part.repeat is None)
        ),
        None,
    )
    if at is None:
        taken = _names(parts)
        name = part.id if part.id not in taken else f"{code}__{part.id}"
        at = next((n for n, p in enumerate(parts) if p.id in following), len(parts))
        parts.insert(at, replace(part, id=name, fields=()))
    else:
        parts[at] = replace(
            parts[at],
            askers=(*parts[at].askers, *part.askers),
            rules=(*parts[at].rules, *part.rules),
            repeat=_wider(parts[at].repeat, part.repeat),
            note=parts[at].note or part.note,
        )
    for asked in part.fields:
        _ask(parts, at, code, asked)


def _wider(one: Repeat | None, other: Repeat | None) -> Repeat | None:
    if one is None or other is None:
        return None
    return replace(
        one,
        low=max(one.low, other.low),
        high=max(one.high, other.high),
        total=one.total or other.total,
    )


def _same(one: Field, other: Field) -> bool:
    if one.kind != other.kind:
        return False
    if one.element or other.element:
        return one.element == other.element
    return one.id == other.id and one.options == other.options and one.text == other.text


def _ask(parts: list[Part], at: int, code: str, asked: Field) -> None:
    """Put one field into the part at this place, or join it to the field that asks the same."""
    places = [at] if parts[at].repeat else [at, *(n for n in range(len(parts)) if n != at)]
    for place in places:
        if parts[place].repeat and place != at:
            continue
        for n, known in enumerate(parts[place].fields):
            # In another part the same question has the same id; an element may be asked of
            # several people (applicant, representative).
            if not _same(known, asked) or (place != at and known.id != asked.id):
                continue
            if code in {a.form for a in known.askers}:
                continue
            fields = list(parts[place].fields)
            fields[n] = replace(
                known,
                askers=(*known.askers, *asked.askers),
                locked=known.locked or asked.locked,
                sources=known.sources or asked.sources,
                help=known.help or asked.help,
            )
            parts[place] = replace(parts[place], fields=tuple(fields))
            return
    taken = {f.id for f in parts[at].fields} if parts[at].repeat else _names(parts)
    name = asked.id if asked.id not in taken else f"{code}__{asked.id}"
    parts[at] = replace(parts[at], fields=(*parts[at].fields, replace(asked, id=name)))
