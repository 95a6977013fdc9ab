"""Batch: one load and its verdict: landed = accepted + rejected, never anything missing."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils import timezone

from .event import record
from .resource import Resource

if TYPE_CHECKING:
    from .access import Actor


class Batch(models.Model):
    """One load of a dataset; its rows live in the lake under this batch's code."""

    RUNNING, SUCCEEDED, FAILED = "running", "succeeded", "failed"
    STATES: ClassVar = [(RUNNING, "进行中"), (SUCCEEDED, "成功"), (FAILED, "失败")]

    code = models.CharField("批次号", max_length=40, unique=True)
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="batches")
    source_ref = models.CharField("来源", max_length=300, blank=True, default="")
    mode = models.CharField("方式", max_length=20, default="full")
    state = models.CharField("状态", max_length=20, choices=STATES, default=RUNNING)
    landed = models.BigIntegerField("落地行数", default=0)
    accepted = models.BigIntegerField("通过行数", default=0)
    rejected = models.BigIntegerField("拒收行数", default=0)
    outcome = models.JSONField("结果明细", default=dict)
    score = models.FloatField("质量得分", null=True)
    progress = models.FloatField("进度", default=0)
    message = models.TextField("说明", blank=True, default="")
    started_at = models.DateTimeField("开始", default=timezone.now)
    finished_at = models.DateTimeField("结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "批次"
        ordering = ["-id"]
        indexes = [models.Index(fields=["resource", "-id"])]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(landed=models.F("accepted") + models.F("rejected")),
                name="nothing_missing",
            )
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"batch:{self.code}"

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def report(self, fraction: float, message: str = "") -> None:
        """Tell how far the load is (0 to 1), outside the load's own transaction."""
        Batch.objects.filter(pk=self.pk, state=Batch.RUNNING).update(
            progress=fraction, message=message
        )


def start(resource: Resource, *, source_ref: str = "", mode: str = "full", by: Actor) -> Batch:
    """Open a batch with a code of its own (time and six random hex digits)."""
    code = f"b{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(3)}"
    batch = Batch.objects.create(code=code, resource=resource, source_ref=source_ref, mode=mode)
    record("batch.started", batch, by=by, data={"resource": resource.name, "mode": mode})
    return batch


def finish(batch: Batch, outcome: dict[str, Any], *, by: Actor, score: float | None = None) -> None:
    """Close a batch with what the lake counted; the table refuses counts that do not add up."""
    batch.landed = outcome["landed"]
    batch.accepted = outcome["accepted"]
    batch.rejected = outcome["rejected"]
    batch.outcome = outcome
    batch.score = score
    batch.state = Batch.SUCCEEDED
    batch.progress = 1
    batch.message = ""
    batch.finished_at = timezone.now()
    batch.save()
    counts = {k: outcome[k] for k in ("landed", "accepted", "rejected")}
    told = {"resource": batch.resource.name, **counts}
    record("batch.finished", batch, by=by, data=told)


def fail(batch: Batch, error: str, *, by: Actor) -> None:
    """Close a batch that died; nothing of it is visible in the lake."""
    batch.state = Batch.FAILED
    batch.message = error
    batch.finished_at = timezone.now()
    batch.save(update_fields=["state", "message", "finished_at"])
    record(
        "batch.failed", batch, by=by, data={"resource": batch.resource.name, "error": error[:500]}
    )
