"""Command line: `lianyun …`, the door for operators and scripts.

Every command that touches data goes through a capability's `api`, as a page would; what a command
prints for people is Chinese, `--json` prints one JSON value for programs. Errors go to stderr with
exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lianyun.project import postgres

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

Command = Callable[[argparse.Namespace], int]


# ---- what commands say ---------------------------------------------------------------------


def say(text: str = "") -> None:
    """One line for people, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """One JSON value for programs; dates and decimals as text."""
    say(json.dumps(value, ensure_ascii=False, default=str))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A table for people, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


# ---- surroundings --------------------------------------------------------------------------


def begin(*, up_to_date: bool = True) -> None:
    """The database running and up to date, Django ready."""
    from lianyun.project import schema

    postgres.ensure()
    if up_to_date:
        schema.prepare(_tell)
    import django

    django.setup()


def caller(arguments: argparse.Namespace) -> Actor:
    """Who acts: the account named by ``--as``, else the system itself (whoever may run commands
    on the server is its operator)."""
    from lianyun.kernel.access import SYSTEM, UserError, actor_of

    name = getattr(arguments, "account", None)
    if not name:
        return SYSTEM
    from django.contrib.auth import get_user_model

    user: Any = get_user_model().objects.filter(username=name, is_active=True).first()
    if user is None or user.party is None:
        raise UserError(f"没有账号“{name}”，或该账号未启用、未绑定人员")
    return actor_of(user.party)


# ---- commands ------------------------------------------------------------------------------


def _up(arguments: argparse.Namespace) -> int:
    from lianyun.lake import engines
    from lianyun.lake.shelves import LakeError
    from lianyun.project.supervisor import Supervisor, UpError

    try:
        engines.check(engines.chosen())
    except LakeError as error:
        raise UpError(str(error)) from error
    if arguments.port:
        os.environ["LIANYUN_PORT"] = str(arguments.port)
    return Supervisor().run()


def _demo(arguments: argparse.Namespace) -> int:
    from lianyun.project import sample

    if arguments.port:
        os.environ["LIANYUN_PORT"] = str(arguments.port)
    return sample.run(
        people=arguments.people,
        seed=arguments.seed,
        serve=not arguments.no_serve,
        as_json=arguments.json,
    )


def _load(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.collection import api as collection

    done = collection.load(
        arguments.dataset,
        Path(arguments.file),
        mode=arguments.mode,
        sheet=arguments.sheet,
        by=caller(arguments),
    )
    if arguments.json:
        say_json(done)
        return 0
    say(
        f"批次 {done['batch']}：到达 {done['landed']} 行 = 接收 {done['accepted']} 行"
        f" + 拒收 {done['rejected']} 行；新增 {done['inserted']}，更新 {done['updated']}，"
        f"未变 {done['unchanged']}；用时 {done['seconds']} 秒"
    )
    if done["rejected"]:
        say(f"查看拒收原因：lianyun rejects {done['batch']}")
    return 0


def _rejects(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.collection import api as collection

    rows = collection.rejects(arguments.batch, by=caller(arguments))
    if arguments.json:
        say_json(rows)
        return 0
    say_table(
        ["行号", "原因", "原样"],
        (
            (
                row["line"],
                "；".join(row["reasons"]),
                row["text"] or json.dumps(row["values"], ensure_ascii=False, default=str),
            )
            for row in rows
        ),
        title=f"批次 {arguments.batch} 拒收 {len(rows)} 行",
    )
    return 0


def _infer(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.collection import api as collection
    from lianyun.kernel.access import UserError
    from lianyun.kernel.models import Party

    owner = None
    if arguments.department:
        owner = Party.objects.filter(kind=Party.DEPARTMENT, slug=arguments.department).first()
        if owner is None:
            raise UserError(f"没有简码为“{arguments.department}”的部门")
    found = collection.infer(
        Path(arguments.file),
        register=arguments.register,
        title=arguments.title,
        owner=owner,
        sheet=arguments.sheet,
        by=caller(arguments),
    )
    if arguments.json:
        say_json(found)
        return 0
    say_table(
        ["名称", "标题", "类型", "格式", "检查", "必填", "主键"],
        (
            (
                item["name"],
                item["title"],
                item["type"],
                item["format"],
                item["check"],
                "是" if item["required"] else "",
                "是" if item["key"] else "",
            )
            for item in found["items"]
        ),
        title=f"{found['file']} 的建议数据项",
    )
    say(f"主键：{'、'.join(found['key']) or '未找到'}")
    if arguments.register:
        say(f"已登记为 {found['dataset']}（{found['code']}），可以装载：")
        say(f"  lianyun load {found['dataset']} {arguments.file}")
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.analysis import api as analysis

    answer = analysis.ask(arguments.sql, caller(arguments), arguments.limit)
    columns = answer.column_names
    # By column: two columns of a question may bear one name.
    rows = [list(row) for row in zip(*(c.to_pylist() for c in answer.columns), strict=True)]
    if arguments.json:
        say_json({"columns": columns, "rows": rows})
    else:
        say_table(columns, rows)
        say(f"{len(rows)} 行")
    return 0


def _catalogue(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.catalogue import api as catalogue

    path = Path(arguments.file)
    if arguments.what == "export":
        form = "yaml" if path.suffix.lower() in {".yaml", ".yml"} else "xlsx"
        content = catalogue.export_catalogue(viewer=caller(arguments), form=form)
        path.write_bytes(content)
        if arguments.json:
            say_json({"file": str(path), "bytes": len(content)})
        else:
            say(f"目录已导出到 {path}（{len(content):,} 字节）")
        return 0
    report = catalogue.import_catalogue(file=path, by=caller(arguments))
    if arguments.json:
        say_json(report.plain)
    else:
        say(
            f"{report.resources} 条目录、{report.items} 个信息项：新增 {report.created}，"
            f"更新 {report.updated}，未变 {report.unchanged}，未通过 {report.rejected}；"
            f"用时 {report.seconds:.1f} 秒"
        )
        if report.issues:
            say_table(
                ["工作表", "行", "列", "问题", "怎么改"],
                ((i.sheet, i.row, i.column, i.problem, i.advice) for i in report.issues),
                title=f"{len(report.issues)} 处需要留意",
            )
    return 1 if report.rejected else 0


def _audit_verify(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.audit import api as audit

    proof = audit.verify(caller(arguments))
    if arguments.json:
        say_json({"ok": proof.ok, **vars(proof)})
    else:
        say(f"事件链：{proof.events} 条，{proof.events_broken or '完整'}")
        say(f"调用记录链：{proof.calls} 次调用、{proof.links} 环，{proof.calls_broken or '完整'}")
        waiting = f"，另有 {proof.unsealed} 环待签章" if proof.unsealed else ""
        say(f"签章：{proof.seals} 号，{proof.seals_broken or '签名与时间戳均有效'}{waiting}")
    return 0 if proof.ok else 1


def _audit_receipt(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.audit import api as audit

    content = json.dumps(
        audit.receipt(caller(arguments), arguments.call), ensure_ascii=False, indent=1
    )
    if arguments.output:
        Path(arguments.output).write_text(content, "utf-8")
        say(f"回执已写入 {arguments.output}")
    else:
        say(content)
    return 0


def _audit_check(arguments: argparse.Namespace) -> int:
    from lianyun.trust import check_receipt

    given = [arguments.file, "--key", arguments.key]
    for option in ("request", "response"):
        if getattr(arguments, option):
            given += [f"--{option}", getattr(arguments, option)]
    return check_receipt.main([*given, *(["--json"] if arguments.json else [])])


def _audit_keys(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.audit import api as audit

    keys = audit.signing_keys(caller(arguments))
    if arguments.output:
        roots = "".join(k.certificate for k in keys if k.use == k.ROOT)
        Path(arguments.output).write_text(roots)
        say(f"根证书已写入 {arguments.output}")
    elif arguments.json:
        say_json([{"use": k.use, "kid": k.kid, "certificate": k.certificate} for k in keys])
    else:
        say_table(
            ["用途", "算法", "标识", "启用", "停用"],
            (
                (
                    k.get_use_display(),
                    k.algorithm,
                    k.kid,
                    f"{k.made_at:%Y-%m-%d}",
                    f"{k.retired_at:%Y-%m-%d}" if k.retired_at else "",
                )
                for k in keys
            ),
        )
    return 0


def _audit_rotate(arguments: argparse.Namespace) -> int:
    begin()
    from lianyun.capabilities.audit import api as audit

    made = audit.rotate_key(
        algorithm=arguments.algorithm, reason=arguments.reason, by=caller(arguments)
    )
    say(f"已启用新的签名密钥 {made.kid}；旧密钥签过的仍然有效")
    return 0


def _cascade(arguments: argparse.Namespace) -> int:
    from lianyun.project import district

    return district.run(
        port=arguments.port,
        city_port=arguments.city_port,
        serve=not arguments.no_serve,
        as_json=arguments.json,
    )


def _doctor(arguments: argparse.Namespace) -> int:
    from lianyun.project import doctor

    findings = doctor.examine()
    if arguments.json:
        say_json([finding.__dict__ for finding in findings])
    else:
        say_table(
            ["", "项目", "情况", "怎么办"],
            (
                ("✓" if f.ok else "·" if f.optional else "✗", f.name, f.detail, f.advice)
                for f in findings
            ),
        )
    return 0 if all(f.ok or f.optional for f in findings) else 1


def _check_packs(arguments: argparse.Namespace) -> int:
    import django

    django.setup()
    from lianyun.project import packcheck

    faults = packcheck.faults()
    if arguments.json:
        say_json(faults)
    else:
        for fault in faults:
            say(fault)
        say(f"行业包检查：{packcheck.summary()}，{len(faults)} 处问题")
    return 1 if faults else 0


def _worker(arguments: argparse.Namespace) -> int:
    import django

    django.setup()
    from lianyun.project import worker

    return worker.main()


def _manage(arguments: list[str]) -> int:
    from django.core.management import execute_from_command_line

    postgres.ensure()
    execute_from_command_line(["lianyun manage", *arguments])
    return 0


# ---- the parser ----------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="lianyun",
        description="连云：一座城市的数据与政务服务主干",
        epilog="状态目录 LIANYUN_HOME（默认 ./var），外部数据库 LIANYUN_DATABASE_URL，端口 LIANYUN_PORT。",
    )
    commands = top.add_subparsers(dest="command", metavar="命令", required=True)

    def add(name: str, run: Command, text: str, *, acts: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        if acts:
            made.add_argument("--as", dest="account", metavar="账号", help="以该账号的身份执行")
            made.add_argument("--json", action="store_true", help="输出 JSON")
        return made

    up = add("up", _up, "启动数据库、网站和后台任务，直到 Ctrl-C")
    up.add_argument("--port", type=int, help="网站端口（默认 8000）")

    demo = add("demo", _demo, "建立样例城市，运行主流程，然后启动服务")
    demo.add_argument("--people", type=int, default=20_000, metavar="N", help="居民人数")
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="随机种子")
    demo.add_argument("--no-serve", action="store_true", help="完成后不启动服务")
    demo.add_argument("--json", action="store_true", help="以 JSON 输出汇总")
    demo.add_argument("--port", type=int, help="网站端口（默认 8000）")

    load = add("load", _load, "把一个文件装载到目录中的数据集", acts=True)
    load.add_argument("dataset", metavar="数据集")
    load.add_argument("file", metavar="文件")
    load.add_argument(
        "--mode",
        choices=["incremental", "full"],
        default="incremental",
        help="incremental 按主键合并；full 以文件为准，删去文件中没有的行",
    )
    load.add_argument("--sheet", default="", help="Excel 工作表")

    rejects = add("rejects", _rejects, "列出一个批次拒收的行、行号和原因", acts=True)
    rejects.add_argument("batch", metavar="批次")

    infer = add("infer", _infer, "从文件推断数据项；--register 直接登记为数据集", acts=True)
    infer.add_argument("file", metavar="文件")
    infer.add_argument("--register", metavar="代码", help="登记为该代码的数据集")
    infer.add_argument("--title", default="", help="数据集名称（默认取文件名）")
    infer.add_argument("--department", default="", help="提供部门简码（默认大数据主管部门）")
    infer.add_argument("--sheet", default="", help="Excel 工作表")

    ask = add("ask", _ask, "对数据湖执行只读 SQL", acts=True)
    ask.add_argument("sql", metavar="SQL")
    ask.add_argument("--limit", type=int, default=10_000)

    catalogue = add("catalogue", _catalogue, "以 Excel 或 YAML 导入、导出目录", acts=True)
    catalogue.add_argument("what", choices=["import", "export"])
    catalogue.add_argument("file", metavar="文件")

    audit = commands.add_parser("audit", help="核验账本，出具和检验数据交换回执")
    steps = audit.add_subparsers(dest="what", metavar="操作", required=True)

    def step(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        made = steps.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("--as", dest="account", metavar="账号", help="以该账号的身份执行")
        made.add_argument("--json", action="store_true", help="输出 JSON")
        return made

    step("verify", _audit_verify, "核验事件链、调用记录链、签名与时间戳")
    receipt = step("receipt", _audit_receipt, "出具一次调用的回执")
    receipt.add_argument("call", metavar="调用编号", help="应答头 X-Call 的值")
    receipt.add_argument("-o", "--output", metavar="文件", help="写入文件（默认打印）")
    check = step("check-receipt", _audit_check, "检验一份回执，不需要数据库")
    check.add_argument("file", metavar="回执")
    check.add_argument("--key", required=True, metavar="PEM", help="信任的公钥、签名证书或根证书")
    check.add_argument("--request", metavar="文件", help="当时的请求")
    check.add_argument("--response", metavar="文件", help="当时的应答正文")
    keys = step("keys", _audit_keys, "列出存证密钥；-o 导出根证书")
    keys.add_argument("-o", "--output", metavar="文件", help="把根证书写入文件")
    rotate = step("rotate-key", _audit_rotate, "更换签名密钥")
    rotate.add_argument("--algorithm", default="ecdsa-p256-sha256", metavar="算法")
    rotate.add_argument("--reason", required=True, metavar="原因")

    cascade = add("cascade", _cascade, "在运行中的样例城市旁建立一个区级节点并互通")
    cascade.add_argument("what", choices=["demo"])
    cascade.add_argument("--port", type=int, default=8001, help="区级节点端口（默认 8001）")
    cascade.add_argument(
        "--city-port",
        type=int,
        default=int(os.environ.get("LIANYUN_PORT") or 8000),
        help="市级节点端口（默认 8000）",
    )
    cascade.add_argument("--no-serve", action="store_true", help="互通后不保留区级节点运行")
    cascade.add_argument("--json", action="store_true", help="输出 JSON")

    doctor = add("doctor", _doctor, "检查安装、连接和权限，并说明如何解决")
    doctor.add_argument("--json", action="store_true", help="输出 JSON")

    packs = add("check-packs", _check_packs, "检查行业包的全部声明")
    packs.add_argument("--json", action="store_true", help="输出 JSON")

    add("worker", _worker, "只运行后台任务（由 lianyun up 调用，也可单独部署）")
    commands.add_parser("manage", help="Django 管理命令，例如 lianyun manage check", add_help=False)
    return top


def _end_told(number: int, frame: FrameType | None) -> None:
    """A command that is told to end leaves by the door, and so stops the database it started."""
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end_told)
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lianyun.project.settings")
    if arguments[:1] == ["manage"]:
        return _manage(arguments[1:])
    known = parser().parse_args(arguments)
    try:
        return int(known.run(known))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        if not _expected(error):
            raise
        if getattr(known, "json", False):
            say_json({"error": str(error)})
        sys.stderr.write(f"{error}\n")
        return 1


def _expected(error: Exception) -> bool:
    """Errors whose message is meant for the reader; anything else is a fault of ours."""
    from lianyun.project.sample import SampleError
    from lianyun.project.schema import SchemaError
    from lianyun.project.supervisor import UpError

    if isinstance(error, (postgres.PostgresError, UpError, SchemaError, SampleError)):
        return True
    from django.apps import apps

    if not apps.ready:
        return False
    from lianyun.kernel.access import Denied, UserError
    from lianyun.lake.shelves import LakeError

    return isinstance(error, (Denied, UserError, LakeError))


if __name__ == "__main__":
    sys.exit(main())
