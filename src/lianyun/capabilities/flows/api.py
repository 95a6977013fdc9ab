"""Flows' door: a path or a decision read with its faults, published, or proposed to a second person."""

from __future__ import annotations

from lianyun.decision import load
from lianyun.decision.way import steps_of
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case

from . import actions, queries, rules
from .rules import RESULTS, Fault, Reading, TableChange


def check_path(key: str, text: str, viewer: Actor) -> Reading:
    """A path's text (YAML list of steps, or BPMN 2.0) as read, with its faults; nothing is written."""
    return queries.reading(rules.PATH, key, text, viewer)


def check_decision(key: str, text: str, viewer: Actor) -> Reading:
    """A decision's text (YAML, or DMN) as read, with its faults; nothing is written."""
    return queries.reading(rules.DECISION, key, text, viewer)


def publish_path(key: str, text: str, *, note: str, by: Actor) -> int:
    """Publish a path's next version (`flows.review`), which a second person has looked at elsewhere.

    Returns its number; a text that is the newest already keeps its number. Running cases stay on
    theirs. Raises UserError naming what is wrong, and Denied.
    """
    return actions.publish(rules.PATH, key, text, note=note, by=by)


def publish_decision(key: str, text: str, *, note: str, by: Actor) -> int:
    """Publish a decision's next version (`flows.review`), as `publish_path` does a path's."""
    return actions.publish(rules.DECISION, key, text, note=note, by=by)


def table_changes(before: str, now: str) -> list[TableChange]:
    """How the tables of two DMN texts differ, by column, row and cell; an empty text has none."""
    old, new = (load(text).tables if text else () for text in (before, now))
    return rules.compare_tables(old, new)


def step_marks(before: str, now: str) -> dict[str, list[str]]:
    """The steps of two BPMN texts that were added, removed or changed, by id."""
    return rules.step_marks(*(steps_of(text) if text else {} for text in (before, now)))


def propose(kind: str, key: str, text: str, *, reason: str, by: Actor) -> Case:
    """Hand a text in (kind path or decision; `flows.edit`) to flows' own review; returns its case."""
    return actions.propose(kind, key, text, reason=reason, by=by).case


__all__ = [
    "RESULTS",
    "Fault",
    "Reading",
    "TableChange",
    "check_decision",
    "check_path",
    "propose",
    "publish_decision",
    "publish_path",
    "step_marks",
    "table_changes",
]
