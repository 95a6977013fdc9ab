"""Hall: many applicants filing at once through a real server; look-ups beside their bare SQL.

``python benchmarks/hall.py [--applicants N] [--workers W]`` prepares N applications for
货车禁区通行证 up to the last page (consents, look-ups, form, verification), signs N people in, and
lets all press 提交申请 at the same moment: each files a form of 20 answers and opens a case with its
path. Target: no error, 95 of 100 within 1 s. Beside it: what the hall's look-ups of one applicant
take (licence, library, register, with consent and judging), against the same three questions as
bare SQL on the same connections, in the same run; the ratio says what consent, masks and words cost.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from installation import installation

Answer = tuple[int, dict[str, str], str]
TARGET = 1.0
PASSWORD = "Haizhou-2026"
ITEM = "freight_permit"
ANSWERS = {"vehicle": "own", "route": "ring", "goods": "common"}
FORM = {
    "applicant_kind": "person",
    "phone": "13812345678",
    "residence_address": "海州区某路 1 号",
    "plate_type": "01",
    "vehicle_type": "H11",
    "load": "2.5",
    "goods": "food",
    "route": "郁洲路（港城大道至朝阳路）",
    "period": "night",
    "begins_on": "2099-01-01",
    "ends_on": "2099-02-01",
    "truth": "1",
}


def number(n: int) -> str:
    """The n-th person's number, with its check digit."""
    from lianyun.kernel.element import citizen_check_digit

    first = f"3207031980{n % 12 + 1:02d}{n % 28 + 1:02d}{n:03d}"
    return first + citizen_check_digit(first)


def plate(n: int) -> str:
    """The n-th person's car."""
    return f"苏G{n:05d}"


def pour(people: int) -> None:
    """The people in the library, their cars in the register, the item published."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.libraries import api as libraries
    from lianyun.kernel.access import SYSTEM
    from lianyun.lake.shelves import Column, ensure_table

    if items.find(ITEM) is None:
        items.sync_declared(by=SYSTEM)
    libraries.sync_libraries(by=SYSTEM)
    system = {"_batch": "b1", "_line": "1", "_loaded_at": "2026-11-01 08:00:00"}
    tables: dict[str, list[dict[str, str]]] = {
        "ga_residents": [
            {
                "citizen_number": number(n),
                "name": f"张{n}",
                "registered_address": "海州区某路 1 号",
                "phone": "13812345678",
                "update_time": "2026-11-02 08:00:00",
                **system,
            }
            for n in range(people)
        ],
        "ga_vehicles": [
            {
                "plate_number": plate(n),
                "plate_type": "01",
                "vehicle_type": "H11",
                "owner_name": f"张{n}",
                "owner_number": number(n),
                "update_time": "2026-11-02 08:00:00",
                **system,
            }
            for n in range(people)
        ],
    }
    for name, rows in tables.items():
        with collection.lake().connect() as con:
            ensure_table(con, "trusted", name, [Column(c) for c in rows[0]])
            marks = ", ".join("?" for _ in rows[0])
            con.execute("BEGIN")
            con.executemany(
                f"INSERT INTO lake.trusted.{name} ({', '.join(rows[0])}) VALUES ({marks})",
                [list(r.values()) for r in rows],
            )
            con.execute("COMMIT")
    libraries.build_library(name="population", by=SYSTEM)


def prepare(n: int) -> Any:
    """One applicant with a licence and an account, whose application lacks only the last button."""
    from django.utils import timezone

    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.capabilities.licences import api as licences
    from lianyun.kernel.access import SYSTEM, actor_of

    name = f"张{n}"
    party = identity.party_of_number(number(n), name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    user = User(username=f"p{n}", party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    licences.issue(
        "driving_licence",
        party,
        {
            "name": name,
            "citizen_number": number(n),
            "driving_class": "B2",
            "first_issued_on": dt.date(2015, 3, 1),
            "file_number": f"3207000{n:05d}",
            "valid_from": dt.date(2021, 3, 1),
            "valid_to": dt.date(2099, 2, 28),
        },
        once=f"licence-{n}",
        by=SYSTEM,
    )
    by = actor_of(party)
    made = hall.begin(ITEM, applicant=party, answers=ANSWERS, by=by)
    row = hall.consent(made, keys=[f"{a['kind']}:{a['name']}" for a in made.asked], by=by)
    hall.look_up(row, by=by)
    row = type(made).objects.get(pk=made.pk)
    draft = forms.draft_of(row.draft, by)
    told = {**FORM, "plate_number": plate(n), "signed": name}
    for part in forms.form(ITEM).parts:
        if part.id != "entity":
            posted = {f.id: [told[f.id]] for f in part.fields if f.id in told}
            saved = forms.save_part(draft, part.id, posted, 0, by=by)
            assert saved.good, saved.errors
    hall.verify(row, by=by)
    return type(made).objects.get(pk=made.pk)


def looks(rows: list[Any]) -> tuple[float, float]:
    """Median seconds of one applicant's look-ups: the hall's, and the bare SQL of the same."""
    from django.db import connection

    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.hall.adapters import sources
    from lianyun.capabilities.hall.queries import looking
    from lianyun.kernel.access import actor_of

    ours, bare = [], []
    for n, row in enumerate(rows):
        by = actor_of(row.applicant)
        began = time.perf_counter()
        agreed = looking.in_force(by, row)
        book = looking.read(by, row, agreed)
        looking.judged(by, row, book, agreed, {})
        sources.register("ga_vehicles", {"plate_number": plate(n)})
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT l.* FROM licences_licence l JOIN kernel_grant g ON g.id = l.grant_id"
                " WHERE g.grantee_id = %s",
                [row.applicant_id],
            )
            cursor.fetchall()
        # The form asks the register for one's own cars, the material for the car of the form.
        for table, column, value in (
            ("library.population", "citizen_number", number(n)),
            ("trusted.ga_vehicles", "owner_number", number(n)),
            ("trusted.ga_vehicles", "plate_number", plate(n)),
        ):
            with collection.lake().connect(read_only=True) as con:
                con.execute(f"SELECT * FROM lake.{table} WHERE {column} = ?", [value]).fetchall()
        bare.append(time.perf_counter() - began)
    return statistics.median(ours), statistics.median(bare)


class Browser:
    """One keep-alive connection that speaks plain HTTP/1.1: what measures must not burn the cores."""

    def __init__(self, base: str) -> None:
        self.host, self.port = base.removeprefix("http://").split(":")
        self.cookies: dict[str, str] = {}

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """One request on the open connection; the cookies of the answer are kept."""
        if not hasattr(self, "writer"):
            self.reader, self.writer = await asyncio.open_connection(self.host, int(self.port))
        self.writer.write(self.request(method, path, form))
        return await self.answer()

    def request(self, method: str, path: str, form: dict[str, str] | None = None) -> bytes:
        """The bytes of a request."""
        body = urlencode(form).encode() if form else b""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Referer: http://{self.host}:{self.port}{path}",
            f"Cookie: {cookies}",
            f"Content-Length: {len(body)}",
            "Content-Type: application/x-www-form-urlencoded",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    async def answer(self) -> Answer:
        """Status, headers (small letters) and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
            headers[name.lower()] = value
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body.decode()


async def burst(base: str, rows: list[Any], tell: Callable[[], None]) -> tuple[list[float], int]:
    """Everybody signs in and opens the last page; then all file at once: seconds, errors.

    `tell` is called right before the press: from there on the processors are watched.
    """
    few = asyncio.Semaphore(16)

    async def ready(n: int, row: Any) -> tuple[Browser, bytes]:
        async with few:
            browser = Browser(base)
            _, _, page = await browser.ask("GET", "/login/")
            told = {"username": f"p{n}", "password": PASSWORD, "csrfmiddlewaretoken": token(page)}
            status, _, _ = await browser.ask("POST", "/login/", told)
            assert status == 302, status
            address = f"/my/cases/{row.code}/check/"
            status, _, page = await browser.ask("GET", address)
            assert status == 200, status
            told = {"true": "1", "behalf": "", "csrfmiddlewaretoken": token(page)}
            return browser, browser.request("POST", address, told)

    async def press(browser: Browser, request: bytes) -> tuple[float, bool]:
        began = time.perf_counter()
        browser.writer.write(request)
        status, headers, _ = await browser.answer()
        good = status == 302 and headers["location"].endswith("/receipt/")
        return time.perf_counter() - began, good

    seats = await asyncio.gather(*(ready(n, row) for n, row in enumerate(rows)))
    tell()
    done = await asyncio.gather(*(press(*seat) for seat in seats))
    for browser, _ in seats:
        browser.writer.close()
    return [seconds for seconds, _ in done], sum(not good for _, good in done)


def busy(number: int) -> float:
    """CPU seconds of a process and all that it started."""
    import psutil

    whole = psutil.Process(number)
    times = [p.cpu_times() for p in (whole, *whole.children(recursive=True))]
    # A database's backend that has ended counts at its parent.
    return sum(t.user + t.system for t in times) + sum(times[0][2:4])


def token(page: str) -> str:
    """The CSRF token in a page."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def serve(home: str, workers: int) -> tuple[subprocess.Popen[bytes], str]:
    """The product's own server on a free port, as `lianyun up` starts it."""
    import socket

    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface=asgi", "--host=127.0.0.1"),
            *(f"--port={port}", f"--workers={workers}", "--no-ws", "--log-level=warning"),
            "lianyun.project.asgi:app",
        ],
        cwd=home,
    )
    base = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            if httpx.get(f"{base}/login/").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.2)
    return child, base


def measure(home: str, database: int, applicants: int, workers: int) -> bool:
    """Prepare, press, print, and say whether the target is met."""
    from django.db import connections

    from lianyun.kernel.models import Case

    pour(applicants)
    rows = [prepare(n) for n in range(applicants)]
    ours, bare = looks(rows[: min(applicants, 30)])
    print(
        f"一名申请人的免交核验：大厅 {1000 * ours:5.1f} 毫秒   "
        f"同样查询的 SQL {1000 * bare:5.1f} 毫秒   比 {ours / bare:.2f}"
    )
    before = Case.objects.filter(path__key="item_promised").count()
    connections.close_all()
    child, base = serve(home, workers)
    watched: list[float] = []

    def tell() -> None:
        watched.extend((busy(child.pid), busy(database), time.process_time()))

    try:
        seconds, errors = asyncio.run(burst(base, rows, tell))
        tell()
    finally:
        child.terminate()
        child.wait(20)
    filed = Case.objects.filter(path__key="item_promised").count() - before
    p95 = sorted(seconds)[max(int(0.95 * len(seconds)) - 1, 0)]
    print(
        f"{applicants} 人同时提交：办件 {filed} 件，错误 {errors}   中位 "
        f"{statistics.median(seconds):.2f} 秒   p95 {p95:.2f} 秒   最长 {max(seconds):.2f} 秒   "
        f"每秒 {applicants / max(seconds):.0f} 件   与 1 秒目标之比 {p95 / TARGET:.2f}"
    )
    web, base_, client = (1000 * (watched[n + 3] - watched[n]) / applicants for n in range(3))
    print(
        f"每件处理器时间：网页 {web:.1f} 毫秒   数据库 {base_:.1f} 毫秒   发起方 {client:.1f} 毫秒   "
        f"（{os.cpu_count()} 核）"
    )
    return errors == 0 and filed == applicants and p95 <= TARGET


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applicants", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with installation() as (home, server):
        database = server.pid()
        assert database is not None
        met = measure(str(home), database, arguments.applicants, arguments.workers)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
