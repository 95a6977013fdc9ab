"""Worker: the tasks that run beside the web: listeners of events, one-off jobs, schedules, the seal."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any
from zoneinfo import ZoneInfo

import croniter
import procrastinate
from procrastinate.contrib.django import app

from lianyun.kernel import event
from lianyun.kernel.manifest import function_at, manifests

CITY = ZoneInfo("Asia/Shanghai")
log = logging.getLogger("lianyun.worker")

_RETRY = procrastinate.RetryStrategy(max_attempts=5, exponential_wait=4)


@app.task(name=event.DELIVER, queue="events", retry=_RETRY)
def deliver(event_id: int, run: str) -> None:
    """Call one listener with one event; five tries, then the job stays as failed."""
    event.deliver(event_id, run)


@app.task(name="lianyun.run", queue="jobs", retry=_RETRY)
def run(path: str, arguments: dict[str, Any] | None = None) -> None:
    """Call the function at a dotted path once, in the background."""
    function_at(path)(**(arguments or {}))


@app.task(name="lianyun.scheduled", queue="schedule")
def scheduled(timestamp: int, path: str) -> None:
    """Call a manifest's scheduled job; `timestamp` is the moment it was due."""
    log.info("scheduled job %s due at %s", path, dt.datetime.fromtimestamp(timestamp, CITY))
    function_at(path)()


def later(path: str, **arguments: Any) -> int:
    """Queue a call of the function at a dotted path; returns the job's number.

    The job is written in the caller's transaction, so it exists only if that commits.
    """
    return app.configure_task("lianyun.run", queue="jobs").defer(path=path, arguments=arguments)


def register_schedules() -> list[str]:
    """Register every manifest's jobs with the periodic deferrer; returns their names.

    Cron lines are in the city's time, whatever the machine's zone.
    """
    names = []
    for manifest in manifests():
        for job in manifest.jobs:
            name = f"{manifest.name}.{job.name}"
            registered = app.periodic_registry.register_task(
                task=scheduled,
                cron=job.every,
                periodic_id=name,
                configure_kwargs={
                    "task_kwargs": {"path": job.run},
                    "queueing_lock": name,
                    "lock": name,
                },
            )
            # procrastinate reads cron lines in UTC; an iterator made with a zone keeps it.
            registered.__dict__["croniter"] = croniter.croniter(job.every, dt.datetime.now(CITY))
            names.append(name)
    return names
