"""Worker: the tasks that run beside the web: listeners of events, one-off jobs, schedules, the seal."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

import croniter
import procrastinate
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from procrastinate.contrib.django import app

from lianyun.kernel import event
from lianyun.kernel.manifest import function_at, manifests

CITY = ZoneInfo("Asia/Shanghai")
log = logging.getLogger("lianyun.worker")

_RETRY = procrastinate.RetryStrategy(max_attempts=5, exponential_wait=4)


def _with_fresh_connections(run: Callable[..., None]) -> Callable[..., None]:
    """A job neither meets a connection that died nor leaves one behind in a transaction."""

    @wraps(run)
    def call(*args: Any, **kwargs: Any) -> None:
        if not connection.in_atomic_block:
            close_old_connections()
        try:
            run(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:
                close_old_connections()

    return call


@app.task(name=event.DELIVER, queue="events", retry=_RETRY)
@_with_fresh_connections
def deliver(event_id: int, run: str) -> None:
    """Call one listener with one event; five tries, then the job stays as failed."""
    event.deliver(event_id, run)


@app.task(name="lianyun.run", queue="jobs", retry=_RETRY)
@_with_fresh_connections
def run(path: str, arguments: dict[str, Any] | None = None) -> None:
    """Call the function at a dotted path once, in the background."""
    function_at(path)(**(arguments or {}))


@app.task(name="lianyun.scheduled", queue="schedule")
@_with_fresh_connections
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


def _seal_until(ending: threading.Event) -> None:
    """Seal committed events every second; a database that is away for a while is waited for."""
    while not ending.wait(1.0):
        try:
            close_old_connections()
            while event.seal():
                pass
        except DatabaseError:
            log.exception("the sealer could not reach the database")
            connection.close()


def _prove_until(ending: threading.Event) -> None:
    """Sign and time-stamp recorded calls every few seconds; what fails is told and tried again."""
    from lianyun.capabilities.audit import api as audit

    while not ending.wait(settings.PROOF_SEAL_SECONDS):
        try:
            close_old_connections()
            audit.seal_calls()
        except audit.SealFailed as failed:
            log.warning("calls wait to be signed: %s", failed)
        except DatabaseError:
            log.exception("the signer could not reach the database")
            connection.close()


def _worker_app() -> procrastinate.App:
    """The application on an asynchronous connection of its own, as workers need it."""
    connector: Any = app.connector
    return app.with_connector(connector.get_worker_connector())


async def _work(ending: threading.Event) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        ending.set()
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    worker_app = _worker_app()
    async with worker_app.open_async():
        await worker_app.run_worker_async(
            name="lianyun",
            concurrency=int(os.environ.get("LIANYUN_JOBS", "2")),
            install_signal_handlers=False,
            fetch_job_polling_interval=5.0,
            shutdown_graceful_timeout=10,
            delete_jobs="successful",
        )


def drain() -> None:
    """Run the queued jobs until none is left (a command that has no worker beside it)."""

    async def work() -> None:
        worker_app = _worker_app()
        async with worker_app.open_async():
            await worker_app.run_worker_async(
                name="lianyun-drain",
                wait=False,
                listen_notify=False,
                install_signal_handlers=False,
                delete_jobs="successful",
            )

    asyncio.run(work())


def main() -> int:
    """``lianyun worker``: run jobs, schedules and the sealer until SIGTERM."""
    register_schedules()
    ending = threading.Event()
    sealer = threading.Thread(target=_seal_until, args=[ending], name="sealer", daemon=True)
    sealer.start()
    prover = threading.Thread(target=_prove_until, args=[ending], name="prover", daemon=True)
    prover.start()
    try:
        asyncio.run(_work(ending))
    except (asyncio.CancelledError, KeyboardInterrupt):
        pass
    finally:
        ending.set()
        sealer.join(5)
        prover.join(5)
    return 0 if ending.is_set() else 1
