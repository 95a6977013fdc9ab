"""Path: the declared way of a case, BPMN 2.0 run by SpiffWorkflow, and the decision tables it asks.

Conditions are a closed expression language (`decision.closed`); nothing from a file is ever
executed as Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from django.db import models
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser, BpmnValidator
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.serializer.config import DEFAULT_CONFIG
from SpiffWorkflow.bpmn.serializer.default.workflow import BpmnWorkflowConverter, WorkflowConverter
from SpiffWorkflow.bpmn.specs.mixins.multiinstance_task import LoopTask
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow

from lianyun.decision import Model, load
from lianyun.decision.closed import BadExpression, BadPath, check_expression, evaluate
from lianyun.decision.way import (
    Outcome,
    Step,
    check_elements,
    compile_path,
    parse_xml,
    run_form,
    steps_of,
)

__all__ = [
    "SERIALIZER",
    "BadExpression",
    "BadPath",
    "ClosedEngine",
    "Decision",
    "Outcome",
    "Path",
    "Step",
    "check_expression",
    "compile_path",
    "current",
    "current_decision",
    "declare",
    "declare_decision",
    "evaluate",
    "path_of",
    "spec_of",
    "steps_of",
]


class ClosedEngine(PythonScriptEngine):
    """SpiffWorkflow's script engine replaced: conditions only, over the case's data; no scripts."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values

    def validate(self, expression: str) -> None:
        check_expression(expression)

    def evaluate(
        self, task: Any, expression: str, external_context: dict[str, Any] | None = None
    ) -> Any:
        return evaluate(expression, {**self.values, **task.data})

    def execute(self, task: Any, script: str, external_context: Any = None) -> bool:
        raise BadPath("路径中不允许脚本")

    def call_service(self, task: Any, **kwargs: Any) -> None:
        raise BadPath("路径中不允许直接调用服务")


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
    """One version of a declared decision (DMN 1.3); a case is always judged by the newest."""

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
def path_of(pk: int) -> Path:
    """A path's version by its row; a version never changes, so that each is read once a process."""
    return Path.objects.get(pk=pk)


@lru_cache(maxsize=256)
def spec_of(bpmn: str, key: str) -> tuple[Any, dict[str, Any]]:
    """The engine's process specification of a BPMN text: (spec, sub-process specs); cached.

    Raises BadPath where the text has elements outside the allowed set or a bad condition.
    """
    root = parse_xml(bpmn)
    check_elements(root, key)
    parser = BpmnParser(validator=BpmnValidator())
    try:
        parser.add_bpmn_str(run_form(root).encode())
        spec, parts = parser.get_spec(key), parser.get_subprocess_specs(key)
    except Exception as error:
        raise BadPath(f"路径 {key} 无法运行：{error}") from error
    # The engine joins instances by a listener that it sets where they are made; a case that another
    # process has begun must find it too.
    for one in (spec, *parts.values()):
        for task in one.task_specs.values():
            if isinstance(task, LoopTask):
                one.task_specs[task.task_spec].completed_event.connect(task.merge_child)
    return spec, parts


def _digest(*parts: object) -> str:
    return hashlib.sha256("".join(str(p) for p in parts).encode()).hexdigest()


def declare(key: str, title: str, bpmn: str, data: dict[str, Any] | None = None) -> Path:
    """Make the path's newest version be this text; nothing happens where it already is."""
    spec_of(bpmn, key)
    digest = _digest(bpmn, title, repr(data or {}))
    last = Path.objects.filter(key=key).order_by("-version").first()
    if last is not None and last.digest == digest:
        return last
    return Path.objects.create(
        key=key,
        version=(last.version if last else 0) + 1,
        title=title,
        bpmn=bpmn,
        digest=digest,
        data={**(data or {}), "steps": [asdict(s) for s in steps_of(bpmn).values()]},
    )


def declare_decision(
    key: str, title: str, dmn: str, data: Mapping[str, Any] | None = None
) -> Decision:
    """Make the decision's newest version be this DMN text; nothing happens where it already is.

    Raises BadTable where the text is no decision this city can run.
    """
    _model(dmn)
    digest = _digest(dmn, title, repr(dict(data or {})))
    last = Decision.objects.filter(key=key).order_by("-version").first()
    if last is not None and last.digest == digest:
        return last
    return Decision.objects.create(
        key=key,
        version=(last.version if last else 0) + 1,
        title=title,
        dmn=dmn,
        digest=digest,
        data=dict(data or {}),
    )


def current(key: str) -> Path:
    """The newest version of a path; raises BadPath where none is declared."""
    found = Path.objects.filter(key=key).order_by("-version").first()
    if found is None:
        raise BadPath(f"没有名为 {key} 的办理路径")
    return found


def current_decision(key: str) -> Decision | None:
    """The newest version of a decision, or None."""
    return Decision.objects.filter(key=key).order_by("-version").first()


class _StateOnly(BpmnWorkflowConverter):
    """Writes a workflow without its specification, which is the path's and ten times as large."""

    def to_dict(self, workflow: BpmnWorkflow) -> dict[str, Any]:
        out: dict[str, Any] = WorkflowConverter.to_dict(self, workflow)
        out["subprocesses"] = self.mapping_to_dict(workflow.subprocesses)
        out["bpmn_events"] = []
        return out


SERIALIZER = BpmnWorkflowSerializer(
    BpmnWorkflowSerializer.configure({**DEFAULT_CONFIG, BpmnWorkflow: _StateOnly})
)
