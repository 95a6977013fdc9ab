"""District: its packs are the city's in all but the place."""

from __future__ import annotations

import csv
import socket
from pathlib import Path

import yaml

from lianyun.kernel.element import credit_code_ok
from lianyun.kernel.packs import packs_dir
from lianyun.project import district


def test_a_district_has_departments_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):  # a second start finds them as they are
        district.write_packs(packs_dir(), tmp_path)
    with (tmp_path / "core/departments.csv").open(encoding="utf-8") as file:
        rows = {r["slug"]: r for r in csv.DictReader(file)}
    with (packs_dir() / "core/departments.csv").open(encoding="utf-8-sig") as file:
        city = {r["slug"]: r for r in csv.DictReader(file)}
    assert set(rows) == set(city)
    assert rows["ga"]["name"] == "连云港市赣榆区公安局"
    assert rows["ga"]["short"] == "区公安局"
    codes = {r["code"] for r in rows.values()}
    assert len(codes) == len(rows)
    assert not codes & {r["code"] for r in city.values()}
    assert all(credit_code_ok(code) and code[2:8] == "320707" for code in codes)
    told = yaml.safe_load((tmp_path / "core/city.yaml").read_text("utf-8"))
    assert (told["division"], told["name"]) == ("320707", "赣榆区")
    assert (tmp_path / "core/paths/cascade_request.yaml").is_file()
    assert not list(tmp_path.glob("*/datasets"))


def test_its_surroundings_are_its_own(tmp_path: Path) -> None:
    told = district.surroundings(tmp_path, 8001)
    assert told["LIANYUN_HOME"] == str(tmp_path)
    assert "LIANYUN_DATABASE_URL" not in told
    assert told["LIANYUN_PORT"] == "8001"


def test_its_neighbour_is_listed_once(tmp_path: Path) -> None:
    for port in (8001, 8002, 8001):
        district.let_call(tmp_path, port)
    assert (tmp_path / "cascade.hosts").read_text() == "127.0.0.1:8001\n127.0.0.1:8002\n"


def test_a_port_that_is_taken_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert district._taken(port)
    assert not district._taken(port)
    assert district._node_at(f"http://127.0.0.1:{port}") == ""
