"""Rules of libraries: what a declaration means, who lost a conflict, where a value may be put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WINS = {"authority": "按权威顺序", "latest": "取最新"}


@dataclass(frozen=True)
class SourceRule:
    """One source of a field: dataset, its column, its key column, the column that dates it."""

    dataset: str
    column: str
    key: str
    date: str | None = None


@dataclass(frozen=True)
class FieldRule:
    """One field of a library: who is authoritative, in order, and what wins."""

    name: str
    title: str
    element: str
    sources: tuple[SourceRule, ...]
    wins: str


@dataclass(frozen=True)
class LibraryRule:
    """A library as its pack declares it."""

    name: str
    title: str
    summary: str
    key: str
    fields: tuple[FieldRule, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """All source datasets, each once, in the order of first mention."""
        return tuple(dict.fromkeys(s.dataset for f in self.fields for s in f.sources))


def read(data: Mapping[str, Any], columns: Mapping[str, Sequence[str]]) -> LibraryRule:
    """A pack's declaration; `columns` gives each dataset's items, to find the column that dates a row.

    A source may say `key` and `date` itself; a value is dated by the dataset's update_time else by
    its loading.
    """
    key = str(data["key"])
    fields = []
    for one in data["fields"]:
        sources = []
        for source in one["sources"]:
            items = columns.get(source["dataset"], ())
            date = source.get("date") or ("update_time" if "update_time" in items else None)
            sources.append(
                SourceRule(source["dataset"], source["column"], source.get("key") or key, date)
            )
        fields.append(
            FieldRule(
                one["name"],
                one.get("title") or one["name"],
                one.get("element") or "",
                tuple(sources),
                one.get("wins") or "authority",
            )
        )
    return LibraryRule(
        str(data["name"]),
        str(data.get("title") or data["name"]),
        str(data.get("summary") or ""),
        key,
        tuple(fields),
    )


def losers(values: Mapping[str, Any], chosen: Any) -> list[str]:
    """The datasets whose value was not taken."""
    return [d for d, v in values.items() if v is not None and v != chosen]


def complaint(title: str, library: str, mine: str, chosen: str, winners: Sequence[str]) -> str:
    """What the losing department is told, in Chinese."""
    told = "、".join(winners)
    return (
        f"{library}比对发现“{title}”不一致：贵部门为“{mine}”，{told}为“{chosen}”（已采用）。"
        "请核实，确有错误的予以更正；核实无误的请说明，以便调整数源。"
    )
