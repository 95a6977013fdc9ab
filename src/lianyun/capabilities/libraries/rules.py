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
    type: str = ""
    format: str = ""


@dataclass(frozen=True)
class RowsRule:
    """One source of a list: how a dataset's columns become the library's fields.

    `point` are its columns of longitude and latitude, `system` the coordinate system it declares
    (empty where it declares none).
    """

    dataset: str
    key: tuple[str, ...]
    columns: dict[str, str]
    values: dict[str, str]
    where: dict[str, list[str]]
    point: tuple[str, str] | None
    system: str
    region: str
    date: str | None
    vintage: str | None


@dataclass(frozen=True)
class LibraryRule:
    """A library as its pack declares it.

    `form` is golden (one record per key), list (one row per source row) or series (a list of
    indicator values by period and vintage). `base` tells the six base libraries from theme ones.
    `holder` is the field by which rows of a list are looked up, `kind` the one by which they are
    counted apart, `region` the one that names a place.
    """

    name: str
    title: str
    summary: str
    key: str
    fields: tuple[FieldRule, ...]
    form: str = "golden"
    base: bool = True
    icon: str = "layers"
    unit: str = "个"
    rows: tuple[RowsRule, ...] = ()
    holder: str = ""
    kind: str = ""
    region: str = ""
    expires: str = ""
    series: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """All source datasets, each once, in the order of first mention."""
        named = [s.dataset for f in self.fields for s in f.sources]
        return tuple(dict.fromkeys([*named, *(r.dataset for r in self.rows)]))

    @property
    def asked_by(self) -> str:
        """The element by which a record is asked for: the key's, or the holder's."""
        if self.form == "golden":
            return self.key
        named = {f.name: f.element for f in self.fields}
        return named.get(self.holder, "")


FORMS = {"golden": "一主体一条", "list": "一事一条", "series": "指标序列"}


def read(data: Mapping[str, Any], datasets: Mapping[str, Mapping[str, Any]]) -> LibraryRule:
    """A pack's declaration; `datasets` are the packs' datasets, to find keys and dating columns.

    A source may say `key` and `date` itself; a value is dated by the dataset's update_time else by
    its loading.
    """
    form = str(data.get("form") or "golden")
    keys = data["key"] if isinstance(data["key"], list) else [data["key"]]
    key = str(keys[0])

    def dated(source: Mapping[str, Any]) -> str | None:
        items = [i["name"] for i in datasets.get(source["dataset"], {}).get("items") or ()]
        return source.get("date") or ("update_time" if "update_time" in items else None)

    fields = []
    for one in data["fields"]:
        sources = [
            SourceRule(s["dataset"], s["column"], s.get("key") or key, dated(s))
            for s in one.get("sources") or ()
        ]
        fields.append(
            FieldRule(
                one["name"],
                one.get("title") or one["name"],
                one.get("element") or "",
                tuple(sources),
                one.get("wins") or "authority",
                str(one.get("type") or ""),
                str(one.get("format") or ""),
            )
        )
    region = str(data.get("region") or "")
    rows = []
    for one in data.get("rows") or ():
        declared = datasets.get(one["dataset"], {})
        point = one.get("point")
        rows.append(
            RowsRule(
                one["dataset"],
                tuple(declared.get("key") or ()),
                {str(k): str(v) for k, v in (one.get("columns") or {}).items()},
                {str(k): str(v) for k, v in (one.get("values") or {}).items()},
                {str(k): [str(x) for x in v] for k, v in (one.get("where") or {}).items()},
                (str(point[0]), str(point[1])) if point else None,
                str(declared.get("crs") or ""),
                str((one.get("columns") or {}).get(region) or ""),
                dated(one),
                one.get("vintage"),
            )
        )
    return LibraryRule(
        str(data["name"]),
        str(data.get("title") or data["name"]),
        str(data.get("summary") or ""),
        key,
        tuple(fields),
        form,
        data.get("group", "base") == "base",
        str(data.get("icon") or "layers"),
        str(data.get("unit") or ("个" if form == "golden" else "条")),
        tuple(rows),
        str(data.get("holder") or ""),
        str(data.get("kind") or ""),
        region,
        str(data.get("expires") or ""),
        tuple(str(x) for x in data.get("series") or ()),
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
