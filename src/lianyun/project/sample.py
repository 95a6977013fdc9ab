"""Sample city: what `lianyun demo` does, every step through the doors that officers use.

`demo/` writes departments' databases and files; this module registers them, runs the main job
(catalogue, collection, checks, libraries, a request from one department to another, a call under
its grant), and tells what came of it. Each step may run again: what is done already is left alone.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lianyun.project import (
    postgres,
    sample_builder,
    sample_construction,
    sample_counters,
    sample_delivery,
    sample_desk,
    sample_enrolment,
    sample_exchange,
    sample_hall,
    sample_identity,
    sample_licences,
    sample_lives,
    sample_login,
    sample_messages,
    sample_offers,
    sample_packages,
    sample_registration,
    sample_relay,
    sample_seals,
    sample_services,
)

DATABASE = "lianyun_departments"
MARK = "city.json"
Tell = Callable[[float, str], None]

# Who works in the bureau, by account: name, roles.
BUREAU = {
    "yunying": ("运营专员", ["bureau_operator"]),
    "zhizhang": ("印章制作员", ["seal_maker"]),
    "mulu": ("目录管理员", ["bureau_catalogue"]),
    "xitong": ("系统管理员", ["system_admin"]),
    "anquan": ("安全管理员", ["security_admin"]),
    "shenji": ("审计管理员", ["audit_admin"]),
    "lingdao": ("市领导", ["leader"]),
}
# What departments ask of one another: applicant, dataset, fields, why; and how far the case goes.
REQUESTS = (
    (
        "gjj",
        "ga_residents",
        ("citizen_number", "name", "birth_date", "marital_status", "village_code"),
        "办理离退休提取住房公积金时核验职工身份和出生日期",
        "deliver",
    ),
    (
        "mz",
        "rs_insured",
        ("citizen_number", "name", "unit_name", "insurance_status"),
        "审核最低生活保障申请人的就业和参保情况",
        "answer",
    ),
    (
        "jy",
        "ga_residents",
        ("citizen_number", "name", "village_code", "household_number"),
        "核验义务教育阶段入学儿童的户籍和学区",
        "consent",
    ),
)


class SampleError(RuntimeError):
    """The sample city cannot be built; the message says why and what to do."""


@dataclass
class Outcome:
    """What building the city came to; `as_dict` is what `--json` prints."""

    people: int
    seed: int
    steps: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "people": self.people,
            "seed": self.seed,
            **self.steps,
            "seconds": {k: round(v, 1) for k, v in self.seconds.items()},
            "accounts": self.accounts,
        }


class Stage:
    """Prints one bar a step on a terminal, one line a step elsewhere."""

    def __init__(self, outcome: Outcome, quiet: bool) -> None:
        self.outcome = outcome
        self.console = Console(stderr=True)
        self.quiet = quiet
        self.bars = Progress(
            TextColumn("{task.fields[title]:<12}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.description}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )

    @contextmanager
    def step(self, key: str, title: str) -> Iterator[Tell]:
        """One step of the building, timed; the caller tells how far it is (0 to 1)."""
        began = time.monotonic()
        task = self.bars.add_task("", title=title, total=1.0)

        def tell(fraction: float, text: str = "") -> None:
            self.bars.update(task, completed=fraction, description=text)

        yield tell
        took = time.monotonic() - began
        self.outcome.seconds[key] = took
        self.bars.update(task, completed=1.0, description="")
        if not self.quiet and not self.console.is_terminal:
            self.console.print(f"{title}（{took:.1f} 秒）")


# ---- the departments' own systems ----------------------------------------------------------


def departments_database() -> str:
    """The URL of the database that plays the departments' own servers; made if it is not there."""
    own = postgres.database_url()
    with psycopg.connect(own, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if there.fetchone() is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}" TEMPLATE template0'.encode())
    return urlunsplit(urlsplit(own)._replace(path=f"/{DATABASE}"))


def write_sources(people: int, seed: int, folder: Path, url: str, tell: Tell) -> dict[str, Any]:
    """Have `demo/` write the departments' databases and files; returns its own summary."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "demo").is_dir():
        raise SampleError("没有找到 demo/ 目录：样例城市只能在源码目录中建立")
    command = [
        *(sys.executable, "-m", "demo", "--people", str(people), "--seed", str(seed)),
        *("--out", str(folder), "--postgres-dsn", url, "--json-progress"),
    ]
    last: dict[str, Any] = {}
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                last = json.loads(line)
                tell(last.get("fraction", 1.0), last.get("message", ""))
        assert process.stderr is not None
        trouble = process.stderr.read()
    if process.returncode != 0:
        raise SampleError(f"样例数据生成失败：\n{trouble[-2000:]}")
    return last


# ---- people --------------------------------------------------------------------------------


def open_accounts(home: Path, tell: Tell) -> dict[str, str]:
    """Accounts for the bureau and for two people of each department that has data or asks for some.

    All share one password, drawn once for this installation; returns account → title, and the
    password under `密码`.
    """
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.case import bureau
    from lianyun.kernel.models import Party
    from lianyun.kernel.packs import declarations

    path = home / "demo-password"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"Lianyun-{secrets.token_hex(4)}")
    password = path.read_text().strip()
    slugs = {d.data["provider"] for d in declarations("datasets")} | {r[0] for r in REQUESTS}
    parties = {p.slug: p for p in Party.objects.filter(kind=Party.DEPARTMENT, slug__in=slugs)}
    wanted: list[tuple[Party, str, str, list[str]]] = [
        (bureau(), name, username, roles) for username, (name, roles) in BUREAU.items()
    ]
    for slug in sorted(slugs):
        party = parties[slug]
        short = party.short.removeprefix("市")
        wanted.append(
            (
                party,
                f"{short}数据专员",
                f"{slug}.zhuanyuan",
                ["data_officer", "department_admin", "seal_keeper"],
            )
        )
        wanted.append((party, f"{short}负责人", f"{slug}.fuzeren", ["share_head"]))
    # The sample city says openly that it demands no second factor; its login page tells so.
    if identity.policy_name() != "demonstration":
        identity.choose_policy("demonstration", by=SYSTEM)
    have = set(get_user_model().objects.values_list("username", flat=True))
    told: dict[str, str] = {}
    for number, (party, name, username, roles) in enumerate(wanted):
        tell(number / len(wanted), name)
        if username not in have:
            identity.create_account(
                party, name, username, roles, password=password, must_change=False, by=SYSTEM
            )
        if party.slug in ("sjj", "ga", "gjj"):
            told[username] = f"{party.name} {name}"
    return {**told, "密码": password}


def officer(username: str) -> Any:
    """The actor behind an account of the sample city."""
    from django.contrib.auth import get_user_model

    from lianyun.kernel.access import actor_of

    party = get_user_model().objects.get(username=username).party
    assert party is not None
    return actor_of(party)


# ---- the main job --------------------------------------------------------------------------


def fill_catalogue(folder: Path, tell: Tell) -> dict[str, int]:
    """Import the city's catalogue from its workbook; returns how much it holds."""
    from lianyun.capabilities.catalogue import api as catalogue

    report = catalogue.import_catalogue(
        file=folder / "catalogue.xlsx", by=officer("mulu"), tell=tell
    )
    if report.rejected:
        wrong = next(i for i in report.issues if i.severity == "error")
        raise SampleError(f"目录导入拒收了 {report.rejected} 个资源，首个错误：{wrong}")
    departments = catalogue.public_totals()["departments"]
    return {"departments": departments, "resources": report.resources, "items": report.items}


def collect(folder: Path, url: str, tell: Tell) -> dict[str, int]:
    """Register every source that the departments have and load each once."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.kernel.access import SYSTEM, UserError

    listing = json.loads((folder / "sources.json").read_text("utf-8"))
    total = {"datasets": 0, "landed": 0, "accepted": 0, "rejected": 0, "failed": 0}
    for number, entry in enumerate(listing):
        tell(number / len(listing), entry["title"])
        database = entry["kind"] == "postgresql"
        options = {**entry["options"], **({"table": entry["table"]} if entry["table"] else {})}
        name = f"{entry['dataset']}_source"
        collection.register_source(
            dataset=entry["dataset"],
            name=name,
            kind=entry["kind"],
            location=url if database else str(folder / entry["location"]),
            options=options,
            mode=entry["mode"],
            watermark=entry["watermark"] or "",
            schedule=entry["schedule"] or "",
            replace=True,
            by=SYSTEM,
        )
        try:
            done = collection.load_source(name, by=SYSTEM)
        except UserError as error:
            total["failed"] += 1
            Console(stderr=True).print(f"[red]{entry['title']}：{error}")
            continue
        total["datasets"] += 1
        for key in ("landed", "accepted", "rejected"):
            total[key] += done[key]
    return total


def build_libraries(tell: Tell) -> dict[str, int]:
    """Build every declared library; returns golden records by library."""
    from lianyun.capabilities.libraries import api as libraries
    from lianyun.kernel.packs import declarations

    out = {}
    declared = declarations("libraries")
    for number, library in enumerate(declared):
        tell(number / len(declared), library.data["title"])
        out[library.name] = libraries.build_library(
            name=library.name, by=officer("yunying")
        ).entities
    return out


def link_records(tell: Tell) -> dict[str, dict[str, int]]:
    """Run every declared linkage; returns its merges and the pairs that wait for an officer."""
    from lianyun.capabilities.linkage import api as linkage

    out = {}
    listed = linkage.names()
    for number, name in enumerate(listed):

        def part(fraction: float, message: str, number: int = number) -> None:
            tell((number + fraction) / len(listed), message)

        made = linkage.run_linkage(name=name, by=officer("yunying"), tell=part).outcome
        out[name] = {k: made[k] for k in ("merged", "waiting")}
    return out


def compare_data(folder: Path, tell: Tell) -> dict[str, Any]:
    """Run every comparison, check it against what `demo/` planted, and work a few findings to an end.

    Returns found and planted numbers, precision and recall (findings held back for incomplete data
    are not counted as found), and the amounts.
    """
    from lianyun.capabilities.comparison import api as comparison
    from lianyun.kernel.access import SYSTEM

    truth = json.loads((folder / "truth.json").read_text("utf-8"))["comparison"]
    names = comparison.rule_names()
    total: dict[str, Any] = {"rules": len(names), "found": 0, "planted": 0, "right": 0}
    total |= {"held": 0, "amount": 0.0, "look_alikes": 0, "each": {}}
    for number, name in enumerate(names):
        tell(number / (len(names) + 1), name)
        run = comparison.run_rule(name=name, by=SYSTEM, trigger="schedule")
        stands = comparison.identities(SYSTEM, name)
        found = {(key, period) for key, period, standing, _, _ in stands if standing == "found"}
        planted = {tuple(key) for key in truth[name]["keys"]} if name in truth else set()
        right = len(found & planted)
        total["found"] += len(found)
        total["planted"] += len(planted)
        total["right"] += right
        total["held"] += run.outcome["incomplete"]
        total["amount"] += run.outcome["amount"]
        total["look_alikes"] += sum(truth.get(name, {}).get("look_alikes", {}).values())
        total["each"][name] = [len(found), len(planted), right]
    total["precision"] = round(total["right"] / total["found"], 4) if total["found"] else 0.0
    total["recall"] = round(total["right"] / total["planted"], 4) if total["planted"] else 0.0
    total["amount"] = round(total["amount"], 2)
    tell(0.95, "立案核查")
    return total | work_findings()


# How far the sample city's first cases of each rule have come: rule, what the desk decided in turn.
DECISIONS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "tax_property_missing",
        (("confirmed", "18600", ""), ("recover", "", ""), ("recovered", "18600", "")),
    ),
    (
        "tax_driving_schools",
        (("confirmed", "32000", ""), ("recover", "", ""), ("partial", "600", "")),
    ),
    ("deceased_pension", (("confirmed", "", ""),)),
    ("relief_repeated", (("dismissed", "", "两次困难并非同一件事，材料齐全"),)),
    ("licence_expired", ()),
    (
        "statistics_missing",
        (("confirmed", "", ""), ("settled", "", "已通知项目单位补报，下月入统")),
    ),
)


def work_findings() -> dict[str, Any]:
    """Open the largest findings of some rules as cases and take one of each as far as DECISIONS say."""
    from lianyun.capabilities.comparison import api as comparison
    from lianyun.kernel.models import WorkItem

    opened = 0
    for rule, decisions in DECISIONS:
        rows = list(
            comparison.Finding.objects.filter(rule=rule, stage="new").order_by("-amount")[:3]
        )
        if not rows or comparison.Finding.objects.filter(rule=rule, case__isnull=False).exists():
            continue
        desk = officer(f"{rows[0].department.slug}.zhuanyuan")
        opened += len(comparison.open_findings(codes=[f.code for f in rows], by=officer("yunying")))
        for outcome, amount, note in decisions:
            item = WorkItem.objects.filter(
                case__subject=f"finding:{rows[0].code}", done_at=None
            ).get()
            comparison.work(item=item, outcome=outcome, amount=amount, note=note, by=desk)
    return {"cases": opened}


def request_data(tell: Tell) -> dict[str, Any]:
    """Departments ask one another; the first request goes all the way to a grant and its key."""
    from django.utils import timezone

    from lianyun.capabilities.sharing import api as sharing
    from lianyun.kernel.models import Grant, Resource

    until = timezone.localdate() + dt.timedelta(days=365)
    out: dict[str, Any] = {"requests": 0}
    for number, (asker, name, fields, why, far) in enumerate(REQUESTS):
        tell(number / len(REQUESTS), why)
        resource = Resource.objects.select_related("owner").get(name=name)
        case = sharing.request_share(
            resource=resource,
            request=sharing.Request(
                basis="《政务数据共享条例》第二十条及本部门法定职责",
                scene=why,
                purpose=why[:40],
                fields=fields,
                until=until,
                plain=("citizen_number",) if far == "deliver" else (),
                plain_reason="按身份号码逐人核验，须返回原值以供比对" if far == "deliver" else "",
            ),
            once=f"sample-{asker}-{name}",
            by=officer(f"{asker}.zhuanyuan"),
        )
        out["requests"] += 1
        provider = resource.owner.slug
        ways = [
            ("consent", "agree", f"{asker}.fuzeren", "answer deliver"),
            ("answer_", "agree", f"{provider}.zhuanyuan", "deliver"),
            ("approve", "agree", f"{provider}.fuzeren", "deliver"),
            ("deliver", "done", f"{provider}.zhuanyuan", "deliver"),
        ]
        for step, outcome, who, when in ways:
            item = case.items.filter(step__startswith=step, done_at=None).first()
            if far in when.split() and item is not None:
                sharing.do_step(item=item, outcome=outcome, by=officer(who))
        if far == "deliver":
            out["grant"] = Grant.objects.get(case=case).code
    return out


def call_service(grant_code: str, home: Path) -> dict[str, Any]:
    """Use the grant as the applicant's system would: five people asked for by number over HTTP.

    The key is kept beside the demo's password, since it is shown only once.
    """
    import httpx

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.services import api as services
    from lianyun.capabilities.services.fast import app, shutdown
    from lianyun.kernel.models import Grant

    grant = Grant.objects.get(code=grant_code)
    by = officer("gjj.zhuanyuan")
    client = services.client_of(by, grant)
    assert client is not None
    assert grant.resource is not None
    path = home / "demo-credential"
    if client.collected_at is None:
        credential = services.collect_secret(client=client, by=by)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(credential)
    elif path.exists():
        credential = path.read_text().strip()
    else:
        credential = services.rotate_secret(client=client, by=by)
    with collection.lake().connect(read_only=True) as con:
        people = con.execute(
            f"SELECT citizen_number FROM lake.trusted.{grant.resource.name} ORDER BY 1 LIMIT 5"
        ).fetchall()

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {credential}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            answers = [
                await http.get(
                    f"/api/data/{grant.resource.name}",  # type: ignore[union-attr]
                    params={"citizen_number": number},
                    headers=headers,
                )
                for (number,) in people
            ]
        await shutdown()
        return answers

    # What an earlier run left unsealed would count as an outage: nobody signs while the city rests.
    audit.seal_calls()
    answers = asyncio.run(ask())
    bad = [a for a in answers if a.status_code != 200]
    if bad:
        raise SampleError(f"数据服务没有答复：{bad[0].status_code} {bad[0].text[:300]}")
    return {"calls": len(answers), "receipt": proven(home, answers[-1])}


def proven(home: Path, answer: Any) -> str:
    """Check one call's receipt as an outside party would, by the root certificate alone."""
    from lianyun.capabilities.audit import api as audit
    from lianyun.kernel.access import SYSTEM
    from lianyun.trust import check_receipt

    audit.seal_calls()
    root = next(k.certificate for k in audit.signing_keys(SYSTEM) if k.use == k.ROOT)
    receipt = audit.receipt(SYSTEM, answer.headers["x-call"])
    check_receipt.check(receipt, root, response=answer.content)
    (home / "demo-receipt.json").write_text(json.dumps(receipt, ensure_ascii=False), "utf-8")
    return str(receipt["call"])


# What the bureau keeps for everybody to ask again: title, purpose, SQL, and what its chart shows.
QUESTIONS = (
    (
        "各县区户籍人口",
        "人口分布",
        """SELECT region_code AS "行政区划代码", count(*) AS "人数"
FROM ga_residents
GROUP BY 1
ORDER BY 2 DESC""",
        {"kind": "bar", "label": "行政区划代码", "values": ["人数"]},
    ),
    (
        "各县区户籍人口与参保人数",
        "社会救助与就业分析",
        """SELECT r.region_code AS "行政区划代码",
       count(DISTINCT i.citizen_number_link) AS "参保人数",
       count(DISTINCT r.citizen_number_link) AS "户籍人口"
FROM ga_residents AS r
LEFT JOIN rs_insured AS i ON i.citizen_number_link = r.citizen_number_link
GROUP BY 1
ORDER BY 3 DESC""",
        {"kind": "bar", "label": "行政区划代码", "values": ["户籍人口", "参保人数"]},
    ),
)


def ask_questions(tell: Tell) -> dict[str, int]:
    """The bureau asks the data of several departments and keeps its questions for all to use."""
    from lianyun.capabilities.analysis import api as analysis

    out = {"questions": 0, "rows": 0}
    for number, (title, purpose, sql, chart) in enumerate(QUESTIONS):
        tell(number / len(QUESTIONS), title)
        out["rows"] += analysis.keep(
            sql=sql,
            title=title,
            purpose=purpose,
            sharing="city",
            chart=chart,
            by=officer("yunying"),
        )
        out["questions"] += 1
    return out


# Data that the sample city opens on conditions, and what the public says of its open data.
ON_CONDITIONS = {"scjg_annual_reports", "fg_projects", "sws_taxpayers"}
IN_COUNTS = {"cl_disabled": ("disability_type", "disability_level", "town_code")}
"""Of the most sensitive data only these are opened, as numbers of people by the columns named."""
RATED = ("jt_stops", "wl_scenic", "jy_schools", "sthj_air")
VOICES: tuple[tuple[str, str, str, str, str, str, str], ...] = (
    (
        "request",
        "",
        "希望开放公共停车场的实时空位",
        "用于出行导航，最好每 5 分钟更新一次。",
        "",
        "accept",
        "已列入明年开放计划，先开放停车场名录，实时空位待接入后开放。",
    ),
    (
        "application",
        "jt_stops",
        "港城公交站点地图",
        "按站点查看经过的线路，支持语音播报。",
        "https://example.org/lyg-bus",
        "agree",
        "",
    ),
    (
        "request",
        "",
        "希望开放学区划分",
        "查询每个小区对应的小学和初中。",
        "",
        "",
        "",
    ),
)


def _opened_first(declared: list[Any]) -> list[Any]:
    """What the demo opens in its own run: the least sensitive of each department, and what it shows."""
    shown = ON_CONDITIONS | set(IN_COUNTS) | set(RATED)
    least: dict[str, Any] = {}
    for entry in sorted(declared, key=lambda d: (d.data["level"], d.name)):
        least.setdefault(entry.data["provider"], entry)
    chosen = shown | {entry.name for entry in least.values()}
    return [d for d in declared if d.name in chosen]


def open_dataset(name: str) -> str:
    """Open one dataset as its department and the bureau do; returns why it was refused, if it was.

    Also the job that opens, after the demo's own run, what that run left.
    """
    from lianyun.capabilities.open_data import api as open_data
    from lianyun.kernel.access import SYSTEM, UserError
    from lianyun.kernel.models import Resource
    from lianyun.kernel.packs import declaration

    entry = declaration("datasets", name)
    resource = Resource.objects.select_related("owner").get(name=name)
    slug = entry.data["provider"]
    opening = open_data.Opening.objects.filter(name=name).first()
    if opening is None:
        by = officer(f"{slug}.zhuanyuan")
        conditional = name in ON_CONDITIONS
        try:
            recipe = open_data.start(by, resource)
            if recipe.quasi:  # made coarser by measure; the others are measured where proposed
                recipe = open_data.proposal(by, resource).recipe
            if name in IN_COUNTS:
                recipe = open_data.in_counts(recipe, IN_COUNTS[name])
            opening = open_data.propose(
                resource=resource,
                recipe=recipe,
                title=entry.data["title"],
                summary=entry.data["summary"],
                kind="conditional" if conditional else "unconditional",
                licence="city-conditional-1.0" if conditional else "cc-by-4.0",
                cycle=entry.data["cycle"],
                by=by,
            )
        except UserError as error:
            return str(error)
    assert opening.case is not None
    for account in (f"{slug}.fuzeren", "mulu"):
        item = opening.case.items.filter(done_at=None).first()
        if item is not None:
            open_data.do_step(item=item, outcome="agree", by=officer(account))
    open_data.refresh(name=name, by=SYSTEM)
    return ""


def open_datasets(tell: Tell) -> dict[str, Any]:
    """Departments open what they hold: proposed, approved twice; refused where too few rows hide a person.

    Returns the openings, their departments and rows, what was refused, and how many datasets are
    left to the worker, who opens them through the same doors; worksheets are its work as well.
    """
    from lianyun.capabilities.open_data import api as open_data
    from lianyun.kernel.packs import declarations
    from lianyun.project import worker

    declared = [d for d in declarations("datasets") if d.data["level"] < 4 or d.name in IN_COUNTS]
    first = _opened_first(declared)
    refused = {}
    for number, entry in enumerate(first):
        tell(number / len(first) * 0.9, entry.data["title"])
        reason = open_dataset(entry.name)
        if reason:
            refused[entry.name] = reason
    mine = {entry.name for entry in first}
    later = [entry.name for entry in declared if entry.name not in mine]
    for name in later:
        worker.later(f"{__name__}.open_dataset", name=name)
    tell(0.95, "公众互动")
    hear_the_public()
    home = open_data.home(officer("mulu"))
    return {
        "datasets": home.datasets,
        "departments": len(home.departments),
        "rows": home.rows,
        "refused": len(refused),
        "reasons": refused,
        "later": len(later),
    }


def hear_the_public() -> None:
    """Visitors rate, ask and show what they made; the bureau answers some of it."""
    from lianyun.capabilities.open_data import api as open_data
    from lianyun.kernel.access import ANONYMOUS, UserError

    if open_data.Voice.objects.exists():
        return
    answerer = officer("yunying")
    for place, name in enumerate(RATED):
        try:
            opening = open_data.opening(ANONYMOUS, name)
        except UserError:
            continue
        for visitor in range(4):
            open_data.rate(
                opening=opening,
                stars=5 - (visitor + place) % 3,
                address=f"192.0.2.{10 * place + visitor + 1}",
                by=ANONYMOUS,
            )
    for place, (kind, name, title, told, url, outcome, answer) in enumerate(VOICES):
        voice = open_data.speak(
            kind=kind,
            opening=open_data.opening(ANONYMOUS, name) if name else None,
            title=title,
            told=told,
            who="港城开发者小组" if kind == "application" else "",
            url=url,
            address=f"198.51.100.{place + 1}",
            by=ANONYMOUS,
        )
        if outcome:
            assert voice.case is not None
            item = voice.case.items.get(done_at=None)
            open_data.answer(
                item=item, outcome=outcome, note=answer, publish=kind == "request", by=answerer
            )


# ---- all of it -----------------------------------------------------------------------------


def build(people: int, seed: int, quiet: bool) -> Outcome:
    """Build the city, or finish one whose building was broken off; the database must be running."""
    from lianyun.capabilities.audit import api as audit
    from lianyun.project import worker

    home = postgres.home()
    folder = home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    outcome = Outcome(people, seed)
    if mark.exists():
        told = json.loads(mark.read_text("utf-8"))
        if (told["people"], told["seed"]) != (people, seed):
            raise SampleError(
                f"{home} 中已有一座 {told['people']} 人（种子 {told['seed']}）的样例城市；"
                "请换一个 LIANYUN_HOME，或删除该目录后重试"
            )
        if told.get("outcome"):
            outcome.steps = told["outcome"]["steps"]
            outcome.seconds = told["outcome"]["seconds"]
            outcome.accounts = told["outcome"]["accounts"]
            return outcome
    mark.write_text(json.dumps({"people": people, "seed": seed}), "utf-8")
    stage = Stage(outcome, quiet)
    with stage.bars:
        url = departments_database()
        with stage.step("sources", "部门数据源") as tell:
            outcome.steps["sources"] = write_sources(people, seed, folder, url, tell)
        with stage.step("accounts", "部门账号") as tell:
            accounts = open_accounts(home, tell)
            desks = sample_desk.open_doors(home, tell) | sample_hall.open_doors(home, tell)
            desks |= sample_counters.open_doors(home, tell)
            desks |= sample_builder.open_doors(home, tell)
            desks |= sample_enrolment.open_doors(home, tell)
            outcome.accounts = {**sample_identity.open_doors(home, tell), **desks, **accounts}
        with stage.step("catalogue", "数据目录") as tell:
            outcome.steps["catalogue"] = fill_catalogue(folder, tell)
        with stage.step("seals", "电子印章"):
            outcome.steps["seals"] = sample_seals.make_seals(officer)
        with stage.step("collection", "数据归集") as tell:
            outcome.steps["collection"] = collect(folder, url, tell)
        with stage.step("libraries", "基础库") as tell:
            outcome.steps["libraries"] = build_libraries(tell)
        with stage.step("identity", "实名核验") as tell:
            outcome.steps["identity"] = sample_identity.prove_people(home, officer, tell)
            if outcome.steps["identity"]["level"]:
                citizen = {sample_identity.PHONE: "市民 已在窗口实名核验"}
                outcome.accounts = {**citizen, **outcome.accounts}
        with stage.step("licences", "电子证照") as tell:
            outcome.steps["licences"] = sample_licences.issue_all(officer, tell)
        with stage.step("linkage", "数据关联") as tell:
            outcome.steps["linkage"] = link_records(tell)
        with stage.step("comparison", "数据比对") as tell:
            outcome.steps["comparison"] = compare_data(folder, tell)
        with stage.step("sharing", "共享申请") as tell:
            outcome.steps["sharing"] = request_data(tell)
        with stage.step("builder", "服务编制") as tell:
            outcome.steps["builder"] = sample_builder.build(officer, tell)
        with stage.step("hall", "在线办件") as tell:
            outcome.steps["hall"] = sample_hall.apply_all(officer, tell)
        with stage.step("desk", "审批与评价") as tell:
            outcome.steps["desk"] = sample_desk.work(officer, tell)
        with stage.step("packages", "一件事套餐") as tell:
            outcome.steps["packages"] = sample_packages.file_one(officer, tell)
        with stage.step("relay", "部门系统对接"):
            outcome.steps["relay"] = sample_relay.hand_over(home, officer)
        with stage.step("offers", "主动服务") as tell:
            outcome.steps["offers"] = sample_offers.speak(home, officer, tell)
            outcome.accounts |= outcome.steps["offers"].pop("accounts", {})
        with stage.step("counters", "实体大厅") as tell:
            outcome.steps["counters"] = sample_counters.run_morning(officer, tell)
        with stage.step("construction", "工程建设项目"):
            outcome.steps["construction"] = sample_construction.build_one(officer)
        with stage.step("registration", "商事登记") as tell:
            outcome.steps["registration"] = sample_registration.move_firms(officer, tell)
        with stage.step("enrolment", "积分入学") as tell:
            outcome.steps["enrolment"] = sample_enrolment.run(home, officer, tell)
            outcome.accounts |= outcome.steps["enrolment"].pop("accounts", {})
        with stage.step("listeners", "校核与统计"):
            worker.drain()
        with stage.step("open_data", "数据开放") as tell:
            outcome.steps["open_data"] = open_datasets(tell)
        with stage.step("service", "数据服务"):
            called = call_service(outcome.steps["sharing"]["grant"], home)
            granted = outcome.steps["sharing"]["grant"]
            called |= sample_services.design_services(granted, officer)
            outcome.steps["service"] = called
        with stage.step("lives", "共享全过程") as tell:
            outcome.steps["lives"] = sample_lives.live_on(home, granted, officer, tell)
        with stage.step("exchange", "数据交换") as tell:
            outcome.steps["exchange"] = sample_exchange.use_each_other(home, officer, tell)
        with stage.step("login", "统一登录"):
            outcome.steps["login"] = sample_login.join_system(home, officer)
            outcome.steps["login"] |= sample_login.know_nationals(home)
        with stage.step("delivery", "批量交换"):
            outcome.steps["delivery"] = sample_delivery.bring(officer)
        with stage.step("analysis", "自助分析") as tell:
            outcome.steps["analysis"] = ask_questions(tell)
        with stage.step("audit", "台账校验"):
            audit.seal_calls()
            proof = audit.verify()
            outcome.steps["audit"] = {"ok": proof.ok, "seals": proof.seals}
        with stage.step("messages", "消息"):
            outcome.steps["messages"] = sample_messages.tell()
    mark.write_text(
        json.dumps(
            {
                "people": people,
                "seed": seed,
                "outcome": {
                    "steps": outcome.steps,
                    "seconds": outcome.seconds,
                    "accounts": outcome.accounts,
                },
            },
            ensure_ascii=False,
            default=str,
        ),
        "utf-8",
    )
    return outcome


def summary(outcome: Outcome) -> Table:
    """The figures of the city as a table for the terminal."""
    steps = outcome.steps
    table = Table(title="样例城市（模拟数据）", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    listed = steps["catalogue"]
    table.add_row(
        "数据目录",
        f"{listed['departments']} 个部门，{listed['resources']:,} 个资源，{listed['items']:,} 个信息项",
    )
    taken = steps["collection"]
    table.add_row(
        "数据归集",
        f"{taken['datasets']} 个数据集，到达 {taken['landed']:,} 行 = "
        f"通过 {taken['accepted']:,} 行 + 拒收 {taken['rejected']:,} 行",
    )
    made = steps["libraries"].values()
    table.add_row("基础库", f"{len(made)} 个基础库和主题库，共 {sum(made):,} 条记录")
    linked = steps["linkage"].values()
    table.add_row(
        "数据关联",
        f"自动合并 {sum(k['merged'] for k in linked):,} 对，"
        f"待复核 {sum(k['waiting'] for k in linked):,} 对",
    )
    compared = steps["comparison"]
    table.add_row(
        "数据比对",
        f"{compared['rules']} 条规则，发现 {compared['found']} 条（预设 {compared['planted']} 条，"
        f"查准 {compared['precision']:.1%}，查全 {compared['recall']:.1%}），"
        f"数据不全暂缓 {compared['held']} 条，立案 {compared['cases']} 件",
    )
    table.add_row(
        "共享申请", f"{steps['sharing']['requests']} 件，授权 {steps['sharing']['grant']}"
    )
    table.add_row(
        "数据服务", f"{steps['service']['calls']} 次调用，均有记录、签名和时间戳，回执已验证"
    )
    if "exchange" in steps:
        passed = steps["exchange"]
        table.add_row(
            "数据交换", f"{passed['calls']} 次调用，疑似超范围使用 {passed['suspicions']} 项"
        )
    if "licences" in steps:
        given = steps["licences"]
        table.add_row(
            "电子证照",
            f"{given['types']} 种，签发 {given['issued']:,} 张，"
            f"登记簿中 {given['refused']:,} 行不合要求未予签发",
        )
    if "builder" in steps and steps["builder"]["built"]:
        table.add_row("服务编制", "“社区绿地认养登记”现场编制、检查、审核并上线")
    if "hall" in steps and steps["hall"]["filed"]:
        told = steps["hall"]
        table.add_row(
            "在线办件",
            f"{told['filed']} 件已提交，{told['materials']} 份材料中 {told['freed']} 份免提交",
        )
    if "desk" in steps and steps["desk"]["worked"]:
        worked = steps["desk"]
        table.add_row(
            "审批与评价",
            f"{worked['worked']} 件办到不同环节，准予 {worked['granted']} 件，评价 {worked['rated']} 条",
        )
    if "relay" in steps and steps["relay"]["sent"]:
        passed = steps["relay"]
        table.add_row(
            "部门系统对接",
            f"{passed['sent']} 件已转不动产登记系统（{passed['address']}），{passed['back']} 件已返回结果",
        )
    if steps.get("packages", {}).get("items"):
        once = steps["packages"]
        table.add_row(
            "一件事套餐",
            f"新生儿出生：{once['items']} 个事项一次提交，{once['materials_apart']} 份材料合为"
            f" {once['materials']} 份，{once['freed']} 份免提交，{once['uploaded']} 份上传",
        )
    if steps.get("counters"):
        hall = steps["counters"]
        table.add_row(
            "实体大厅", f"两个大厅一上午 {hall['tickets']} 个号，办结 {hall['served']} 个"
        )
    if steps.get("offers"):
        spoken = steps["offers"]
        table.add_row(
            "主动服务",
            f"{spoken['rules']} 条规则和政策，提示 {spoken['offered']} 条，"
            f"一键申领 {spoken['claims']} 件",
        )
    if "construction" in steps and steps["construction"]["projects"]:
        built = steps["construction"]
        table.add_row(
            "工程建设项目", f"{built['granted']} 个阶段已批准，{built['open']} 个阶段在办"
        )
    if "login" in steps:
        table.add_row("统一登录", f"市民政局的系统 {steps['login']['address']}，用下列账号登录")
    if "delivery" in steps:
        table.add_row("批量交换", f"{steps['delivery']['rows']:,} 行已送入使用部门的数据库")
    if "analysis" in steps:  # a city built before there was any
        table.add_row("自助分析", f"{steps['analysis']['questions']} 个共享的查询")
    if "open_data" in steps:
        opened = steps["open_data"]
        table.add_row(
            "数据开放",
            f"{opened['departments']} 个部门开放 {opened['datasets']} 个数据集，共 "
            f"{opened['rows']:,} 行"
            + (f"；{opened['refused']} 个因风险未予开放" if opened["refused"] else "")
            + (f"；其余 {opened['later']} 个由后台任务陆续办理" if opened.get("later") else ""),
        )
    table.add_row("台账校验", "完整" if steps["audit"]["ok"] else "[red]不完整")
    table.add_row("用时", f"{sum(outcome.seconds.values()):.0f} 秒")
    for account, title in outcome.accounts.items():
        table.add_row(account, title)
    return table


def run(*, people: int, seed: int, serve: bool, as_json: bool) -> int:
    """`lianyun demo`: build the city, print its figures, and serve it until Ctrl-C."""
    from lianyun.project import cli
    from lianyun.project.supervisor import Supervisor

    cli.begin()
    outcome = build(people, seed, as_json)
    if as_json:
        cli.say_json(outcome.as_dict())
    else:
        Console().print(summary(outcome))
    complete = outcome.steps["audit"]["ok"] and not outcome.steps["collection"]["failed"]
    if not serve:
        return 0 if complete else 1
    home = postgres.home()
    with sample_login.department_system(home), sample_relay.approval_system(home):
        return Supervisor().run()
