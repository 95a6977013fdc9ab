"""Threats: every row of docs/security/*.md that promises a test names one that exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECURITY = ROOT / "docs" / "security"
GUARDED = ("identity", "login", "licences", "seals")
SHORT = {"sealing": "trust/tests/test_sealing.py"}
"""How a table calls a file that it names often."""
NAMED = {
    "licences": ("forged", "replayed", "insider", "Enumeration"),
    "identity": ("Stolen session", "CSRF", "Open redirect", "Downgrade", "Trying usernames"),
    "login": ("open redirect", "mix-up", "CSRF", "code replay", "token theft", "downgrade"),
    "seals": ("Forged seal", "Insider", "Downgrade"),
}
"""Threats that must stand there, by the document that answers them."""


@cache
def known() -> dict[str, set[str]]:
    """The names of all tests by file."""
    return {
        str(file.relative_to(ROOT)): set(re.findall(r"^def (test_\w+)", file.read_text(), re.M))
        for folder in ("src", "tests")
        for file in (ROOT / folder).rglob("test_*.py")
    }


def rows(name: str) -> list[tuple[str, str]]:
    """(threat, its tests) of the tables that have a column for tests."""
    found, promised = [], False
    for line in (SECURITY / f"{name}.md").read_text("utf-8").splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            promised = False
        elif cells[-1].startswith("test"):
            promised = True
        elif promised and not set(cells[0]) <= set("-"):
            found.append((cells[0], cells[-1]))
    return found


def missing(name: str) -> list[str]:
    """Rows that name no test, or one that does not exist."""
    wrong, before = [], ""
    for threat, told in rows(name):
        text = before if told.startswith("same") else told
        before = text
        file = ""
        named = re.findall(r"`([^`]+)`", text)
        for one in named:
            place, _, test = one.rpartition("::")
            place = SHORT.get(place, place)
            if one.endswith(".py"):
                place, test = one, ""
            if "::" not in one or place:
                file = place  # `::test_x` stands in the file named before it
            at = [names for path, names in known().items() if path.endswith(file)]
            if not any(test in names if test else names for names in at):
                wrong.append(f"{name}.md「{threat}」：{one}")
        if not named:
            wrong.append(f"{name}.md「{threat}」：没有测试")
    return wrong


@pytest.mark.parametrize("name", GUARDED)
def test_every_threat_names_a_test_that_exists(name: str) -> None:
    assert len(rows(name)) > 10
    assert missing(name) == []
    told = " ".join(threat for threat, _ in rows(name))
    assert [threat for threat in NAMED[name] if threat not in told] == []
