"""Forms' door: forms by code, drafts opened, filled in, read (masked), closed; files attached to them.

A draft's pages are `forms:begin` (/forms/<draft>/), `forms:part` and `forms:check`; the button of the
check page leads to the draft's `next_to`, where the owner of the draft's subject goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Party

from . import adapters, queries
from .actions import (
    close_draft,
    drop_attachment,
    fill,
    keep_attachment,
    open_draft,
    reopen_draft,
    save_part,
)
from .models import Attachment, Draft
from .queries import KEPT_DAYS, Line, Section
from .rules import Form, Source
from .rules.content import Filled


def form(code: str) -> Form:
    """The form of this code; UserError where no pack declares it."""
    return merged([code])


def merged(codes: Sequence[str]) -> Form:
    """One form for several items: fields of the same element and part are asked once; UserError."""
    try:
        return adapters.form(list(codes))
    except KeyError as gone:
        raise UserError(f"没有表单 {gone.args[0]}") from gone


def codes() -> list[str]:
    """Codes of all declared forms."""
    return sorted(adapters.forms())


def pack_faults() -> list[str]:
    """What is wrong in the forms that packs declare, one Chinese line each; empty when all is well."""
    return list(adapters.faults())


def sources(draft: Draft) -> dict[str, tuple[Source, ...]]:
    """Which fields of a draft's form the city may know, and whence, in the order to be tried."""
    return queries.opened(draft).form.sources()


def draft_of(code: str, viewer: Actor) -> Draft:
    """A draft by its code; what is read from it is judged again by `viewer`. Raises Http404."""
    return queries.by_code(viewer, code)


def drafts(viewer: Actor) -> list[Draft]:
    """Unfinished drafts of the viewer and of whom the viewer acts for or helps, newest first."""
    return list(queries.drafts(viewer))


def answers(
    draft: Draft, viewer: Actor, *, form: str = "", department: Party | None = None
) -> dict[str, Any]:
    """The answers that count, in clear: numbers as int or float, dates as ISO text, choices as codes,
    files as lists of {code, name, media, size, sha256}, repeated parts as lists of rows.

    `form` gives one form's own of a merged draft. For who fills it in, or who holds `forms.reveal`
    (for `department`); whoever shows them to an officer records the reading. Raises Denied.
    """
    return dict(queries.answers(viewer, draft, form, department))


def summary(
    draft: Draft, viewer: Actor, *, department: Party | None = None, reveal: bool = False
) -> list[Section]:
    """The answered questions by part: in clear for who fills it in, else masked (`forms.read`)."""
    return queries.summary(viewer, draft, department=department, reveal=reveal)


def attachments(
    draft: Draft, viewer: Actor, *, department: Party | None = None, slot: str | None = None
) -> list[Attachment]:
    """The files of a draft (of one slot), for who fills it in or holds `forms.read`."""
    return queries.attachments(viewer, draft, department=department, slot=slot)


def attachment(
    draft: Draft, code: str, viewer: Actor, *, department: Party | None = None
) -> tuple[Attachment, bytes]:
    """One file with its bytes; Http404 where it is gone. Whoever serves it to an officer records it."""
    return queries.attachment(viewer, draft, code, department=department)


def missing(draft: Draft, viewer: Actor) -> Mapping[str, str]:
    """Titles of the parts in which something is still missing, by part; empty when all is there."""
    seen = queries.opened(draft)
    wrong = seen.problems() if viewer.known else {}
    return {p.id: p.title for p in seen.parts if p.id in wrong}


__all__ = [
    "KEPT_DAYS",
    "Attachment",
    "Draft",
    "Filled",
    "Form",
    "Line",
    "Section",
    "Source",
    "answers",
    "attachment",
    "attachments",
    "close_draft",
    "codes",
    "draft_of",
    "drafts",
    "drop_attachment",
    "fill",
    "form",
    "keep_attachment",
    "merged",
    "missing",
    "open_draft",
    "pack_faults",
    "reopen_draft",
    "save_part",
    "sources",
    "summary",
]
