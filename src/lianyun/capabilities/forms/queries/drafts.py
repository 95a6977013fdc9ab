"""Query: a draft for who may see it, what stands in it, what is still missing, and its summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Party
from lianyun.kernel.rows import together

from .. import adapters, rules
from ..models import Attachment, Declaration, Draft
from ..rules.content import Content, Filled

KEPT_DAYS = 90
"""So long after its last change an unfinished draft is kept (docs/guides/forms.md)."""


def walks(viewer: Actor, found: Draft) -> bool:
    """Whether the viewer may fill this draft in: its owner, who acts for the owner, who helps there.

    Asked anew each time: a mandate that has ended opens nothing.
    """
    if viewer.party is None:
        return False
    if viewer.party.pk == found.owner_id:
        return True
    if viewer.party.pk == found.helper_id and found.closed_at is None:
        return True
    return identity.may_act(viewer.party, found.owner, "apply")


def _with_parties(code: str) -> Draft | None:
    """The draft of this code, its owner and its helper, in one statement: what pages read most."""
    rows = together(
        ((Draft, "d"), (Party, "o"), (Party, "h")),
        "FROM forms_draft d JOIN kernel_party o ON o.id = d.owner_id"
        " LEFT JOIN kernel_party h ON h.id = d.helper_id WHERE d.code = %s",
        [code],
    )
    if not rows:
        return None
    found: Draft = rows[0][0]
    found.owner, found.helper = rows[0][1], rows[0][2]
    return found


def draft(viewer: Actor, code: str) -> Draft:
    """The draft of this code for who may fill it in; Http404 for everybody else, as if it were not."""
    found = _with_parties(code)
    if found is None or not walks(viewer, found):
        raise Http404("no such draft")
    return found


def drafts(viewer: Actor) -> QuerySet[Draft]:
    """Unfinished drafts of the viewer, of whom the viewer acts for, and where the viewer helps."""
    if viewer.party is None:
        return Draft.objects.none()
    principals = [
        a.principal_id
        for a in identity.agencies(viewer.party)
        if identity.may_act(viewer.party, a.principal, "apply")
    ]
    mine = Q(owner_id__in=[viewer.party.pk, *principals]) | Q(helper=viewer.party)
    return Draft.objects.filter(mine, closed_at=None).select_related("owner").distinct()


def kept_until(found: Draft) -> dt.date:
    """The day after which an unfinished draft is thrown away."""
    return timezone.localdate(found.changed_at) + dt.timedelta(days=KEPT_DAYS)


def files_of(found: Draft) -> dict[str, list[dict[str, Any]]]:
    """The draft's files by slot, as answers hold them."""
    out: dict[str, list[dict[str, Any]]] = {}
    rows = together(
        ((Attachment, "a"),),
        "FROM forms_attachment a WHERE a.draft_id = %s ORDER BY a.id",
        [found.pk],
    )
    for (one,) in rows:
        out.setdefault(one.slot, []).append(
            {
                "code": one.code,
                "name": one.name,
                "media": one.media,
                "size": one.size,
                "sha256": one.sha256,
            }
        )
    return out


@dataclass
class Opened:
    """A draft with everything a page needs of it, read once."""

    draft: Draft
    form: rules.Form
    content: Content
    files: dict[str, list[dict[str, Any]]]
    means: rules.Means
    answers: dict[str, Any] = field(init=False)
    shown: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.answers = rules.with_files(self.form, self.content.answers, self.files)
        self.shown = rules.visible(self.form, self.answers, self.means)

    @property
    def parts(self) -> list[rules.Part]:
        """The parts that are asked, in order."""
        return [p for p in self.form.parts if p.id in self.shown]

    @property
    def fixed(self) -> frozenset[str]:
        """Fields that were filled in from a source and may not be changed here."""
        return frozenset(
            f.id
            for _, f in self.form.plain_fields()
            if f.locked and f.id in self.content.filled and not self.content.corrected(f.id)
        )

    def problems(self) -> dict[str, rules.Checked]:
        """What is still missing or only typed, by part."""
        found = rules.problems(self.form, self.answers, self.means, self.files, shown=self.shown)
        for part in self.parts:
            if part.id in self.content.typed:
                told = "有填写了但还没有保存的内容，请核对后保存"
                more = found[part.id].errors if part.id in found else {}
                found[part.id] = rules.Checked(errors={part.id: told, **more})
        return found


def form_of(found: Draft) -> rules.Form:
    """A draft's form: as it was when it was closed, else as it is; Http404 where there is none."""
    try:
        if not found.declared:
            return adapters.form(found.forms)
        if isinstance(found.declared[0], str):
            return _as_it_was(tuple(found.declared))
        return adapters.form_of(found.declared)
    except (KeyError, rules.BadForm) as gone:
        raise Http404("form is gone") from gone


@lru_cache(maxsize=256)
def _as_it_was(digests: tuple[str, ...]) -> rules.Form:
    """The form of kept declarations; under its digest one never changes, so each is read once."""
    kept = Declaration.objects.in_bulk(digests)
    return adapters.form_of([kept[digest].content for digest in digests])


def opened(found: Draft) -> Opened:
    """A draft unsealed; raises Http404 where its form is no longer declared."""
    form = form_of(found)
    content = Content.of(adapters.unseal(found.sealed))
    return Opened(found, form, content, files_of(found), adapters.means())


# ---- for siblings --------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One answered question: its title, the answer in words, whence it came, the files with it."""

    name: str
    title: str
    text: str
    source: str = ""
    corrected: bool = False
    files: tuple[Mapping[str, Any], ...] = ()
    masked: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the summary; a repeated part gives one for each row (`row` from 1)."""

    part: str
    title: str
    lines: tuple[Line, ...]
    row: int = 0


def answers(viewer: Actor, found: Draft, code: str = "", department: Party | None = None) -> Any:
    """What counts of a draft's answers, in clear: for who fills it in, or holds `forms.reveal`.

    Whoever shows them to an officer records the reading. Raises Denied.
    """
    if not walks(viewer, found):
        viewer.require("forms.reveal", department)
    seen = opened(found)
    return rules.submitted(seen.form, seen.answers, seen.means, code)


def summary(
    viewer: Actor, found: Draft, *, department: Party | None = None, reveal: bool = False
) -> list[Section]:
    """The answered questions by part: in clear for who fills it in, else masked (`forms.read`).

    `reveal` shows an officer who holds `forms.reveal` everything. Raises Denied.
    """
    own = walks(viewer, found)
    if not own:
        viewer.require("forms.reveal" if reveal else "forms.read", department)
    return list(sections(opened(found), plain=own or reveal))


def sections(seen: Opened, *, plain: bool) -> Iterator[Section]:
    given = rules.submitted(seen.form, seen.answers, seen.means)
    for part in seen.parts:
        if part.repeat is None:
            lines = tuple(_line(seen, f, given[f.id], plain) for f in part.fields if f.id in given)
            if lines:
                yield Section(part.id, part.title, lines)
            continue
        for number, row in enumerate(given.get(part.id) or [], 1):
            lines = tuple(_line(seen, f, row[f.id], plain) for f in part.fields if f.id in row)
            yield Section(part.id, f"{part.title} {number}", lines, number)


def _line(seen: Opened, asked: rules.Field, value: Any, plain: bool) -> Line:
    text = rules.spoken(asked, value, seen.means)
    signed = asked.kind == "signature" and isinstance(value, dict) and value.get("name")
    hide = not plain and (asked.mask != "none" or (asked.personal and asked.kind == "text"))
    if signed and not plain:
        masked = str(mask_value("name", "".join(str(value["name"]).split())))
        text, hide = rules.spoken(asked, {**value, "name": masked}, seen.means), True
    elif hide:
        text = str(mask_value(asked.mask if asked.mask != "none" else "all", text))
    filled = seen.content.filled.get(asked.id)
    files: Sequence[Mapping[str, Any]] = ()
    if asked.kind in ("file", "signature"):
        files = value if isinstance(value, list) else value.get("files", ())
    return Line(
        asked.id,
        asked.title,
        text,
        filled.told if filled else "",
        seen.content.corrected(asked.id),
        tuple(files),
        hide,
    )


def attachments(
    viewer: Actor, found: Draft, *, department: Party | None = None, slot: str | None = None
) -> list[Attachment]:
    """The draft's files: for who fills it in, or holds `forms.read`; one slot's if given."""
    if not walks(viewer, found):
        viewer.require("forms.read", department)
    rows = found.attachments.all()
    return list(rows if slot is None else rows.filter(slot=slot))


def attachment(
    viewer: Actor, found: Draft, code: str, *, department: Party | None = None
) -> tuple[Attachment, bytes]:
    """One file and its bytes; Http404 where there is none. Raises Denied."""
    if not walks(viewer, found):
        viewer.require("forms.read", department)
    one = found.attachments.filter(code=code).first()
    data = adapters.get_file(code) if one is not None else None
    if one is None or data is None:
        raise Http404("no such file")
    return one, data


def by_code(viewer: Actor, code: str) -> Draft:
    """A draft by its code for a sibling that has judged the viewer's right itself (or will).

    Everything read from it is judged again. Raises Http404.
    """
    found = _with_parties(code)
    if found is None or not viewer.known:
        raise Http404("no such draft")
    return found


__all__ = [
    "KEPT_DAYS",
    "Content",
    "Filled",
    "Line",
    "Opened",
    "Section",
    "answers",
    "attachment",
    "attachments",
    "by_code",
    "draft",
    "drafts",
    "form_of",
    "kept_until",
    "opened",
    "summary",
    "walks",
]
