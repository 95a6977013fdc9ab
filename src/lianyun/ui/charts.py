"""Chart: what a figure shows, as plain data that a page carries and charts.js draws."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Series:
    """One named row of values, as many as the chart has labels; None leaves a gap."""

    name: str
    values: Sequence[float | int | None]


@dataclass(frozen=True)
class Chart:
    """A chart: kind bar | bars (horizontal) | line | area | stack | donut | gauge | sankey.

    A sankey's labels are “from → to”. `target` draws a dashed line; `links` (one for each label) make bars lead somewhere.
    """

    kind: str
    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""
    target: float | None = None
    links: Sequence[str] = ()
    first_column: str = "项目"
    id: str = field(default_factory=lambda: f"chart-{next(_numbers)}")

    @property
    def empty(self) -> bool:
        """True when there is nothing to draw."""
        return not self.labels or not any(v for s in self.series for v in s.values)

    def spec(self) -> dict[str, Any]:
        """What charts.js reads."""
        return {
            "kind": self.kind,
            "title": self.title,
            "labels": list(self.labels),
            "series": [{"name": s.name, "values": list(s.values)} for s in self.series],
            "unit": self.unit,
            "target": self.target,
            "links": list(self.links),
        }

    def lines(self) -> list[dict[str, Any]]:
        """The same figures as a table: what a screen reader and a printer get."""
        return [
            {
                "label": label,
                "values": [s.values[i] if i < len(s.values) else None for s in self.series],
            }
            for i, label in enumerate(self.labels)
        ]


def one(
    kind: str,
    title: str,
    pairs: Sequence[tuple[str, float | int | None]],
    unit: str = "",
    **more: Any,
) -> Chart:
    """A chart of a single series from (label, value) pairs."""
    return Chart(
        kind, title, [p[0] for p in pairs], [Series(title, [p[1] for p in pairs])], unit, **more
    )
