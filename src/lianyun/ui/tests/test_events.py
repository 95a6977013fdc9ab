"""Every kind of event that the source records has a Chinese wording."""

from __future__ import annotations

import re
from pathlib import Path

import lianyun
from lianyun.ui.events import EVENTS
from lianyun.ui.templatetags.ui import event_title

RECORDED = re.compile(r'\brecord(?:_event)?\(\s*"([a-z_]+\.[a-z_]+)"')
LATIN = re.compile(r"[A-Za-z_.]")


def recorded() -> dict[str, Path]:
    """The kinds named where events are recorded, and a file of each."""
    root = Path(lianyun.__file__).parent
    return {
        kind: path
        for path in sorted(root.rglob("*.py"))
        if "tests" not in path.parts
        for kind in RECORDED.findall(path.read_text("utf-8"))
    }


def test_every_recorded_kind_is_worded() -> None:
    found = recorded()
    assert len(found) > 100
    bare = {k: str(p) for k, p in found.items() if LATIN.search(event_title(k))}
    assert not bare


def test_the_wordings_are_chinese() -> None:
    assert not [title for title in EVENTS.values() if LATIN.search(title)]
