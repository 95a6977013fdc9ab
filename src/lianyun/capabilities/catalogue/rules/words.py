"""Words: text folded for search, and the lexemes by which it is found.

Traditional characters are folded to simplified at index and query alike. Beside the segmenter's
words every single character and every pair stands in the index, so that a search for one or two
characters is an index look-up and not a scan (trigrams cannot serve those).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

import opencc
import rjieba

_RUNS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+|[a-z0-9]+(?:[_./-][a-z0-9]+)*")
_PARTS = re.compile(r"[_./-]")


@cache
def _converter() -> Any:
    return opencc.OpenCC("t2s")


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Lower case, half width, simplified characters, single blanks: 婚姻登記 → 婚姻登记."""
    plain = unicodedata.normalize("NFKC", text).lower()
    if not plain.isascii():
        plain = _converter().convert(plain)
    return " ".join(plain.split())


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


@lru_cache(maxsize=65536)
def lexemes(text: str) -> frozenset[str]:
    """Every lexeme under which a text is found: words, characters, pairs, code parts."""
    out: set[str] = set()
    for run in _RUNS.findall(fold(text)):
        if run[0].isascii():
            out.add(run)
            out.update(part for part in _PARTS.split(run) if part)
        else:
            out.update(run)
            out.update(_pairs(run))
            out.update(word for word in rjieba.cut_for_search(run) if len(word) > 2)
    return frozenset(out)


@lru_cache(maxsize=16384)
def sounds(text: str) -> frozenset[str]:
    """Pinyin of a text's words and of the whole, in full and as initials (jiehun, jh, jhdjxx)."""
    from pypinyin import Style, lazy_pinyin  # half a second that most processes never need

    out: set[str] = set()
    for run in _RUNS.findall(fold(text)):
        if run[0].isascii():
            continue
        for word in {run, *rjieba.cut_for_search(run)}:
            if len(word) > 1:
                full = lazy_pinyin(word, style=Style.NORMAL, errors="ignore")
                out.add("".join(full))
                out.add("".join(s[0] for s in full if s))
    return frozenset(out)


def _quoted(lexeme: str) -> str:
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


def vector(title: str, names: Iterable[str], items: Iterable[str], summary: str = "") -> str:
    """A tsvector literal of everything an entry is found by.

    It has no positions: ranking reads the folded text (see `place` in the queries), which is a
    third of the size and never compressed, so that a word of a thousand entries stays fast.
    """
    named = [title, *names]
    found: set[str] = set().union(
        *(lexemes(text) for text in (*named, *items, summary)), *(sounds(text) for text in named)
    )
    return " ".join(map(_quoted, sorted(found)))


def _parts(word: str) -> list[str]:
    """A long word as the shorter ones that make it up (婚姻登记 → 婚姻, 登记), else as its pairs."""
    if len(word) < 3:
        return [word]
    inner = [w for w in rjieba.cut_for_search(word) if w != word and len(w) > 1]
    covered = set().union(*(range(word.find(w), word.find(w) + len(w)) for w in inner))
    if len(covered) < len(word):
        return _pairs(word)
    return [piece for w in inner for piece in _parts(w)]


def pieces(text: str) -> list[str]:
    """The words that somebody typed, folded and cut as far as the index is."""
    out: dict[str, None] = {}
    for run in _RUNS.findall(fold(text)[:80]):
        for word in [run] if run[0].isascii() else rjieba.cut(run):
            for piece in [word] if word[0].isascii() else _parts(word):
                out[piece] = None
    return list(out)


def query(text: str, *, every: bool = True) -> str | None:
    """A tsquery literal for what somebody typed; None where there is nothing to look for.

    Words are joined by AND (by OR unless `every`); a long word is asked for by its parts; Latin
    text and numbers match from their beginning.
    """
    wanted = [_quoted(p) + (":*" if p[0].isascii() else "") for p in pieces(text)]
    return (" & " if every else " | ").join(wanted) or None
