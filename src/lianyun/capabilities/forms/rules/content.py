"""Content: what one draft holds: answers, what was filled in and whence, what is typed but not yet good."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Filled:
    """A value that the city knew: from where ("公安局 人口库"), as of when (ISO date), under which record."""

    value: Any
    source: str
    as_of: str = ""
    ref: str = ""

    @property
    def told(self) -> str:
        """来自 公安局 人口库，2026-11-02."""
        return f"来自 {self.source}" + (f"，{self.as_of}" if self.as_of else "")


@dataclass
class Content:
    """The inside of a draft. `parts` counts each part's saves, so that two windows notice each other."""

    answers: dict[str, Any] = field(default_factory=dict)
    filled: dict[str, Filled] = field(default_factory=dict)
    typed: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """As it is kept (before it is sealed)."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Content:
        """What `text` wrote."""
        data: Mapping[str, Any] = json.loads(text)
        return cls(
            dict(data["answers"]),
            {name: Filled(**told) for name, told in data["filled"].items()},
            dict(data["typed"]),
            dict(data["parts"]),
        )

    def corrected(self, name: str) -> bool:
        """Whether the person has put something else in the place of what was filled in."""
        return name in self.filled and self.answers.get(name) != self.filled[name].value
