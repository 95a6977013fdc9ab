"""Place: a department's database, what is asked of it, and what it cannot answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..shelves import LakeError


class SourceDown(LakeError):
    """A source that does not answer; `kind` is down | timeout | busy | open | schema | refused."""

    def __init__(self, place: Place, kind: str, reason: str) -> None:
        super().__init__(f"“{place.title}”{reason}")
        self.place, self.kind, self.reason = place.name, kind, reason


class BadValue(LakeError):
    """A value that the column cannot hold; the caller's mistake, not the source's."""


@dataclass(frozen=True)
class Place:
    """A department's database: `url` (with its secret) is ``postgresql://…`` or ``mysql://…``.

    `seconds` bounds a statement at the server and here; `connections` bounds how many run at once.
    """

    name: str
    title: str
    url: str = field(repr=False)
    seconds: float = 5.0
    connections: int = 4

    @property
    def kind(self) -> str:
        """postgresql or mysql."""
        scheme = urlsplit(self.url).scheme
        return "mysql" if scheme in ("mysql", "mariadb") else "postgresql"


@dataclass(frozen=True)
class Condition:
    """One condition that the source carries out; `value` is a list of values for ``in``."""

    column: str
    operator: str
    value: Any


@dataclass(frozen=True)
class Question:
    """What is asked of one table: `columns` where `conditions` hold, at most `limit` rows."""

    place: Place
    table: str
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    limit: int = 100
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One table of a join: its rows meet the first part's where `key` equals the first's `on`.

    `optional` keeps rows of the first part that have no partner here; `conditions` are its own.
    """

    place: Place
    table: str
    columns: tuple[str, ...]
    key: str = ""
    on: str = ""
    optional: bool = True
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Columns and rows of an answer."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
