"""Page: what one part shows: its questions with what is answered, known, wrong, and the way on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404

from .. import rules
from .drafts import Line, Opened, sections

MOST_RADIOS = 8
_SHOWN_TEXT = 6_000
_ACCEPT = {
    "pdf": ".pdf,application/pdf",
    "image": "image/png,image/jpeg",
    "ofd": ".ofd",
    "word": ".docx",
    "excel": ".xlsx",
}
_AUTOCOMPLETE = {"identity.name": "name", "identity.phone": "tel"}


@dataclass(frozen=True)
class Question:
    """One question as the page draws it. `name` is the input's name and the anchor of its error."""

    name: str
    slot: str
    asked: rules.Field
    optional: bool
    raw: tuple[str, ...] = ()
    options: tuple[tuple[str, str, bool], ...] = ()
    error: str = ""
    source: str = ""
    known: str = ""
    corrected: bool = False
    fixed: str = ""
    files: tuple[Mapping[str, Any], ...] = ()
    drives: bool = False
    autocomplete: str = ""

    @property
    def value(self) -> str:
        """The text in the input; a monstrous one is cut, so that the page stays one."""
        return self.raw[0][:_SHOWN_TEXT] if self.raw else ""

    @property
    def radios(self) -> bool:
        """Few enough to show them all."""
        return len(self.options) <= MOST_RADIOS

    @property
    def group(self) -> bool:
        """Whether it wants a fieldset with a legend."""
        return self.asked.kind in ("multi", "signature") or (
            self.asked.kind == "choice" and self.radios
        )

    @property
    def drawn(self) -> bool:
        """Whether it is a signature that was written by hand."""
        return self.asked.kind == "signature" and bool(self.files)

    @property
    def iso(self) -> bool:
        """Whether the text is what a date input understands."""
        return not self.value or bool(re.fullmatch(r"\d{4}-\d\d-\d\d", self.value))

    @property
    def accept(self) -> str:
        """What the file chooser offers."""
        return ",".join(_ACCEPT[a] for a in self.asked.accept)

    @property
    def describes(self) -> str:
        """Ids of what explains the input, for aria-describedby."""
        told = [
            ("help", bool(self.asked.help)),
            ("source", bool(self.source)),
            ("problem", bool(self.error)),
        ]
        return " ".join(f"{self.name}-{part}" for part, there in told if there)


@dataclass(frozen=True)
class Row:
    """One row of a repeated part."""

    id: str
    number: int
    questions: tuple[Question, ...]


@dataclass
class Page:
    """A part's page."""

    opened: Opened
    part: rules.Part
    version: int
    questions: tuple[Question, ...] = ()
    rows: tuple[Row, ...] = ()
    problems: list[tuple[str, str]] = field(default_factory=list)
    typed: bool = False
    parts: list[tuple[rules.Part, bool]] = field(default_factory=list)

    @property
    def at(self) -> int:
        """Which part it is, from 1."""
        return [p.id for p in self.opened.parts].index(self.part.id) + 1

    @property
    def total(self) -> int:
        """How many parts are asked."""
        return len(self.opened.parts)

    @property
    def share(self) -> int:
        """The part already walked, in percent."""
        return round(100 * (self.at - 1) / self.total)

    @property
    def before(self) -> str:
        """The part before, or an empty text."""
        ids = [p.id for p in self.opened.parts]
        at = ids.index(self.part.id)
        return ids[at - 1] if at else ""

    @property
    def full(self) -> bool:
        """Whether a repeated part takes no more rows."""
        repeat = self.part.repeat
        return repeat is not None and len(self.rows) >= repeat.high


def page(
    seen: Opened,
    part_id: str,
    *,
    errors: Mapping[str, str] | None = None,
) -> Page:
    """A part as it is to be drawn: what was typed, else what is answered; Http404 if it is not asked."""
    try:
        part = seen.form.part(part_id)
    except KeyError:
        raise Http404("no such part") from None
    if part.id not in seen.shown:
        raise Http404("this part is not asked")
    typed = part_id in seen.content.typed
    raw = seen.content.typed[part_id] if typed else rules.posted_of(part, seen.answers)
    if part.repeat is not None and not typed and not rules.rows_posted(part, raw):
        raw = {
            f"{part.id}-{n}-{rules.ROW_ID}": [f"row{n:03d}"] for n in range(max(part.repeat.low, 0))
        }
    loose = rules.check(
        seen.form, part, raw, seen.answers, seen.means, files=seen.files, fixed=seen.fixed
    )
    answers = {**seen.answers, **loose.values}
    wrong = dict(errors or {})
    wrongs = seen.problems() if errors is None else {}
    made = Page(
        seen,
        part,
        seen.content.parts.get(part_id, 0),
        typed=typed,
        parts=[(p, p.id not in wrongs) for p in seen.parts],
    )
    if part.repeat is None:
        shown = rules.visible(seen.form, answers, seen.means)
        made.questions = tuple(
            _question(seen, part, f, raw, wrong) for f in part.fields if f.id in shown
        )
        order = [q.name for q in made.questions]
    else:
        rows = answers.get(part.id) or []
        numbers = rules.rows_posted(part, raw)
        made.rows = tuple(
            _row(seen, part, number, row, raw, wrong, answers)
            for number, row in zip(numbers, rows, strict=False)
        )
        order = [part.id, *(q.name for row in made.rows for q in row.questions)]
    titles = {q.name: q.asked.title for q in made.questions}
    for row in made.rows:
        titles |= {q.name: f"第 {row.number} 项{q.asked.title}" for q in row.questions}
    made.problems = [
        (name, f"{titles[name]}：{wrong[name]}" if name in titles else wrong[name])
        for name in [*order, *(n for n in wrong if n not in order)]
        if name in wrong
    ]
    return made


def _row(
    seen: Opened,
    part: rules.Part,
    number: int,
    row: Mapping[str, Any],
    raw: Mapping[str, Sequence[str]],
    wrong: Mapping[str, str],
    answers: Mapping[str, Any],
) -> Row:
    shown = rules.row_visible(seen.form, part, row, answers, seen.means)
    name = str(row[rules.ROW_ID])
    told = (raw.get(f"{part.id}-{number}-{rules.ROW_ID}") or [""])[0] or name
    return Row(
        told,
        number + 1,
        tuple(
            _question(seen, part, f, raw, wrong, number, told) for f in part.fields if f.id in shown
        ),
    )


def _question(
    seen: Opened,
    part: rules.Part,
    asked: rules.Field,
    raw: Mapping[str, Sequence[str]],
    wrong: Mapping[str, str],
    number: int | None = None,
    row_id: str = "",
) -> Question:
    name = rules.input_name(part, asked, number)
    slot = rules.slot_of(part, asked, row_id)
    given = tuple(raw.get(name, ()))
    options: tuple[tuple[str, str, bool], ...] = ()
    if asked.kind in ("choice", "multi"):
        options = tuple(
            (code, title, code in given) for code, title in rules.options_of(asked, seen.means)
        )
    filled = seen.content.filled.get(asked.id) if number is None else None
    fixed = ""
    if number is None and asked.id in seen.fixed:
        fixed = rules.spoken(asked, seen.answers.get(asked.id), seen.means)
    first = asked.sources[0] if asked.sources and number is None else None
    corrected = filled is not None and list(given) != [] and not _same(asked, given, filled.value)
    return Question(
        name=name,
        slot=slot,
        asked=asked,
        optional=not asked.required,
        raw=given,
        options=options,
        error=wrong.get(name, ""),
        source=filled.told if filled else "",
        known=rules.spoken(asked, filled.value, seen.means) if filled else "",
        corrected=corrected,
        fixed=fixed,
        files=tuple(seen.files.get(slot, ())),
        drives=asked.id in rules.drivers(part),
        autocomplete=_AUTOCOMPLETE.get(f"{first.kind}.{first.item}", "") if first else "",
    )


def _same(asked: rules.Field, given: Sequence[str], value: Any) -> bool:
    if asked.kind == "multi":
        return list(given) == list(value)
    return bool(given) and given[0].strip() == str(value)


def first(seen: Opened) -> str:
    """The first part in which something is missing, or an empty text when all is there."""
    wrong = seen.problems()
    return next((p.id for p in seen.parts if p.id in wrong), "")


def after(seen: Opened, part_id: str) -> str:
    """The part after this one, or an empty text after the last."""
    ids = [p.id for p in seen.parts]
    at = ids.index(part_id) if part_id in ids else len(ids)
    return ids[at + 1] if at + 1 < len(ids) else ""


@dataclass(frozen=True)
class CheckSection:
    """One part on the check page: its answers by rows, and what is still wrong in it."""

    part: rules.Part
    groups: tuple[tuple[str, tuple[Line, ...]], ...]
    problem: str = ""


def check_page(seen: Opened) -> list[CheckSection]:
    """All parts that are asked, with every answer in words, for who fills the draft in."""
    wrong = seen.problems()
    by_part: dict[str, list[tuple[str, tuple[Line, ...]]]] = {}
    for section in sections(seen, plain=True):
        title = section.title if section.row else ""
        by_part.setdefault(section.part, []).append((title, section.lines))
    return [
        CheckSection(
            p,
            tuple(by_part.get(p.id, ())),
            "；".join(dict.fromkeys(wrong[p.id].errors.values())) if p.id in wrong else "",
        )
        for p in seen.parts
    ]
