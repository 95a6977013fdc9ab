"""Rehearsal: a declared form drawn and filled in without a draft: nothing is kept, nobody is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import rules
from ..models import Draft
from ..rules.content import Content
from .drafts import Opened
from .page import Page, page

PAPER = {"code": "sample", "name": "样例文件.pdf", "media": "application/pdf", "size": 1024}
"""Stands for every file that the form asks for: nothing is uploaded in a rehearsal."""


@dataclass
class Rehearsal:
    """A form with what somebody invented would answer; the caller keeps the answers, if at all."""

    form: rules.Form
    means: rules.Means
    content: Content = field(default_factory=Content)

    def opened(self) -> Opened:
        """The form as its pages see a draft; files and signatures count as handed in."""
        files = {
            rules.slot_of(part, asked): [{**PAPER, "sha256": "0" * 64}]
            for part, asked in self.form.plain_fields()
            if asked.kind == "file"
        }
        return Opened(Draft(code="rehearsal"), self.form, self.content, files, self.means)

    def page(self, part: str, posted: Mapping[str, list[str]] | None = None) -> Page:
        """One part as it would be drawn, with what was posted; Http404 where it is not asked."""
        if posted is not None:
            asked = self.form.part(part)
            self.content.typed[part] = {
                k: list(v) for k, v in rules.completed(asked, posted, {}).items()
            }
        return page(self.opened(), part, errors={})

    def judge(self, part: str, posted: Mapping[str, list[str]]) -> tuple[Page, bool]:
        """A posted part judged as a real one is: its page with the errors, and whether all is good.

        Good answers are kept in `content`.
        """
        seen = self.opened()
        asked = self.form.part(part)
        raw = {k: list(v) for k, v in rules.completed(asked, posted, {}).items()}
        checked = rules.check(
            self.form, asked, raw, seen.answers, self.means, files=seen.files, fixed=frozenset()
        )
        if checked.ok:
            self.content.answers.update(checked.values)
            self.content.typed.pop(part, None)
        else:
            self.content.typed[part] = raw
        shown = self.opened()
        return page(shown, part, errors=checked.errors), checked.ok

    def answers(self) -> dict[str, Any]:
        """The answers that count, as a filed form gives them."""
        return rules.submitted(self.form, self.opened().answers, self.means)

    def lacking(self) -> dict[str, str]:
        """Titles of the parts in which something is still missing."""
        seen = self.opened()
        wrong = seen.problems()
        return {p.id: p.title for p in seen.parts if p.id in wrong}


__all__ = ["PAPER", "Rehearsal"]
