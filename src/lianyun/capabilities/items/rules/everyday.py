"""Everyday: how people say it and how items call it: 生孩子 → 出生, 驾照 → 驾驶证.

A query is split into everyday phrases and the rest; each phrase becomes a group of alternatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Cut = Callable[[str], list[str]]
"""Words of a text as the index is cut (catalogue's `pieces`)."""


@dataclass(frozen=True)
class Asked:
    """A query understood: groups of alternatives (each a text), and the words that were left."""

    groups: tuple[tuple[str, ...], ...]
    rest: str

    @property
    def empty(self) -> bool:
        """Nothing to look for."""
        return not self.groups and not self.rest.strip()


def understand(folded: str, synonyms: Mapping[str, Sequence[str]], fillers: Sequence[str]) -> Asked:
    """Find everyday phrases (the longest first) in a folded query, and drop what says nothing."""
    left = folded
    groups: list[tuple[str, ...]] = []
    for phrase in sorted(synonyms, key=len, reverse=True):
        if phrase in left:
            left = left.replace(phrase, " ")
            groups.append((phrase, *synonyms[phrase]))
    for word in sorted(fillers, key=len, reverse=True):
        if word in left and (groups or left.replace(word, "").strip()):
            left = left.replace(word, " ")
    return Asked(tuple(groups), " ".join(left.split()))


def _quoted(lexeme: str) -> str:
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'" + (":*" if lexeme.isascii() else "")


def _all(text: str, cut: Cut) -> str:
    return " & ".join(_quoted(p) for p in cut(text))


def tsquery(asked: Asked, cut: Cut, *, every: bool = True) -> str | None:
    """A tsquery literal: all groups and all remaining words (any of them unless `every`)."""
    parts = []
    for group in asked.groups:
        ways = [f"({way})" for text in group if (way := _all(text, cut))]
        if ways:
            parts.append(f"({' | '.join(ways)})")
    parts += [_quoted(p) for p in cut(asked.rest)]
    return (" & " if every else " | ").join(parts) or None


def expanded(
    entries: Sequence[Mapping[str, object]], fold: Callable[[str], str]
) -> dict[str, list[str]]:
    """Everyday phrase → official words, of entries {say: [...], means: [...]}; all folded."""
    out: dict[str, list[str]] = {}
    for entry in entries:
        say, means = entry.get("say"), entry.get("means")
        for phrase in say if isinstance(say, list) else [say]:
            words = means if isinstance(means, list) else [means]
            out.setdefault(fold(str(phrase)), []).extend(fold(str(w)) for w in words)
    return out


__all__ = ["Asked", "expanded", "tsquery", "understand"]
