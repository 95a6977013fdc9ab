"""The builder's longer stories: composing by choosing, two at once, two processes, another city."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import lxml.html
import pytest
import yaml

from lianyun.project import sample_builder as sample
from tests.journeys.test_builder import (
    PASSWORD,
    _agree,
    _field,
    _file,
    _look,
    _people,
    _save,
    people,
)

__all__ = ["people"]


@pytest.mark.slow
def test_an_analyst_composes_by_choosing(
    people: dict[str, Any], tab: Any, site: str, sign_in: Any, accessible: Any
) -> None:
    """A table, a path and conditions with the mouse alone; two at once; a service is taken down."""
    from lianyun.capabilities.builder import api as builder
    from lianyun.capabilities.items import api as items
    from lianyun.kernel.party import department

    one, two = people["cg.design"], people["cg.design2"]
    code = "meadow"
    row = builder.begin_workbook(department("cg"), code, "草地认养登记", by=one)
    for part in ("item", "form"):
        told = yaml.safe_load(sample.PARTS[part])
        if part == "item":
            told |= {"name": "草地认养登记", "kind": "promised", "promised_days": 5}
            told |= {"basic_code": "322099008007", "result": {}}
        row = builder.save_part(row, part, told, base=row.number, by=one).row

    def at(page: str) -> None:
        tab.goto(f"{site}/workbench/builder/s/{code}/{page}/")
        tab.wait_for_selector('[data-editor][data-ready="yes"]')

    # A table from nothing: columns are questions, cells are chosen.
    sign_in(tab, "cg.design", f"/workbench/builder/s/{code}/decision/")
    tab.click("text=＋ 编一张决策表")
    tab.click("text=＋ 一个条件列")
    tab.get_by_label("条件列 1看什么").select_option("area")
    tab.click("text=＋ 一个条件列")
    tab.get_by_label("条件列 2看什么").select_option("who")
    for _ in range(2):
        tab.click("text=＋ 一条规则")
    tab.get_by_label("第 1 条 面积", exact=True).select_option("[]")
    tab.get_by_label("第 1 条 面积的值").fill("1")
    tab.get_by_label("第 1 条 面积到").fill("100")
    tab.get_by_label("第 1 条 您以什么身份认养？").select_option("=self")
    tab.get_by_label("第 1 条 结论").select_option("granted")
    tab.get_by_label("第 1 条依据与说明").fill("一百平方米以内")
    tab.get_by_label("第 2 条依据与说明").fill("其余的")
    tab.get_by_label("第 2 条上移").click()
    tab.get_by_label("第 2 条上移").click()
    tab.get_by_label("照抄第 1 条").click()
    tab.get_by_label("去掉第 2 条").click()
    tab.fill("#try-0", "50")
    tab.select_option("#try-1", "self")
    tab.wait_for_selector("[data-verdict] >> text=准予")
    _look(tab, accessible)
    _save(tab)
    table = builder.find(one, code).content["decision"]
    assert [(r["when"], r["then"][0]) for r in table["rules"]] == [
        (["[1..100]", "self"], "granted"),
        (["-", "-"], "review"),
    ]
    # A path: each kind stands where it belongs, what led to the next leads to it, a click opens it.
    at("path")
    _field(tab, "use").select_option("")
    for kind in ("决策表判定", "按条件分流", "公示"):
        tab.click("summary:has-text('加一个环节')")
        tab.click(f".bkinds button:has-text('{kind}')")
    tab.wait_for_selector('[data-element-id="notice"]')
    tab.click('[data-element-id="choose_way"]')
    tab.wait_for_selector('[data-card="steps.3"][open]')
    tab.click("[data-card='steps.3.choose.0'] > summary")
    assert tab.get_by_label("条件 第 1 个怎样比").input_value() == "=="
    assert tab.get_by_label("条件 第 1 个的值").input_value() == "granted"
    _look(tab, accessible)
    _save(tab)
    steps = builder.find(one, code).content["path"]["steps"]
    assert [s["id"] for s in steps] == ["receive", "supplement", "rule", "way", "decide", "notice", "deliver"]  # fmt: skip
    assert steps[0]["outcomes"]["accept"]["go"] == "rule"
    assert steps[3]["choose"][0]["go"] == "notice"
    # Two at once: the page says which places, the later one chooses, nobody's other words are lost.
    at("materials")
    tab.click("summary:has-text('养护承诺书')")
    when = tab.locator("[data-path='materials.1.when']")
    when.get_by_text("＋ 加一个条件").click()
    _field(tab, "materials.1.name").fill("养护保证书")
    row = builder.find(two, code)
    told = copy.deepcopy(row.content["item"])
    told["materials"][1]["name"] = "绿地养护承诺书"
    told["materials"].append({"id": "m1", "name": "小区证明", "grounds": []})
    builder.save_part(row, "item", told, base=row.number, by=two)
    with tab.expect_navigation():
        tab.click(".bsave .primary")
    tab.wait_for_selector("h1:has-text('1 处两边都改了')")
    assert tab.locator(".btwo").inner_text().split("\n")[-1] == "养护保证书"
    assert "王设计" in tab.locator(".bchoose").inner_text()
    _look(tab, accessible)
    tab.check("input[name=take-0][value=mine]")
    with tab.expect_navigation():
        tab.click("text=就按这样")
    made = builder.find(one, code).content["item"]["materials"]
    assert [m.get("name") for m in made] == [None, "养护保证书", "小区证明"]
    assert made[1]["when"] == "who == 'self'"
    # Reviewed by two who read what differs, published, taken down with a reason, offered again.
    row = builder.find(one, code)
    assert not builder.check(row, one).wrong, [f.words for f in builder.check(row, one).wrong]
    case = builder.submit(row, by=one)
    _agree(case, people["cg.head"], people["zwb.review"])
    row = builder.find(one, code)
    told = copy.deepcopy(row.content["decision"])
    told["rules"][0]["when"][0] = "[1..80]"
    row = builder.save_part(row, "decision", told, base=row.number, by=one).row
    steps = copy.deepcopy(row.content["path"])
    steps["steps"][5]["timer"]["days"] = 7
    builder.save_part(row, "path", steps, base=row.number, by=one)
    builder.submit(builder.find(one, code), by=one)
    sign_in(tab, "cg.head", "/workbench/builder/reviews/")
    with tab.expect_navigation():
        tab.click("main a:has-text('草地认养登记')")
    tab.wait_for_selector("[data-drawn=yes] >> nth=1")
    assert "环节“公示”" in tab.locator(".btold").first.inner_text()
    assert tab.locator(".flow-changed del").first.inner_text() == "[1..100]"
    assert tab.locator(".flow-mark-changed").count() == 2
    _look(tab, accessible)
    sign_in(tab, "zwb.review", f"/workbench/builder/s/{code}/")
    tab.click("button:has-text('下线')")
    tab.click("dialog[open] button.danger")
    tab.wait_for_selector("text=请写明下线理由")
    tab.fill("#reason", "试行期满")
    _look(tab, accessible)
    tab.click("button:has-text('下线')")
    with tab.expect_navigation():
        tab.click("dialog[open] button.danger")
    tab.wait_for_selector("text=下线：试行期满")
    assert items.find(code) is None


# ---- two processes, another city ---------------------------------------------------------------------


@contextlib.contextmanager
def _served(database: str, home: Path) -> Iterator[str]:
    """A web process of its own over a database, as `lianyun up` starts it; its address."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface=asgi", "--host=127.0.0.1"]
    command += [f"--port={port}", "--workers=1", "--no-ws", "--log-level=warning"]
    process = subprocess.Popen(
        [*command, "lianyun.project.asgi:app"],
        env={**os.environ, "LIANYUN_DATABASE_URL": database, "LIANYUN_HOME": str(home)},
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{url}/healthz", timeout=2).status_code in (200, 503):
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


class _Person:
    """Somebody at a browser without one: pages are fetched, forms are filled in and sent."""

    def __init__(self, url: str, username: str) -> None:
        self.web = httpx.Client(base_url=url, follow_redirects=True, timeout=60)
        self.send("/login/", {"username": username, "password": PASSWORD})

    def page(self, path: str) -> httpx.Response:
        return self.web.get(path)

    def send(self, path: str, told: dict[str, str], file: bytes | None = None) -> httpx.Response:
        """Fill in the main form of a page and press; the page that follows."""
        found = self.page(path)
        form = lxml.html.fromstring(found.text).xpath("//main//form[@method='post'] | //form[.//input[@type='password']]")[-1]  # fmt: skip
        values = {k: v for k, v in form.fields.items() if v is not None and k != "file"} | told
        files = {"file": ("pack.zip", file, "application/zip")} if file is not None else None
        where = form.get("action") or path
        return self.web.post(where, data=values, files=files, headers={"Referer": str(found.url)})


@contextlib.contextmanager
def _city(name: str) -> Iterator[None]:
    """The test's own code stands in another city for a while."""
    from django.db import connections

    from lianyun.kernel import path

    default = connections.settings["default"]
    before = default["NAME"]
    connections.close_all()
    default["NAME"] = connections["default"].settings_dict["NAME"] = name
    path._path.cache_clear()
    try:
        yield
    finally:
        connections.close_all()
        default["NAME"] = connections["default"].settings_dict["NAME"] = before
        path._path.cache_clear()


@pytest.mark.slow
def test_other_processes_and_another_city_have_it_at_once(
    people: dict[str, Any], tmp_path: Path
) -> None:
    """Published in one process, served by another at its next request; exported, another city has it."""
    from django.db import connections

    from lianyun.capabilities.builder import api as builder
    from lianyun.capabilities.items import api as items
    from lianyun.kernel import packs
    from lianyun.kernel.case import work_items
    from lianyun.kernel.party import department
    from lianyun.project.testing import create_database, installed_database, server_url

    code, name = "lawn_adoption", "草坪认养登记"
    one, head, reviewer = people["cg.design"], people["cg.head"], people["zwb.review"]
    row = builder.begin_workbook(department("cg"), code, name, by=one)
    for part, text in sample.PARTS.items():
        told = yaml.safe_load(text)
        told |= {"name": name, "basic_code": "322099008009"} if part == "item" else {}
        told |= {"serial": "909"} if part == "licence" else {}
        row = builder.save_part(row, part, told, base=row.number, by=one).row
    case = builder.submit(row, by=one)
    builder.review_service(work_items(head).get(case=case), "agree", by=head)
    step = work_items(reviewer).get(case=case)
    here = server_url(str(connections.settings["default"]["NAME"]))
    far = f"city_far_{os.getpid()}"
    there = create_database(far, installed_database())
    connections.close_all()
    with (
        _served(here, Path(os.environ["LIANYUN_HOME"])) as first,
        _served(here, Path(os.environ["LIANYUN_HOME"])) as second,
        _served(there, tmp_path / "c") as third,
    ):
        place, begin = _place(code), f"/my/cases/apply/{code}/"
        assert httpx.get(second + place, timeout=60).status_code == 404
        assert httpx.get(third + place, timeout=60).status_code == 404
        sun = _Person(first, "zwb.review")
        done = sun.send(f"/workbench/builder/reviews/{step.pk}/", {"outcome": "agree"})
        assert "已发布" in done.text
        # The other process, which knew nothing of it a moment ago.
        page = httpx.get(second + place, timeout=60)
        assert page.status_code == 200
        assert name in page.text
        citizen = _Person(second, "zhangsanfeng")
        assert "您以什么身份认养" in citizen.page(begin).text
        filed = _file(people["citizen"], code)
        assert filed.data["resolution"]["by_rule"]
        assert "社区绿地认养证" in citizen.page("/my/licences/").text
        connections.close_all()
        # Exported here, imported there by somebody who has never seen it; agreed to; it works.
        pack = _Person(first, "cg.design").page(f"/workbench/builder/s/{code}/pack.zip").content
        folder = tmp_path / "packs"
        shutil.copytree(packs.packs_dir(), folder)
        zipfile.ZipFile(io.BytesIO(pack)).extractall(folder)
        checked = subprocess.run(
            [sys.executable, "-m", "lianyun.project.cli", "check-packs"],
            env={**os.environ, "LIANYUN_PACKS": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
        with _city(far):
            others = _people()
        analyst = _Person(third, "cg.design")
        taken = analyst.send("/workbench/builder/import/", {"department": "cg"}, pack)
        assert "已导入为草案" in taken.text
        with _city(far):
            row = builder.find(others["cg.design"], code)
            assert not builder.check(row, others["cg.design"]).wrong
            case = builder.submit(row, by=others["cg.design"])
            _agree(case, others["cg.head"], others["zwb.review"])
            assert _file(others["citizen"], code).data["verdict"]["result"] == "granted"
        assert httpx.get(third + place, timeout=60).status_code == 200
        # Both go on with it; what comes back is merged, and what both changed is told.
        with _city(far):
            row = builder.find(others["cg.design"], code)
            now = copy.deepcopy(row.content["decision"])
            now["rules"][1]["when"][1] = "<= 150"
            row = builder.save_part(
                row, "decision", now, base=row.number, by=others["cg.design"]
            ).row
            form = copy.deepcopy(row.content["form"])
            form["parts"][1]["fields"][0]["help"] = "写小区名"
            builder.save_part(row, "form", form, base=row.number, by=others["cg.design"])
        row = builder.find(one, code)
        now = copy.deepcopy(row.content["decision"])
        now["rules"][1]["when"][1] = "<= 80"
        builder.save_part(row, "decision", now, base=row.number, by=one)
        connections.close_all()
        pack = analyst.page(f"/workbench/builder/s/{code}/pack.zip").content
        met = _Person(first, "cg.design").send("/workbench/builder/import/", {"department": "cg"}, pack)  # fmt: skip
        assert "1 处两边都改过" in met.text
        assert "&lt;= 150" in met.text
        assert "&lt;= 80" in met.text
        row = builder.find(one, code)
        assert row.content["form"]["parts"][1]["fields"][0]["help"] == "写小区名"
        assert row.content["decision"]["rules"][1]["when"][1] == "<= 80", "ours stands until chosen"
        assert items.find(code) is not None


def _place(code: str) -> str:
    from django.urls import reverse

    return reverse("items:item", args=[code])
