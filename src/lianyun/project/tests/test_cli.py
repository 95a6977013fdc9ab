"""The command line as scripts use it: real processes, a real database, JSON out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.project import postgres
from lianyun.project.testing import create_database, drop_database, installed_database

pytestmark = pytest.mark.timeout(300)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lianyun(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs `lianyun …` in a city of the module's own."""
    base = tmp_path_factory.mktemp("city")
    name = f"cli_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    url = create_database(name, installed_database())
    lake = create_database(f"{name}_lake")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIANYUN_", "DJANGO_"))}
    environment = {
        **kept,
        "LIANYUN_HOME": str(base),
        "LIANYUN_DATABASE_URL": url,
        "LIANYUN_LAKE_CATALOGUE": lake,
        "LIANYUN_LAKE": str(base / "lake"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lianyun.project.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            cwd=base,
        )

    yield run
    for database in (name, f"{name}_lake"):
        drop_database(database)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_becomes_a_dataset_and_its_rows_add_up(lianyun: Run, tmp_path: Path) -> None:
    file = tmp_path / "企业名录.csv"
    good = [f"91320700MA1{n:07d},企业{n}有限公司,{n}.50,2024-0{n % 9 + 1}-15" for n in range(1, 60)]
    file.write_text("\n".join(["编号,企业名称,注册资本,成立日期", *good]), "gb18030")

    proposal = told(lianyun("infer", str(file), "--register", "trial_firms", "--json"))
    assert proposal["dataset"] == "trial_firms"
    assert len(proposal["items"]) == 4

    first = told(lianyun("load", "trial_firms", str(file), "--json"))
    assert first["landed"] == 59
    assert first["landed"] == first["accepted"] + first["rejected"]
    assert first["inserted"] == first["accepted"]

    with file.open("a", encoding="gb18030") as handle:
        handle.write("\n91320700MA19999999,坏行有限公司,很多,2024-13-45")
    second = told(lianyun("load", "trial_firms", str(file), "--json"))
    assert (second["landed"], second["rejected"], second["inserted"]) == (60, 1, 0)
    assert second["unchanged"] == second["accepted"]

    rejected = told(lianyun("rejects", second["batch"], "--json"))
    assert [row["line"] for row in rejected] == [61]
    assert rejected[0]["reasons"]
    assert "坏行有限公司" in json.dumps(rejected, ensure_ascii=False)


def test_questions_are_answered_from_the_lake(lianyun: Run, tmp_path: Path) -> None:
    file = tmp_path / "桥梁.csv"
    file.write_text("编号,名称\nA1,北桥\nA2,南桥\n", "utf-8")
    told(lianyun("infer", str(file), "--register", "trial_bridges", "--json"))
    told(lianyun("load", "trial_bridges", str(file), "--json"))
    answer = told(lianyun("ask", "SELECT count(*) AS n FROM trial_bridges", "--json"))
    assert answer == {"columns": ["n"], "rows": [[2]]}
    refused = lianyun("ask", "DROP TABLE trial_bridges")
    assert refused.returncode == 1
    assert "SELECT" in refused.stderr


@pytest.mark.slow
def test_the_catalogue_goes_out_and_comes_back_unchanged(lianyun: Run, tmp_path: Path) -> None:
    file = tmp_path / "目录.xlsx"
    told(lianyun("catalogue", "export", str(file), "--json"))
    report = told(lianyun("catalogue", "import", str(file), "--json"))
    assert report["resources"] >= 60
    assert report["created"] == 0
    assert report["rejected"] == 0


def test_the_chains_hold(lianyun: Run) -> None:
    proof = told(lianyun("audit", "verify", "--json"))
    assert proof["ok"]
    assert proof["events"] > 0


def test_the_doctor_finds_everything_well(lianyun: Run) -> None:
    findings = told(lianyun("doctor", "--json"))
    assert [f for f in findings if not f["ok"] and not f["optional"]] == []


def test_the_packs_are_sound(lianyun: Run) -> None:
    assert told(lianyun("check-packs", "--json")) == []


def test_mistakes_are_told_in_one_line(lianyun: Run, tmp_path: Path) -> None:
    for arguments in (
        ("load", "no_such_dataset", str(tmp_path)),
        ("rejects", "no-such-batch"),
        ("infer", str(tmp_path / "missing.csv")),
        ("audit", "verify", "--as", "nobody"),
    ):
        done = lianyun(*arguments)
        assert done.returncode == 1, arguments
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr, done.stderr


def test_secrets_are_not_logged() -> None:
    from lianyun.project.logs import masked

    line = masked("postgresql://u:geheim@db/x password=abc 320703199003070018 13812345678")
    assert "geheim" not in line
    assert "abc" not in line
    assert "19900307" not in line
    assert "13812345678" not in line


def test_a_command_told_to_end_stops_its_database(tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIANYUN_", "DJANGO_"))}
    sleeper = "print('there', flush=True); import time; time.sleep(120)"
    with subprocess.Popen(
        [sys.executable, "-m", "lianyun.project.cli", "manage", "shell", "-v0", "-c", sleeper],
        env={**kept, "LIANYUN_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline().strip() == "there"
        server = postgres.Server(tmp_path)
        assert server.pid() is not None
        command.terminate()
        assert command.wait(60) == 128 + signal.SIGTERM
    assert server.pid() is None
