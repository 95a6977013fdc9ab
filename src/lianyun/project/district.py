"""District: what `lianyun cascade demo` does: a county node of its own beside the running sample city.

The district has its own state folder, database, lake, departments and web address. What happens in
it is done in processes of its own; the two nodes meet only over the protocol (docs/guides/cascade.md).
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lianyun.project import postgres
from lianyun.project.sample import SampleError, officer, open_accounts

CODE, NAME = "320707", "赣榆区"
CITY_CODE, CITY_NAME = "320700", "连云港市"
ASKED = ("citizen_number", "name", "birth_date", "region_code")
_ROOT = Path(__file__).resolve().parents[3]


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _node_at(address: str) -> str:
    """The code of the node that answers at an address; empty where none does."""
    try:
        with urllib.request.urlopen(f"{address}/api/cascade/v1/node", timeout=5) as answer:
            return str(json.loads(answer.read(100_000)).get("code") or "")
    except (urllib.error.URLError, OSError, ValueError, AttributeError):
        return ""


def _taken(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as trial:
        trial.settimeout(2)
        return trial.connect_ex(("127.0.0.1", port)) == 0


def let_call(home: Path, port: int) -> None:
    """Let the node of this state folder call a port of this machine (its operator's list)."""
    from lianyun.capabilities.cascade.api import HOSTS_FILE

    file = home / HOSTS_FILE
    entry = f"127.0.0.1:{port}"
    listed = file.read_text("utf-8").splitlines() if file.exists() else []
    if entry not in listed:
        file.write_text("\n".join([*listed, entry]) + "\n", "utf-8")


def _wait(true: Callable[[], Any], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > end:
            raise SampleError(f"等待超时：{what}")
        time.sleep(0.5)
    return found


# ---- the district's declarations ---------------------------------------------------------


def write_packs(source: Path, target: Path, *, code: str = CODE, name: str = NAME) -> None:
    """The packs of a district: every element, code and path of the city's, its own departments.

    Departments bear the district's name and codes with a right check character; datasets are left
    out, for they are the city's.
    """
    from lianyun.kernel.element import credit_check_digit

    for pack in sorted(source.glob("*/pack.yaml")):
        there = target / pack.parent.name
        there.mkdir(parents=True, exist_ok=True)
        keep = ["pack.yaml", "elements.yaml", "codes.yaml", "codes"]
        if pack.parent.name == "core":
            named = ("datasets", "city.yaml", "departments.csv")
            keep = [p.name for p in pack.parent.iterdir() if p.name not in named]
        for one in keep:
            place = there / one
            if (pack.parent / one).exists() and not place.is_symlink():
                place.symlink_to((pack.parent / one).resolve())
    rows = list(
        csv.DictReader((source / "core/departments.csv").open(encoding="utf-8-sig", newline=""))
    )
    for row in rows:
        body = row["code"][:2] + code + row["code"][8:17]
        row["code"] = body + credit_check_digit(body)
        row["name"] = row["name"].replace(CITY_NAME, f"{CITY_NAME}{name}")
        row["short"] = row["short"].replace("市", "区", 1)
    with (target / "core/departments.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    city = (source / "core/city.yaml").read_text("utf-8")
    (target / "core/city.yaml").write_text(
        city.replace(CITY_NAME, name).replace(CITY_CODE, code), "utf-8"
    )


def surroundings(home: Path, port: int) -> dict[str, str]:
    """The district's environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LIANYUN_")}
    return {
        **kept,
        "LIANYUN_HOME": str(home),
        "LIANYUN_PORT": str(port),
        "LIANYUN_PACKS": str(home / "packs"),
        "LIANYUN_WEB_WORKERS": "1",
        "DJANGO_SETTINGS_MODULE": "lianyun.project.settings",
    }


# ---- what is done in the district --------------------------------------------------------


def _enrol(home: Path, address: str, upper: str, invitation: str) -> dict[str, Any]:
    from lianyun.capabilities.cascade import api as cascade
    from lianyun.capabilities.collection import api as collection

    accounts = open_accounts(home, lambda fraction, text: None)
    by = officer("xitong")
    cascade.identify(code=CODE, name=NAME, level="county", address=address, by=by)
    cascade.join(address=upper, invitation=invitation, by=by)
    loaded = {}
    for slug, dataset in (("rs", "rs_public_posts"), ("ny", "ny_cooperatives")):
        made = collection.load(
            dataset,
            home / "demo" / f"{dataset}.csv",
            mode="full",
            by=officer(f"{slug}.zhuanyuan"),
        )
        loaded[dataset] = made["accepted"]
    return {"accounts": accounts, "loaded": loaded}


def _stands(address: str, upper: str) -> dict[str, Any]:
    """Whether the district is tied to the city; both are told where they are to be found now."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.cascade import api as cascade

    if not get_user_model().objects.filter(username="xitong").exists():
        return {"linked": False}
    by = officer("xitong")
    found = [line.link for line in cascade.links(by) if line.link.code == CITY_CODE]
    if not found or found[0].enrolled_at is None:
        return {"linked": False}
    if found[0].address != upper:
        cascade.set_address(link=found[0], address=upper, by=by)
    cascade.identify(code=CODE, name=NAME, level="county", address=address, by=by)
    return {"linked": True}


def _ask() -> dict[str, Any]:
    from django.utils import timezone

    from lianyun.capabilities.cascade import api as cascade
    from lianyun.capabilities.sharing.api import Request
    from lianyun.kernel.models import Resource

    by = officer("rs.zhuanyuan")
    offer = _wait(lambda: cascade.offer_named(by, "ga_residents"), 120, "上级目录")
    ask = cascade.ask_upper(
        mirror=offer,
        request=Request(
            basis="《政务数据共享条例》第二十四条及本部门法定职责",
            scene="核验乡村公益性岗位人员的户籍",
            purpose="核验上岗人员户籍",
            fields=ASKED,
            until=timezone.localdate() + dt.timedelta(days=365),
            plain=("citizen_number",),
            plain_reason="按身份号码逐人核验，须用原值",
            method="批量交换",
        ),
        once="sample-district",
        by=by,
    )
    item = ask.case.items.filter(step="consent", done_at=None).first()
    if item is not None:
        cascade.do_step(item=item, outcome="agree", note="同意", by=officer("rs.fuzeren"))
    resource = Resource.objects.select_related("owner").get(name="rs_public_posts")
    flow = cascade.arrange_upload(resource=resource, link=offer.link, auto=True, by=by)
    transfer = cascade.send_flow(flow=flow, by=by)
    return {"exchange": ask.exchange, "case": ask.case.code, "upload": transfer.code}


def main(arguments: list[str] | None = None) -> int:
    """``python -m lianyun.project.district enrol HOME ADDRESS UPPER | stands ADDRESS UPPER | ask``,
    in the district's surroundings; prints one JSON value. The one-time code comes on standard
    input."""
    import django

    django.setup()
    what, *more = sys.argv[1:] if arguments is None else arguments
    if what == "enrol":
        home, address, upper = more
        told = _enrol(Path(home), address, upper, sys.stdin.read().strip())
    elif what == "stands":
        told = _stands(*more)
    else:
        told = _ask()
    sys.stdout.write(json.dumps(told, ensure_ascii=False, default=str) + "\n")
    return 0


# ---- what is done in the city ------------------------------------------------------------


def _inside(environment: dict[str, str], *command: str, given: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "lianyun.project.district", *command],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SampleError(f"区级节点没有建成：\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _grant(exchange: str) -> None:
    """The city's police answer, approve and deliver, each officer at his desk."""
    from lianyun.capabilities.cascade import api as cascade
    from lianyun.capabilities.sharing import api as sharing

    by = officer("xitong")
    case = _wait(lambda: cascade.case_of(by, exchange), 120, "下级申请到达")
    for step, outcome, who in (
        ("answer", "agree", "ga.zhuanyuan"),
        ("approve", "agree", "ga.fuzeren"),
        ("deliver", "done", "ga.zhuanyuan"),
    ):
        item = case.items.filter(step__startswith=step, done_at=None).first()
        if item is not None:
            sharing.do_step(item=item, outcome=outcome, note="同意", by=officer(who))


def run(*, port: int, city_port: int, serve: bool, as_json: bool) -> int:
    """`lianyun cascade demo`: a district beside the running city; the first run builds it."""
    from lianyun.project import cli

    city = f"http://127.0.0.1:{city_port}"
    if not _healthy(city):
        raise SampleError(
            f"市级节点没有在 {city} 运行：请先在另一个终端运行 lianyun demo（或 lianyun up），再运行本命令"
        )
    cli.begin()
    from lianyun.capabilities.cascade import api as cascade
    from lianyun.kernel.packs import packs_dir

    home = postgres.home() / "district"
    address = f"http://127.0.0.1:{port}"
    mark = home / "demo" / "told.json"
    if _node_at(address) == CODE and mark.exists():
        # Another terminal keeps it running: nothing has to be built or started.
        told = dict(json.loads(mark.read_text("utf-8")))
        _say({**told, "running": True}, address, as_json)
        return 0
    if _taken(port):
        raise SampleError(
            f"端口 {port} 已被占用：若是先前的 lianyun cascade demo 仍在运行，请先在那个终端按 Ctrl-C 结束；"
            "若是别的程序，请用 --port 另选端口"
        )
    home.mkdir(parents=True, exist_ok=True)
    let_call(postgres.home(), port)
    let_call(home, city_port)
    environment = surroundings(home, port)
    began = time.monotonic()
    if not (_ROOT / "demo").is_dir():
        raise SampleError("没有找到 demo/ 目录：样例只能在源码目录中建立")
    write_packs(packs_dir(), home / "packs")
    subprocess.run(
        [
            *(sys.executable, "-m", "demo.county"),
            *("--out", str(home / "demo"), "--packs", str(home / "packs")),
        ],
        cwd=_ROOT,
        check=True,
    )
    with (home / "up.out").open("ab") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "lianyun.project.cli", "up"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(lambda: up.poll() is not None or _healthy(address), 180, "区级节点启动")
        if up.poll() is not None:
            raise SampleError(f"区级节点没有启动，请看 {home / 'up.out'}")
        told = _meet(home, environment, address, city)
        told["seconds"] = round(time.monotonic() - began, 1)
        told["links"] = [
            {"node": line.link.name, "state": line.state[0], "lag": line.lag}
            for line in cascade.links(officer("xitong"))
        ]
        _say(told, address, as_json)
        if serve:
            up.wait()
        return 0
    except KeyboardInterrupt:
        return 0
    finally:
        if up.poll() is None:
            up.terminate()
            up.wait(40)


def _meet(home: Path, environment: dict[str, str], address: str, city: str) -> dict[str, Any]:
    """Enrol the district, and let a catalogue, a request and rows cross in both directions.

    Whatever an earlier run has done is not done again; one that broke off is gone on with.
    """
    from lianyun.capabilities.cascade import api as cascade

    by = officer("xitong")
    mark = home / "demo" / "told.json"
    cascade.identify(code=CITY_CODE, name=CITY_NAME, level="city", address=city, by=by)
    links = [line.link for line in cascade.links(by) if line.link.code == CODE]
    link = links[0] if links else None
    linked = False
    if link is not None and link.enabled:
        linked = bool(_inside(environment, "stands", address, city)["linked"])
        if linked and link.address != address:
            cascade.set_address(link=link, address=address, by=by)
    if linked and mark.exists():
        return {**json.loads(mark.read_text("utf-8")), "again": True}
    told: dict[str, Any] = {}
    begun = home / "demo" / "enrolled.json"
    if linked and begun.exists():
        told = dict(json.loads(begun.read_text("utf-8")))
    else:
        link, invitation = cascade.invite(code=CODE, name=NAME, level="county", by=by)
        told = _inside(environment, "enrol", str(home), address, city, given=invitation)
        cascade.confirm_link(link=link, address=address, by=by)
        begun.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    try:
        _wait(lambda: cascade.adopted(by, CODE), 120, "区级目录上报")
        told |= _inside(environment, "ask")
        _grant(told["exchange"])
        for kind in ("upload", "return"):
            done = _wait(lambda kind=kind: cascade.arrived(by, CODE, kind), 180, "数据传送")  # type: ignore[misc]
            told[kind] = {k: done.verdict.get(k) for k in ("landed", "accepted", "rejected")}
    except SampleError as error:
        last = next((x.link.last_error for x in cascade.links(by) if x.link.code == CODE), "")
        raise SampleError(
            f"{error}{f'（{last}）' if last else ''}。再次运行本命令会从中断处继续；仍不成功时，"
            f"请结束市级节点，删除状态文件夹 {postgres.home()} 后从 lianyun demo 重新开始"
        ) from error
    told["entries"] = cascade.adopted(by, CODE)
    told["conflicts"] = cascade.conflicts(by, CODE)
    mark.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    return told


def _say(told: dict[str, Any], address: str, as_json: bool) -> None:
    from lianyun.project import cli

    if as_json:
        cli.say_json(told)
        return
    up, back = told["upload"], told["return"]
    # Cookies know no ports: by another name both nodes can be open in one browser.
    shown = address.replace("127.0.0.1", "localhost")
    if told.get("running"):
        how = "已在另一个终端运行，未重新建立"
    elif told.get("again"):
        how = f"先前已建立，{told['seconds']} 秒后恢复运行"
    else:
        how = f"建立用时 {told['seconds']} 秒"
    cli.say(f"区级节点 {NAME}（{CODE}）：{shown}　（{how}）")
    cli.say(f"  目录上报 {told['entries']} 条，冲突待处理 {told['conflicts']} 条")
    cli.say(
        f"  上传 {up['landed']} 行 = 接收 {up['accepted']} 行 + 拒收 {up['rejected']} 行（他区记录）"
    )
    cli.say(f"  申请 {told['exchange']} 已办结，回流 {back['landed']} 行，只含本区记录")
    cli.say("  申请与上传：rs.zhuanyuan，审定：rs.fuzeren，节点管理：xitong（市、区两级同名账号）")
    cli.say(f"  区级密码　{told['accounts']['密码']}")


if __name__ == "__main__":
    sys.exit(main())
