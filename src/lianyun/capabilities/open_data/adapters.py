"""Adapters: the lake as opening uses it, the folder of versions, the installation's secret for digests."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rdflib
from django.conf import settings

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import UserError
from lianyun.kernel.secret import key_file
from lianyun.lake import deidentify, release
from lianyun.lake.shelves import LakeError

CHUNK = 256 * 1024


def folder(name: str, number: int) -> Path:
    """Where a version's files lie."""
    return base() / name / str(number)


def base() -> Path:
    """The folder of all opened files, in the installation's state."""
    return Path(settings.HOME) / "open"


def _secret() -> bytes:
    return key_file(Path(settings.HOME) / "open.key", lambda: secrets.token_bytes(32))


def blurred(what: str) -> str:
    """A keyed digest (64 hex digits) of an address or the like, which nobody can turn back."""
    return hmac.new(_secret(), what.encode(), hashlib.sha256).hexdigest()


def recipe_of(data: Mapping[str, Any]) -> deidentify.Recipe:
    """A stored recipe as the lake takes it; raises UserError where it cannot be carried out."""
    treatments = []
    for step in data["treatments"]:
        if step["how"] not in deidentify.HOWS or step["role"] not in deidentify.ROLES:
            raise UserError(f"数据项“{step['name']}”的处理方式不正确")
        treatments.append(
            deidentify.Treatment(
                str(step["name"]), step["how"], step["role"], float(step.get("width") or 0)
            )
        )
    if data["form"] not in (deidentify.ROWS, deidentify.COUNTS):
        raise UserError("请选择逐行开放或只开放统计数")
    if data["small"] not in (deidentify.SUPPRESS, deidentify.NOISE):
        raise UserError("请选择小分组的处理方式")
    return deidentify.Recipe(
        tuple(treatments),
        max(int(data["k"]), 1),
        max(int(data["l"]), 1),
        data["form"],
        data["small"],
        {str(k): tuple(map(str, v)) for k, v in (data.get("scope") or {}).items()},
    )


def recipe_dict(recipe: deidentify.Recipe) -> dict[str, Any]:
    """A recipe as a JSON column holds it."""
    return {
        "treatments": [
            {"name": t.name, "how": t.how, "role": t.role, "width": t.width}
            for t in recipe.treatments
        ],
        "k": recipe.k,
        "l": recipe.l,
        "form": recipe.form,
        "small": recipe.small,
        "scope": {k: list(v) for k, v in recipe.scope.items()},
    }


def risk_dict(risk: deidentify.Risk) -> dict[str, Any]:
    """A measure as a JSON column holds it."""
    told = {name: getattr(risk, name) for name in risk.__dataclass_fields__}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in told.items()}


def measure(table: str, recipe: deidentify.Recipe, today: dt.date) -> deidentify.Risk:
    """How far rows could be traced; raises UserError with what is wrong."""
    try:
        return deidentify.measure(collection.lake(), table, recipe, today)
    except LakeError as error:
        raise UserError(str(error)) from error


def soften(
    table: str,
    recipe: deidentify.Recipe,
    ladders: Mapping[str, Sequence[deidentify.Treatment]],
    limit: float,
    today: dt.date,
) -> tuple[deidentify.Recipe, deidentify.Risk]:
    """A recipe coarse enough, and its measure; raises UserError with what is wrong."""
    try:
        return deidentify.soften(collection.lake(), table, recipe, ladders, limit, today)
    except LakeError as error:
        raise UserError(str(error)) from error


def has_rows(table: str) -> bool:
    """Whether the lake has this table."""
    with collection.lake().connect(read_only=True) as con:
        return bool(
            con.execute(
                "SELECT 1 FROM duckdb_tables() WHERE database_name = 'lake' "
                "AND schema_name = 'trusted' AND table_name = ?",
                [table],
            ).fetchone()
        )


def write(
    table: str,
    recipe: deidentify.Recipe,
    place: Path,
    *,
    titles: Mapping[str, str],
    today: dt.date,
    refuse: Callable[[deidentify.Risk], None],
) -> release.Written:
    """Write a version's files; raises UserError with what is wrong, or what `refuse` raises."""
    try:
        return release.write(
            collection.lake(),
            table,
            recipe,
            place,
            titles=titles,
            today=today,
            secret=blurred(f"noise:{place.parent.name}"),
            refuse=refuse,
        )
    except LakeError as error:
        raise UserError(str(error)) from error


def write_sheet(
    place: Path, columns: Mapping[str, str], titles: Mapping[str, str]
) -> dict[str, Any] | None:
    """Write a version's worksheet; None where the rows are too many for one."""
    return release.write_sheet(place, columns, titles)


def ask(
    place: Path, columns: Mapping[str, str], question: release.Question, rows: int
) -> tuple[list[str], list[list[Any]], int | None]:
    """A page of a version's rows; raises UserError for what the data do not have."""
    try:
        return release.ask(base(), place, columns, question, rows)
    except release.BadQuestion as error:
        raise UserError(str(error)) from error


def stream(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """A file's bytes from `start` up to `end`, in pieces."""
    left = (path.stat().st_size if end is None else end) - start
    with path.open("rb") as file:
        file.seek(start)
        while left > 0 and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece


def remove(place: Path) -> None:
    """Take a version's files away."""
    shutil.rmtree(place, ignore_errors=True)


def turtle(text: str) -> bytes:
    """JSON-LD as Turtle."""
    graph = rdflib.Graph()
    graph.parse(data=text, format="json-ld")
    return graph.serialize(format="turtle", encoding="utf-8")
