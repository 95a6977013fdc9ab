"""Pages: the board, a dataset, an upload from file to verdict, a source's form, who may see what."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import actions, adapters, api
from lianyun.kernel.access import SYSTEM, Actor, actor_of
from lianyun.kernel.models import Batch, Party, Resource

from .conftest import client_of, make_officer
from .test_load import DIRTY


@pytest.fixture
def client(officer: Actor) -> Client:
    """The police officer's browser."""
    return client_of(officer)


def test_upload_from_file_to_verdict(
    people: Resource, client: Client, run_jobs: Callable[[], int]
) -> None:
    sent = SimpleUploadedFile("人员.csv", DIRTY.encode("gb18030"))
    answer = client.post("/workbench/collection/upload/", {"file": sent})
    assert answer.status_code == 302, answer.content.decode()
    page = client.get(answer["Location"])
    text = page.content.decode()
    assert "gb18030" in text
    assert '<option value="people" selected>' in text
    answer = client.post(answer["Location"], {"dataset": "people", "mode": "incremental"})
    batch = Batch.objects.get()
    assert answer["Location"] == f"/workbench/collection/batches/{batch.code}/"
    assert "排队等待" in client.get(answer["Location"]).content.decode()
    run_jobs()
    polled = client.get(f"{answer['Location']}progress/")
    assert polled["HX-Refresh"] == "true"
    text = client.get(answer["Location"]).content.decode()
    assert "校验位错误" in text
    assert "只有一列" in text
    board = client.get("/workbench/collection/").content.decode()
    assert "测试人员" in board
    shown = client.get("/workbench/collection/datasets/people/").content.decode()
    assert "张*" in shown
    assert "张三" not in shown


def test_every_page_opens(people: Resource, client: Client, write: Callable[..., Path]) -> None:
    code = api.load("people", write(DIRTY), by=SYSTEM)["batch"]
    source = api.register_source(
        dataset="people", name="people-file", kind="csv", location="people.csv", by=SYSTEM
    )
    for url in (
        "",
        "?all=1",
        "?export=csv-t",
        "batches/",
        f"batches/{code}/",
        f"batches/{code}/correct/",
        f"batches/{code}/rejects.csv",
        "sources/",
        "sources/new/",
        *(f"sources/new/?kind={k}" for k in ("postgresql", "mysql", "sqlite", "excel", "http")),
        f"sources/{source.name}/",
        f"sources/{source.name}/edit/",
        "upload/",
    ):
        answer = client.get(f"/workbench/collection/{url}")
        assert answer.status_code == 200, f"{url}: {answer.status_code}"


def test_who_saw_a_rejected_row_is_known_to_its_person(
    people: Resource, client: Client, write: Callable[..., Path]
) -> None:
    code = api.load("people", write(DIRTY), by=SYSTEM)["batch"]
    bad = next(r for r in api.rejects(code, by=SYSTEM) if r["values"].get("姓名") == "王五")
    number = bad["values"]["公民身份号码"]
    for url in ("", "correct/", "rejects.csv"):
        assert client.get(f"/workbench/collection/batches/{code}/{url}").status_code == 200
    person = Party.objects.create(kind=Party.PERSON, name="王五")
    audit.link_person(party=person, citizen_number=number, by=SYSTEM)
    page = client_of(actor_of(person)).get("/seen/").content.decode()
    assert page.count(f"更正批次 {code} 拒收的行") == 4
    assert number not in page


def test_strangers_see_no_rejected_rows(
    people: Resource, city: None, write: Callable[..., Path]
) -> None:
    code = api.load("people", write(DIRTY), by=SYSTEM)["batch"]
    other = client_of(make_officer("jy", "data_officer"))
    text = other.get(f"/workbench/collection/batches/{code}/").content.decode()
    assert "只有一列" not in text
    assert "李四" not in text
    assert other.get(f"/workbench/collection/batches/{code}/rejects.csv").status_code == 403
    assert other.get(f"/workbench/collection/batches/{code}/correct/").status_code == 403
    leader = client_of(make_officer("sjj", "leader"))
    assert leader.get("/workbench/collection/upload/").status_code == 403


def test_corrected_rows_come_in(
    people: Resource, client: Client, write: Callable[..., Path]
) -> None:
    code = api.load("people", write(DIRTY), by=SYSTEM)["batch"]
    url = f"/workbench/collection/batches/{code}/correct/"
    rows = {r["line"]: r for r in api.rejects(code, by=SYSTEM)}
    at = list(rows[4]["values"]).index("性别")
    answer = client.post(url, {f"v-4-{at}": "1", **_unchanged(rows, skip=f"v-4-{at}")})
    made = Batch.objects.order_by("-id").first()
    assert answer.status_code == 302
    assert (made.landed, made.accepted, made.rejected) == (1, 1, 0)
    assert made.source_ref == f"corrected:{code}"
    fixed = {r["line"]: r["corrected_by"] for r in api.rejects(code, by=SYSTEM)}
    assert fixed[4] == made.code
    assert fixed[3] is None


def _unchanged(rows: dict[int, dict], skip: str) -> dict[str, str]:
    return {
        f"v-{line}-{i}": value or ""
        for line, row in rows.items()
        for i, value in enumerate(row["values"].values())
        if f"v-{line}-{i}" != skip
    }


def test_abandoned_uploads_are_swept(people: Resource, client: Client, officer: Actor) -> None:
    kept = []
    for name in ("旧.csv", "新.csv", "排队.csv"):
        sent = SimpleUploadedFile(name, DIRTY.encode())
        where = client.post("/workbench/collection/upload/", {"file": sent})["Location"]
        kept.append(adapters.upload_path(where.strip("/").split("/")[-1], officer.ref))
    old, _, queued = kept
    actions.queue_upload(dataset="people", token=queued.parent.name, by=officer)
    then = time.time() - 3 * 86_400
    for path in (old, old.parent, queued, queued.parent):
        os.utime(path, (then, then))
    assert actions.sweep_uploads(by=SYSTEM) == 1
    assert [path.exists() for path in kept] == [False, True, True]
