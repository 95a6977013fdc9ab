"""Path: the declared way of a case, BPMN 2.0 run by SpiffWorkflow, and the decision tables it asks.

Conditions are a closed expression language (`decision.closed`); nothing from a file is ever
executed as Python.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from django.db import connection, models

from lianyun.decision import Model, load
from lianyun.decision.closed import BadPath
from lianyun.decision.compiled import compile_path
from lianyun.decision.engine import spec_of
from lianyun.decision.way import Step, steps_of

__all__ = [
    "BadPath", "Decision", "Path", "Step", "compile_path", "current", "current_decision", "declare",
    "declare_decision", "judging", "path_of", "spec_of", "steps_of",
]  # fmt: skip


class Path(models.Model):
    """One version of a declared path; running cases stay on the version they began with."""

    key = models.CharField("标识", max_length=80)
    version = models.PositiveIntegerField("版本")
    title = models.CharField("名称", max_length=200)
    bpmn = models.TextField("BPMN")
    digest = models.CharField(max_length=64)
    data = models.JSONField("其他", default=dict)
    created_at = models.DateTimeField("建立时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "办理路径"
        ordering = ["key", "-version"]
        constraints = [models.UniqueConstraint(fields=["key", "version"], name="path_version_once")]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"path:{self.key}@{self.version}"

    @property
    def steps(self) -> dict[str, Step]:
        """The path's steps by id, in the order of the file."""
        return steps_of(self.bpmn)


class Decision(models.Model):
    """One version of a declared decision (DMN 1.3); which one judges a case: `judging`."""

    key = models.CharField("标识", max_length=80)
    version = models.PositiveIntegerField("版本")
    title = models.CharField("名称", max_length=200)
    dmn = models.TextField("DMN")
    digest = models.CharField(max_length=64)
    data = models.JSONField("其他", default=dict)
    created_at = models.DateTimeField("建立时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "决策表"
        ordering = ["key", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["key", "version"], name="decision_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"decision:{self.key}@{self.version}"

    @property
    def model(self) -> Model:
        """The decision as it can be asked; parsed once per process."""
        return _model(self.dmn)


@lru_cache(maxsize=256)
def _model(dmn: str) -> Model:
    return load(dmn)


@lru_cache(maxsize=256)
def _path(database: str, pk: int) -> Path:
    return Path.objects.get(pk=pk)


def path_of(pk: int) -> Path:
    """A path's version by its row; a version never changes, so that each is read once a process."""
    return _path(connection.settings_dict["NAME"], pk)


def _version(kind: Any, key: str, title: str, told: dict[str, Any], text: str, **more: Any) -> Any:
    """The newest version; made where it is another text and was not published in place of it."""
    digest = hashlib.sha256(f"{text}{title}{told!r}".encode()).hexdigest()
    rows = kind.objects.filter(key=key)
    last = rows.order_by("-version").first()
    before = last is not None and "published" in last.data and rows.filter(digest=digest).exists()
    if before or (last is not None and last.digest == digest):
        return last
    more = {"bpmn" if kind is Path else "dmn": text, "data": {**told, **more}, "digest": digest}
    version = last.version + 1 if last else 1
    return kind.objects.create(key=key, version=version, title=title, **more)


def declare(key: str, title: str, bpmn: str, data: dict[str, Any] | None = None) -> Path:
    """Make the path's newest version be this text; nothing happens where it already is."""
    spec_of(bpmn, key)
    steps = [asdict(s) for s in steps_of(bpmn).values()]
    found: Path = _version(Path, key, title, data or {}, bpmn, steps=steps)
    return found


def declare_decision(
    key: str, title: str, dmn: str, data: Mapping[str, Any] | None = None
) -> Decision:
    """Make the decision's newest version be this DMN text; nothing happens where it already is.

    Raises BadTable where the text is no decision this city can run.
    """
    _model(dmn)
    found: Decision = _version(Decision, key, title, dict(data or {}), dmn)
    return found


def newest(key: str) -> int:
    """The row of a path's newest version; raises BadPath where none is declared."""
    rows = Path.objects.filter(key=key).order_by("-version").values_list("pk", flat=True)
    found = rows.first()
    if found is None:
        raise BadPath(f"没有名为 {key} 的办理路径")
    return int(found)


def current(key: str) -> Path:
    """The newest version of a path; raises BadPath where none is declared."""
    return path_of(newest(key))


def current_decision(key: str) -> Decision | None:
    """The newest version of a decision, or None."""
    return Decision.objects.filter(key=key).order_by("-version").first()


def judging(key: str, began: dt.datetime, put: int | None = None) -> Decision | None:
    """The version that judges a case: the newest when it began, or the one it was put onto.

    A later one that declares its ground for it (`also_running`) judges it too (ADR 0045).
    """
    rows = Decision.objects.filter(key=key)
    own = models.Q(version=put) if put else models.Q(created_at__lte=began)
    found = rows.filter(own | models.Q(data__has_key="also_running")).order_by("-version").first()
    return found or rows.order_by("version").first()
