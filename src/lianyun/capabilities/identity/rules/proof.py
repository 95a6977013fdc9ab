"""Proof: how surely a person is known, whom he may act for, and what follows from the age."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Sequence

REGISTER, SELF, ELEMENTS, PERSON, CERTIFICATE = 0, 1, 2, 3, 4
LEVELS = {
    REGISTER: "登记在册",
    SELF: "自行申报",
    ELEMENTS: "两要素核验",
    PERSON: "实人核验",
    CERTIFICATE: "数字证书",
}
"""Levels of proof; the practice they follow is in docs/guides/identity.md."""

LEVEL_MEANS = {
    REGISTER: "只在部门的登记数据中出现，还没有账号",
    SELF: "姓名和号码由本人填写，只核对过格式",
    ELEMENTS: "姓名和公民身份号码与人口库一致",
    PERSON: "证件、号码与本人核对一致（窗口当面、人像核验或国家平台）",
    CERTIFICATE: "以本人的数字证书签名证明",
}
LIBRARY, COUNTER, FACE, GUARDIAN_WAY = "library", "counter", "face", "guardian"
SIGNED, PLATFORM = "certificate", "platform"
WAYS = {
    LIBRARY: "人口库两要素核验",
    COUNTER: "窗口核验证件和本人",
    FACE: "人像核验",
    GUARDIAN_WAY: "监护人代为登记",
    SIGNED: "本人数字证书签名",
    PLATFORM: "国家平台登录带入",
}

REPRESENTATIVE, AGENT, GUARDIAN = "representative", "agent", "guardian"
AGENCIES = {REPRESENTATIVE: "法定代表人", AGENT: "经办人", GUARDIAN: "监护人"}

SCOPES = {
    "apply": "申请与提交材料",
    "follow": "查看办件进度",
    "licences": "查看与出示证照",
    "receive": "领取结果",
    "sign": "电子签章确认",
}
"""What an agent may be let do; representatives and guardians may do all of it."""

ADULT, CONSENT_AGE = 18, 14
"""民法典 art. 17 and 个人信息保护法 art. 31 (under 14: guardians' consent)."""

VISIT_MINUTES = 15
FLOOR_SECONDS = 0.6
"""Every answer about a number takes at least this long, whether it is known or not."""


def reaches(level: int, wanted: int) -> bool:
    """Whether a level of proof is high enough."""
    return level >= wanted


def birth_of(number: str) -> dt.date:
    """The day of birth in an 18-digit citizen number (GB 11643); ValueError where there is none."""
    return dt.datetime.strptime(number[6:14], "%Y%m%d").replace(tzinfo=dt.UTC).date()


def age_on(born: dt.date, day: dt.date) -> int:
    """Full years of age; who is born on 29 February has his birthday on 1 March in common years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def adult_on(born: dt.date) -> dt.date:
    """The day on which somebody is 18."""
    try:
        return born.replace(year=born.year + ADULT)
    except ValueError:
        return dt.date(born.year + ADULT, 3, 1)


def same_name(one: str, other: str) -> bool:
    """Whether two spellings are one name: blanks and the kind of middle dot do not matter."""

    def plain(name: str) -> str:
        for dot in "・•‧．.":
            name = name.replace(dot, "·")
        return "".join(name.split()).upper()

    return bool(plain(one)) and secrets.compare_digest(plain(one).encode(), plain(other).encode())


def agency_standing(
    accepted: bool, ended: bool, since: dt.date, until: dt.date | None, today: dt.date
) -> str:
    """waiting | future | active | expired | ended."""
    if ended:
        return "ended"
    if until is not None and today > until:
        return "expired"
    if not accepted:
        return "waiting"
    return "future" if today < since else "active"


STANDINGS = {
    "waiting": ("待接受", "amber"),
    "future": ("尚未开始", "blue"),
    "active": ("有效", "green"),
    "expired": ("已到期", "grey"),
    "ended": ("已终止", "grey"),
}


def covers_scope(kind: str, scope: Sequence[str], wanted: str) -> bool:
    """Whether an agency of this kind and scope lets its agent do what is wanted."""
    return kind in (REPRESENTATIVE, GUARDIAN) or wanted in scope


def scope_titles(scope: Iterable[str]) -> str:
    """A scope in words."""
    return "、".join(SCOPES[s] for s in SCOPES if s in set(scope))


def agency_problem(
    scope: Sequence[str], since: dt.date, until: dt.date | None, today: dt.date
) -> str:
    """What is wrong with an agent's mandate (Chinese), or an empty text."""
    if not scope or set(scope) - set(SCOPES):
        return "请选择代理事项"
    if until is None:
        return "请填写代理的结束日期"
    if until < since or until < today:
        return "结束日期不能早于开始日期和今天"
    if until > today + dt.timedelta(days=3 * 366):
        return "代理期限最长三年"
    return ""


def cover_problem(since: dt.date, until: dt.date, today: dt.date, longest: int) -> str:
    """What is wrong with the days of a leave cover (Chinese); `longest` in days."""
    if until < since or until < today:
        return "结束日期不能早于开始日期和今天"
    if (until - since).days + 1 > longest:
        return f"代理期限最长 {longest} 天，更长的请调整任职"
    return ""


GUARDIANSHIPS = {
    "parent": "父母（出生证明或户口簿）",
    "agreement": "监护协议",
    "committee": "居（村）民委员会或民政部门指定",
    "court": "人民法院指定或认定",
}
"""What makes somebody a guardian at the counter (民法典 art. 27 to 31, 36)."""


def guardian_problem(
    adult: bool, until: dt.date | None, today: dt.date, born: dt.date, ground: str
) -> str:
    """What is wrong with a guardian's term (Chinese); a child's ends on the day before 18 by itself."""
    if not adult:
        return ""
    if ground in ("parent", "agreement"):
        return "成年人的监护须有居（村）民委员会、民政部门或人民法院的文书"
    if until is None:
        return "成年人的监护须填写复核日期"
    if not today < until <= today + dt.timedelta(days=3 * 366):
        return "复核日期须在三年以内"
    return ""


ENTITY_GONE = {"2", "3", "6", "吊销未注销", "注销", "撤销登记"}
"""States of an entity (登记状态) under which nobody acts for it any more."""

GONE, OTHER_HEAD, NO_HEAD = "gone", "other", "none"
BY_NUMBER, BY_NAME = "number", "name"
HEADSHIPS = {
    BY_NUMBER: "登记机关的身份号码与本人一致",
    BY_NAME: "登记机关未提供身份号码，按姓名一致并当面核对营业执照",
}
"""What the binding of a representative rests on, as pages and records say it."""
LEAVINGS = {
    GONE: "单位已注销、吊销或撤销登记",
    OTHER_HEAD: "登记的法定代表人已变更",
}
"""Why a nightly comparison ends a representation."""


def headship(
    name: str, digests: Iterable[str], told_name: str, told_digest: str, state: str
) -> str:
    """What a register's row says of one person as a firm's representative.

    `digests` are the keyed hashes of the person's numbers, the present one and former ones;
    `told_digest` that of the register's number, empty where it gives none. A number decides alone:
    neither does a namesake pass, nor does a changed name stand in the way.
    """
    if state in ENTITY_GONE:
        return GONE
    if told_digest:
        return BY_NUMBER if told_digest in set(digests) else OTHER_HEAD
    if not told_name:
        return NO_HEAD
    return BY_NAME if same_name(name, told_name) else OTHER_HEAD


PICTURE_SIGNS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
PICTURE_LEAST, PICTURE_MOST = 10 * 1024, 5 * 1024 * 1024


def picture_problem(data: bytes) -> str:
    """What is wrong with an uploaded photograph (Chinese), or an empty text."""
    if not data.startswith(PICTURE_SIGNS):
        return "请上传 JPG、PNG 或 WebP 照片"
    if not PICTURE_LEAST <= len(data) <= PICTURE_MOST:
        return "照片大小须在 10 KB 到 5 MB 之间"
    return ""


def level_now(level: int, certified_until: dt.datetime | None, now: dt.datetime) -> int:
    """The level that holds now: a certificate's ends with the certificate."""
    if level == CERTIFICATE and (certified_until is None or now >= certified_until):
        return PERSON
    return level


def spoken(digest: str) -> str:
    """The first twelve hex digits of a digest in groups of four, as two people compare them."""
    return " ".join(digest[n : n + 4] for n in (0, 4, 8))


def visit_code() -> str:
    """Eight random digits for the counter."""
    return f"{secrets.randbelow(10**8):08d}"


def text_code() -> str:
    """Six random digits for a telephone."""
    return f"{secrets.randbelow(10**6):06d}"


def login_kind(text: str) -> str:
    """What somebody typed to name the account: phone | number | username."""
    if len(text) == 11 and text.isascii() and text.isdigit() and text[0] == "1":
        return "phone"
    if len(text) == 18 and text.isascii() and text[:17].isdigit():
        return "number"
    return "username"


__all__ = [
    "ADULT",
    "AGENCIES",
    "AGENT",
    "BY_NAME",
    "BY_NUMBER",
    "CERTIFICATE",
    "CONSENT_AGE",
    "COUNTER",
    "ELEMENTS",
    "ENTITY_GONE",
    "FACE",
    "FLOOR_SECONDS",
    "GONE",
    "GUARDIAN",
    "GUARDIANSHIPS",
    "GUARDIAN_WAY",
    "HEADSHIPS",
    "LEAVINGS",
    "LEVELS",
    "LEVEL_MEANS",
    "LIBRARY",
    "NO_HEAD",
    "OTHER_HEAD",
    "PERSON",
    "PICTURE_MOST",
    "PLATFORM",
    "REGISTER",
    "REPRESENTATIVE",
    "SCOPES",
    "SELF",
    "SIGNED",
    "STANDINGS",
    "VISIT_MINUTES",
    "WAYS",
    "adult_on",
    "age_on",
    "agency_problem",
    "agency_standing",
    "birth_of",
    "cover_problem",
    "covers_scope",
    "guardian_problem",
    "headship",
    "level_now",
    "login_kind",
    "picture_problem",
    "reaches",
    "same_name",
    "scope_titles",
    "spoken",
    "text_code",
    "visit_code",
]
