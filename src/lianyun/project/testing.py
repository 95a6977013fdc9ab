"""Test bench: a pytest plugin that gives every run a database server, a state folder and a lake.

Loaded by ``-p lianyun.project.testing`` before pytest-django reads the settings. The server runs
without fsync in a temporary folder and ends with the run; with pytest-xdist the workers share it,
each with databases and folders of its own. The test database is a copy of a template that is
built once for a run.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from lianyun.project import postgres
from lianyun.project.mariadb import MariaDB, mariadb, program

if TYPE_CHECKING:
    from pytest_django.plugin import DjangoDbBlocker

    from lianyun.kernel.access import Actor

_ROOT = "LIANYUN_TEST_ROOT"
_SERVER = "LIANYUN_TEST_SERVER"
TEMPLATE = "lianyun_template"


def _begin() -> None:
    """Start the server once for the run; every process of the run gets its own surroundings."""
    if _ROOT not in os.environ:
        root = Path(tempfile.mkdtemp(prefix="lianyun-test-"))
        os.environ[_ROOT] = str(root)
        owner = os.getpid()
        if not os.environ.get(_SERVER):
            server = postgres.Server(root / "server", durable=False)
            os.environ[_SERVER] = server.start(dies_with_parent=True)
        else:
            server = None

        def end() -> None:
            if os.getpid() == owner:
                if server is not None:
                    server.stop()
                shutil.rmtree(root, ignore_errors=True)

        atexit.register(end)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    home = Path(os.environ[_ROOT]) / worker
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        LIANYUN_TESTING="1",
        # The policy of the sample city; the tests of identity choose the strict one themselves.
        LIANYUN_ACCESS_POLICY="demonstration",
        LIANYUN_HOME=str(home),
        LIANYUN_LAKE=str(home / "lake"),
        LIANYUN_DATABASE_URL=server_url(f"test_{worker}"),
        LIANYUN_LAKE_CATALOGUE=server_url(f"lake_{worker}"),
        DJANGO_SETTINGS_MODULE="lianyun.project.settings",
    )
    os.environ.pop("LIANYUN_ENGINE", None)


def server_url(database: str) -> str:
    """The libpq URL of a database on the run's server; the database need not exist."""
    return urlunsplit(urlsplit(os.environ[_SERVER])._replace(path=f"/{database}"))


def create_database(name: str, template: str | None = None) -> str:
    """An empty database (or a copy of a template) on the run's server; returns its URL."""
    with psycopg.connect(server_url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        copy = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        connection.execute(f'CREATE DATABASE "{name}"{copy}'.encode())
    return server_url(name)


def drop_database(name: str) -> None:
    """Drop a database of the run's server, whoever is connected."""
    with psycopg.connect(server_url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


_begin()


def _built(name: str, *options: str) -> str:
    """A template database, built by the first process that asks; the others wait for it."""
    with (Path(os.environ[_ROOT]) / f"{name}.lock").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        if not handle.read():
            # In a process of its own, so that no connection of ours keeps the template busy.
            url = create_database(name)
            done = subprocess.run(
                [sys.executable, "-m", "lianyun.project.schema", *options],
                env={**os.environ, "LIANYUN_DATABASE_URL": url},
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                raise RuntimeError(f"the template database cannot be built:\n{done.stderr}")
            handle.write("made")
    return name


def template_database() -> str:
    """The name of the template with all tables and no rows."""
    return _built(TEMPLATE, "--bare")


def installed_database() -> str:
    """The name of the template in which all packs are installed."""
    return _built(f"{TEMPLATE}_installed")


@pytest.fixture(scope="session")
def lianyun_database(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """The process's test database, all packs installed; stands in for django_db_setup.

    A test that commits (`transactional_db`) leaves a fresh copy of the template behind: quicker
    than emptying every table, and the packs are there again.
    """
    from django.conf import settings
    from django.db import connections
    from django.test import TransactionTestCase

    from lianyun.kernel import path

    name = str(settings.DATABASES["default"]["NAME"])

    def begin_anew(_: object = None) -> None:
        connections.close_all()
        create_database(name, installed_database())
        # A row's number may name another path in the copy than it did before.
        path._path.cache_clear()

    begin_anew()
    TransactionTestCase._fixture_teardown = begin_anew  # type: ignore[attr-defined]
    yield
    with django_db_blocker.unblock():
        connections.close_all()
    drop_database(name)


@dataclass(frozen=True)
class LakePlace:
    """Where a test's lake may live: an empty catalogue database and an empty folder."""

    catalogue_url: str
    folder: Path


@pytest.fixture
def lake_place(tmp_path: Path) -> Iterator[LakePlace]:
    """A fresh catalogue database and a fresh folder for one test's lake."""
    import secrets

    from lianyun.lake import shelves

    name = f"lake_{secrets.token_hex(6)}"
    folder = tmp_path / "lake"
    folder.mkdir()
    yield LakePlace(create_database(name), folder)
    shelves.close_all()
    drop_database(name)


@pytest.fixture
def lake_dsn(lake_place: LakePlace) -> str:
    """The libpq URL of a fresh catalogue database for one test's lake."""
    return lake_place.catalogue_url


@pytest.fixture
def empty_database() -> Iterator[Callable[[], str]]:
    """Makes empty databases on the run's server; each call returns the URL of a new one."""
    made: list[str] = []

    def make() -> str:
        made.append(f"extra_{secrets.token_hex(6)}")
        return create_database(made[-1])

    yield make
    for name in made:
        drop_database(name)


IN_PROCESSES = """
import json, os
from django.db import connections

def in_processes(count, work):
    # Every child holds its own connection and waits until all are there.
    connections.close_all()
    gate, open_gate = os.pipe()
    children = []
    for _ in range(count):
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(open_gate)
            connections["default"].ensure_connection()
            os.read(gate, 1)
            os.write(tell, json.dumps(work()).encode())
            os._exit(0)
        os.close(tell)
        children.append((pid, told))
    os.close(gate)
    os.close(open_gate)
    ends = []
    for pid, told in children:
        said = os.fdopen(told, "rb").read()
        _, status = os.waitpid(pid, 0)
        ends.append(json.loads(said) if said else -os.WTERMSIG(status))
    return ends

"""
"""Text for a script of `told`: work done by processes in the same instant, each with a connection of
its own that waits until all are there; what each returned, or minus the signal that ended it."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an installation that only processes of this test know."""
    name = f"house_{secrets.token_hex(4)}"
    yield {
        **os.environ,
        "LIANYUN_DATABASE_URL": create_database(name, installed_database()),
        "LIANYUN_HOME": str(tmp_path / "home"),
        "LIANYUN_LAKE": str(tmp_path),
    }
    drop_database(name)


def told(house: dict[str, str], script: str) -> Any:
    """What a script prints last, as JSON, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", script], env=house, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def fresh_lake(settings: Any, lake_place: LakePlace) -> LakePlace:
    """Points the product's settings at a lake of the test's own."""
    settings.LAKE = str(lake_place.folder)
    settings.LAKE_CATALOGUE_URL = lake_place.catalogue_url
    return lake_place


@pytest.fixture
def city(db: None) -> None:
    """A database with all packs installed and the datasets catalogued, as every test's has."""


@pytest.fixture
def officer(city: None) -> Callable[..., Actor]:
    """Makes an officer of a department, named by its slug, with roles."""
    from lianyun.kernel.access import Membership, actor_of
    from lianyun.kernel.models import Party

    def make(slug: str, *roles: str, name: str = "") -> Actor:
        department = Party.objects.get(kind="department", slug=slug)
        person = Party.objects.create(kind="person", name=name or f"{department.short}干部")
        for role in roles:
            Membership.objects.create(party=person, department=department, role=role)
        return actor_of(person)

    return make


@pytest.fixture
def run_jobs(db: None) -> Callable[[], int]:
    """Runs what the worker would run: every waiting job, also those they queue; returns how many.

    Works inside a test's transaction, so the jobs run in this process, in order. Jobs that an
    earlier test committed (tables that Django does not manage are not flushed) are left out.
    """
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.models import ProcrastinateJob

    done: set[int] = set(ProcrastinateJob.objects.values_list("pk", flat=True))

    def run() -> int:
        count = 0
        while True:
            waiting = [
                job
                for job in ProcrastinateJob.objects.filter(status="todo").order_by("id")
                if job.pk not in done
            ]
            if not waiting:
                return count
            for job in waiting:
                done.add(job.pk)
                count += 1
                app.tasks[job.task_name].func(**job.args)

    return run


@pytest.fixture(scope="module")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB for a module's tests; those are left out where mariadb-server is not installed."""
    if program("mariadbd") is None:
        pytest.skip("没有安装 mariadb-server")
    with mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


def fits(tab: Any) -> bool:
    """True when nothing makes a browser's page scroll sideways."""
    return bool(
        tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )
