"""Forms' door: forms by code, drafts opened, filled in, read (masked), closed; files attached to them.

A draft's pages are `forms:begin` (/forms/<draft>/), `forms:part` and `forms:check`; the button of the
check page leads to the draft's `next_to`, where the owner of the draft's subject goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.models import Party

from . import actions, adapters, queries
from . import rules as _rules
from .actions import (
    carry_over,
    close_draft,
    drop_attachment,
    fill,
    keep_attachment,
    open_draft,
    reopen_draft,
    save_part,
    submit,
)
from .models import Attachment, Draft
from .queries import KEPT_DAYS, Line, Rehearsal, Section
from .rules import (
    KINDS,
    SOURCES,
    BadForm,
    Field,
    Form,
    Part,
    Source,
    input_name,
    options_of,
)
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
    """Codes of all forms, declared by packs or published in the browser."""
    return adapters.codes()


def titles() -> dict[str, str]:
    """The titles of the forms that packs declare, by code."""
    return {code: one.title for code, one in adapters.forms().items()}


def faults_of(code: str, data: Mapping[str, Any]) -> list[str]:
    """What is wrong with one declaration, by the very checks that packs go through; Chinese lines."""
    return adapters.faults_of(code, data)


def rehearsal(data: Mapping[str, Any]) -> Rehearsal:
    """A declaration to be drawn and tried without a draft; BadForm where it cannot be read."""
    return Rehearsal(adapters.form_of([data]), adapters.means())


def rehearsal_of(code: str) -> Rehearsal:
    """A form that exists, to be tried without a draft; UserError where there is none."""
    return Rehearsal(form(code), adapters.means())


def takes(asked: Field, text: str, means: Any) -> bool:
    """Whether a question would take this text."""
    try:
        _rules.parse(asked, [text], means)
    except _rules.Wrong:
        return False
    return True


def publish_form(code: str, data: Mapping[str, Any], *, note: str = "", by: Actor) -> int:
    """Make this declaration the form's newest edition; returns its number. Who has begun goes on as before.

    Raises UserError for a form that a pack declares, or one with faults.
    """
    return actions.publish_form(code, data, note=note, by=by)


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
    "KINDS",
    "SOURCES",
    "Attachment",
    "BadForm",
    "Draft",
    "Field",
    "Filled",
    "Form",
    "Line",
    "Part",
    "Rehearsal",
    "Section",
    "Source",
    "answers",
    "attachment",
    "attachments",
    "carry_over",
    "close_draft",
    "codes",
    "draft_of",
    "drafts",
    "drop_attachment",
    "faults_of",
    "fill",
    "form",
    "input_name",
    "keep_attachment",
    "merged",
    "missing",
    "open_draft",
    "options_of",
    "pack_faults",
    "publish_form",
    "rehearsal",
    "rehearsal_of",
    "reopen_draft",
    "save_part",
    "sources",
    "submit",
    "summary",
    "takes",
    "titles",
]
