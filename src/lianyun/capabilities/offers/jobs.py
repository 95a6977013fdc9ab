"""Jobs: evaluate after data changed; once a week what only time has changed."""

from __future__ import annotations

from collections.abc import Sequence

from lianyun.kernel.access import SYSTEM

from . import actions
from .rules.facts import SUBJECTS


def evaluate(subject: str, source: str = "", batch: str = "", codes: Sequence[str] = ()) -> None:
    """Ask the rules that read a source of those whom a batch touched, or new rules of everybody."""
    actions.evaluate(subject=subject, source=source, batch=batch, codes=codes, by=SYSTEM)


def weekly() -> None:
    """Once a week: what has run out goes, and all rules are asked again.

    Birthdays and terms come by themselves; a week's delay reads everybody's data a seventh as often
    as a nightly run would (个人信息保护法 art. 6).
    """
    actions.note_answers(by=SYSTEM)
    actions.sweep(by=SYSTEM)
    for subject in SUBJECTS:
        actions.evaluate(subject=subject, by=SYSTEM)
