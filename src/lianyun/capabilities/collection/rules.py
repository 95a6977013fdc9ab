"""Rules: when a dataset is late or dead, when a source is due, where a source may lie; no I/O."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import croniter

CYCLES: dict[str, int | None] = {
    "实时": 0,
    "每日": 1,
    "每周": 7,
    "每旬": 10,
    "每月": 31,
    "每季度": 92,
    "每年": 366,
    "不定期": None,
}
"""Update cycles of the catalogue (发改高技术〔2017〕1272号) and how many days each one may take."""

GRACE_DAYS = 1
SOURCE_GRACE_DAYS = 30
DEAD_FACTOR = 3
DEAD_MORE = 180
"""A dataset is dead after three cycles, or half a year after it was due, whichever is sooner."""

FILE_KINDS = ("csv", "excel", "jsonl", "parquet")
DATABASE_KINDS = ("postgresql", "mysql")
KINDS: dict[str, str] = {
    "postgresql": "PostgreSQL 数据库",
    "mysql": "MySQL / MariaDB 数据库",
    "sqlite": "SQLite 文件",
    "csv": "CSV 文件",
    "excel": "Excel 文件",
    "jsonl": "JSON Lines 文件",
    "parquet": "Parquet 文件",
    "http": "HTTP 接口（分页）",
}
MODES: dict[str, str] = {
    "full": "全量",
    "incremental": "增量",
}
UNDO = "undo"
"""The mode of a batch that takes another one back; nobody can ask a source for it."""
MODE_TITLES = {**MODES, UNDO: "撤回"}
OPERATIONS = {"insert": "新增", "update": "更新", "delete": "删除"}

METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata", "instance-data"})
"""Names under which machines of a cloud ask for their own secrets; never a department's source."""
METADATA_ADDRESSES = frozenset({"169.254.169.254", "100.100.100.200", "fd00:ec2::254"})


class BadSchedule(ValueError):
    """A schedule that is no cron line of five parts; the message is for an officer."""


@dataclass(frozen=True)
class Freshness:
    """How fresh a dataset is against its cycle: `state` and the words and tone of its lamp.

    state: fresh | due (within the grace) | late | dead (入库之日即为死亡之日) | empty | any (不定期).
    """

    state: str
    tone: str
    words: str
    days_late: int = 0

    @property
    def red(self) -> bool:
        """Named in red on the board."""
        return self.tone == "red"


def allowed_days(cycle: str) -> int | None:
    """Days between two loads that the cycle allows; None for 不定期 and for unknown words."""
    return CYCLES.get(cycle)


def dead_after(days: int, least: int) -> int:
    """Days without anything new after which a dataset of this cycle is dead, at least `least`."""
    return max(min(days * DEAD_FACTOR, days + DEAD_MORE), least) + GRACE_DAYS


def freshness(
    cycle: str,
    last_load: dt.datetime | None,
    now: dt.datetime,
    loads: int = 0,
    newest: dt.datetime | None = None,
) -> Freshness:
    """Judge a dataset by its last good load; one day of grace, 不定期 is never late.

    A dataset that was loaded once and then never again for three cycles (at least a week, see
    `dead_after`) is dead: the day it came in was the day it died. So is one that is loaded
    faithfully from a source in which nothing moves: `newest`, its newest row or the date of its
    file, is as old as that (at least a month).
    """
    days = allowed_days(cycle)
    if last_load is None:
        return Freshness("empty", "grey", "尚未归集")
    if days is None:
        return Freshness("any", "blue", "不定期更新")
    age = (now - last_load).total_seconds() / 86_400
    over = age - days
    if newest is not None:
        still = (now - newest).total_seconds() / 86_400
        if still > dead_after(days, 30):
            return Freshness(
                "dead", "red", f"源头停更，最新数据在 {int(still)} 天前", int(still - days)
            )
        if still > days + SOURCE_GRACE_DAYS:
            words = f"源头逾期，最新数据在 {int(still)} 天前"
            return Freshness("late", "red", words, int(still - days))
    if over <= 0 or (days == 0 and age <= GRACE_DAYS):
        return Freshness("fresh", "green", "按期更新")
    if over <= GRACE_DAYS:
        return Freshness("due", "amber", "今日应更新")
    late = int(over)
    if loads <= 1 and age > dead_after(days, 7):
        return Freshness("dead", "red", f"入库后从未更新，已 {int(age)} 天", late)
    return Freshness("late", "red", f"逾期 {late} 天未更新", late)


def never_read(
    last_read: dt.datetime | None, first_load: dt.datetime | None, now: dt.datetime
) -> bool:
    """Whether a dataset lies there since more than thirty days and nobody has ever read it."""
    return (
        last_read is None and first_load is not None and (now - first_load) > dt.timedelta(days=30)
    )


def next_run(schedule: str, after: dt.datetime) -> dt.datetime:
    """The next time a cron line (city time) falls due after `after`; raises BadSchedule."""
    if len(schedule.split()) != 5 or not croniter.croniter.is_valid(schedule):
        raise BadSchedule(
            "计划应为五段 cron 表达式，如 0 2 * * *（每天 2:00）、30 1 * * 1（每周一 1:30）"
        )
    found: dt.datetime = croniter.croniter(schedule, after).get_next(dt.datetime)
    return found


def address_refused(address: str) -> str | None:
    """Why no source may have this IP address (Chinese), or None. Private networks are allowed.

    Link-local, multicast and unspecified addresses never belong to a department's system; cloud
    metadata services live there.
    """
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return f"“{address}”不是有效的 IP 地址"
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    if str(ip) in METADATA_ADDRESSES or ip.is_link_local:
        return "不允许访问链路本地或云主机元数据地址"
    if ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return "不允许访问组播、保留或未指定地址"
    return None


def host_allowed(host: str, port: int | None, allowed: tuple[str, ...]) -> bool:
    """Whether the operator's list names this host (`host`, `host:port` or `*.domain`)."""
    host = host.lower().strip("[]")
    if host in METADATA_HOSTS:
        return False
    for entry in allowed:
        name, _, wanted = (
            entry.lower().strip().rpartition(":")
            if _has_port(entry)
            else (
                entry.lower().strip(),
                "",
                "",
            )
        )
        if wanted and str(port) != wanted:
            continue
        name = name.strip("[]")
        if name == host or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _has_port(entry: str) -> bool:
    tail = entry.rsplit(":", 1)
    return len(tail) == 2 and tail[1].isdigit() and (entry.count(":") == 1 or "]" in tail[0])


def split_location(location: str) -> SplitResult:
    """A URL location taken apart; raises ValueError where it is no URL of a host."""
    parts = urlsplit(location.strip())
    _ = parts.port
    return parts


def below(path: Path, folders: tuple[Path, ...]) -> bool:
    """Whether a path (already resolved) lies inside one of the allowed folders."""
    return any(path.is_relative_to(folder) for folder in folders)


_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def good_name(text: str) -> bool:
    """Whether a text may name a dataset (and thus a table of the lake)."""
    return bool(_NAME.fullmatch(text))


def table_name(text: str) -> str:
    """A dataset name from an ASCII text that may hold other signs."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:58]
    return plain if plain and plain[0].isalpha() else f"d_{plain}"


_CODE = re.compile(r"[1-3]\d{2}\d{3}[0-9A-Za-z]*/[0-9A-Za-z]+")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,57}")


def code_problem(code: str) -> str | None:
    """Why no dataset can be registered under this code (Chinese), or None.

    A code is a resource code (类项目细目/顺序码, 发改高技术〔2017〕1272号) or an identifier of ASCII
    letters, digits, `_` and `-`, beginning with a letter, at most 58 signs.
    """
    if "/" in code:
        if len(code) <= 80 and _CODE.fullmatch(code):
            return None
        return (
            f"资源代码“{code[:80]}”不合规：应为六位以上分类代码、斜杠、顺序码，例如 307030/000001"
        )
    if _IDENTIFIER.fullmatch(code):
        return None
    return (
        f"代码“{code[:80]}”不合规：只能用英文字母、数字、下划线和连字符，以字母开头，最长 58 位"
        "（例如 gy_enterprises），或写资源代码（例如 307030/000001）"
    )
