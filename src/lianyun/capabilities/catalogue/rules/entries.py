"""Entry rules: what a catalogue entry must say before it may be submitted.

Sources: 政务数据共享条例 (国务院令第809号) arts. 13-15; 政务信息资源目录编制指南 (发改高技术〔2017〕1272号).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CODE = re.compile(r"[1-3]\d{2}\d{3}[0-9A-Za-z]*/[0-9A-Za-z]+")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
CYCLES = ("实时", "每日", "每周", "每旬", "每月", "每季度", "每年", "不定期")
FORMATS = ("电子文件", "电子表格", "数据库", "图形图像", "流媒体", "自描述格式", "服务接口")
METHODS = ("服务接口", "批量交换", "文件下载")
SHARE = {1: "无条件共享", 2: "有条件共享", 3: "不予共享"}
OPEN = {0: "不予开放", 1: "有条件开放", 2: "无条件开放"}
LEVELS = {1: "一级（公开）", 2: "二级（内部）", 3: "三级（敏感）", 4: "四级（高敏感）"}

ERROR, WARN = "error", "warn"


@dataclass(frozen=True)
class Finding:
    """One thing wrong: which field (an item's field as `items.3.title`), what, and what to write."""

    field: str
    message: str
    advice: str = ""
    severity: str = ERROR

    @property
    def text(self) -> str:
        """Both sentences."""
        return f"{self.message}；{self.advice}" if self.advice else self.message


@dataclass(frozen=True)
class ElementFacts:
    """What the rules need to know of a data element."""

    title: str
    type: str
    format: str
    personal: bool = False
    domain: str = ""
    identifying: bool = False


@dataclass(frozen=True)
class World:
    """What stands around an entry: classes, elements, departments, other resources' levels.

    `providers` and `element_names` find a department's slug and an element's code by any name that
    people write (code, full name, short name, number).
    """

    classes: Mapping[str, str]
    elements: Mapping[str, ElementFacts]
    departments: Mapping[str, str]
    levels: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    providers: Mapping[str, str] = field(default_factory=dict)
    element_names: Mapping[str, str] = field(default_factory=dict)
    format_problem: Callable[[str], str | None] = lambda text: None


_BOOK = re.compile(r"《([^《》]+)》")
_LOCAL = re.compile(r"^(中华人民共和国)?[^国]{0,12}(省|市|自治区|自治州|县)")
_COUNCIL = re.compile(r"国务院(令|第\d|.{0,30}(决定|决议|规定|条例|办法|意见))|国令第|国发〔")


def basis_rank(text: str) -> str:
    """What a legal basis is: `law`, `regulation`, `council`, `rule` (does not count), or ``.

    Names of local regulations (…省…条例) and of department rules (…办法, …规定, …部令) do not count
    under art. 15 of Order 809.
    """
    if not text.strip():
        return ""
    found = "rule"
    for name in _BOOK.findall(text) or [text]:
        plain = re.sub(r"[（(].*?[)）]", "", name).strip()
        if _LOCAL.match(plain):
            continue
        if plain.endswith("法") and not plain.endswith(("办法", "方法")):
            return "law"
        if plain.endswith(("条例", "条例实施细则")):
            found = "regulation"
    if found == "rule" and _COUNCIL.search(text):
        found = "council"
    return found


def split_code(code: str) -> tuple[str, str]:
    """A resource code as (class, 顺序码); raises ValueError unless it is one."""
    if not CODE.fullmatch(code):
        raise ValueError(code)
    category, _, serial = code.partition("/")
    return category, serial


def next_serial(taken: list[str]) -> str:
    """The 顺序码 after the highest numeric one taken, six digits."""
    highest = max((int(s) for s in taken if s.isdigit()), default=0)
    return f"{highest + 1:06d}"


def known_format(text: str) -> bool:
    """A format of the guide, bare or with the product named: 数据库, 数据库（MySQL）."""
    return re.split(r"[（(\-—:：]", text, maxsplit=1)[0].strip() in FORMATS


def check(content: Mapping[str, Any], world: World) -> list[Finding]:
    """Everything that is wrong with an entry, in the order of its fields; empty means it may go."""
    out: list[Finding] = []

    def add(where: str, message: str, advice: str = "", severity: str = ERROR) -> None:
        out.append(Finding(where, message, advice, severity))

    code = str(content.get("code") or "")
    category = str(content.get("class") or "")
    if code and not CODE.fullmatch(code):
        add(
            "code",
            f"资源代码“{code}”不符合“类项目细目/顺序码”的结构",
            "应为六位以上分类代码、斜杠、顺序码，例如 101003/000001",
        )
    elif code and category and not code.startswith(f"{category}/"):
        add("code", f"资源代码“{code}”与分类“{category}”不一致", f"应以 {category}/ 开头")
    if not category:
        add("class", "没有选择分类", "请选到“目”或“细目”一级")
    elif category not in world.classes:
        add("class", f"分类代码“{category}”不在目录分类中", "请从目录分类表中选择")
    elif len(category) < 6:
        add("class", f"分类“{category} {world.classes[category]}”太宽", "请选到“目”或“细目”一级")
    for key, label in (
        ("title", "名称"),
        ("summary", "摘要"),
        ("format", "资源格式"),
        ("cycle", "更新周期"),
    ):
        if not str(content.get(key) or "").strip():
            add(key, f"没有填写{label}", f"{label}是条例第十三条规定的必备内容")
    if len(str(content.get("title") or "")) > 200:
        add("title", "名称超过 200 个字", "请缩短，详细内容写在摘要里")
    name = str(content.get("name") or "")
    if name and not NAME.fullmatch(name):
        add(
            "name",
            f"标识“{name}”不合规范",
            "以小写字母开头，只用小写字母、数字和下划线，不超过 63 位",
        )
    if content.get("provider") not in world.departments:
        add(
            "provider",
            f"提供方“{content.get('provider') or ''}”不是本市部门",
            "请填写部门的统一社会信用代码",
        )
    if content.get("format") and not known_format(str(content["format"])):
        add(
            "format",
            f"资源格式“{content['format']}”不在规定范围",
            f"请填 {'、'.join(FORMATS)} 之一",
        )
    if content.get("cycle") and content["cycle"] not in CYCLES:
        add("cycle", f"更新周期“{content['cycle']}”不在规定范围", f"请填 {'、'.join(CYCLES)} 之一")
    level = content.get("level")
    if level not in LEVELS:
        add("level", "没有填写安全分级或分级不在 1-4 之间", "1 公开、2 内部、3 敏感、4 高敏感")
    _check_share(content, add)
    _check_open(content, add)
    _check_items(content, world, add)
    if isinstance(level, int):
        _check_level(content, world, level, add)
    return out


def _check_share(content: Mapping[str, Any], add: Callable[..., None]) -> None:
    share = content.get("share") or {}
    kind = share.get("type")
    conditions, basis = (str(share.get(k) or "").strip() for k in ("conditions", "basis"))
    if kind not in SHARE:
        add("share.type", "没有填写共享类型", "1 无条件共享、2 有条件共享、3 不予共享")
    if kind == 2 and not conditions:
        add(
            "share.conditions",
            "有条件共享没有写明共享范围和使用条件",
            "条例第十五条：须列明共享范围、使用用途等条件",
        )
    if kind == 3:
        if not conditions:
            add(
                "share.conditions",
                "不予共享没有写明理由",
                "条例第十五条：须在共享条件一栏写明不予共享的理由",
            )
        rank = basis_rank(basis)
        if not rank:
            add(
                "share.basis",
                "不予共享没有法律依据",
                "须列明法律、行政法规或者国务院决定的名称和条款，例如《中华人民共和国个人信息保护法》第二十八条",
            )
        elif rank == "rule":
            add(
                "share.basis",
                f"“{basis[:60]}”不是法律、行政法规或者国务院决定",
                "部门规章、地方性法规和规范性文件不能作为不予共享的依据（条例第十五条）；请改列上位法，或改为有条件共享",
            )
    method = str(share.get("method") or "")
    if kind in (1, 2) and not method:
        add("share.method", "没有填写共享方式", f"请填 {'、'.join(METHODS)} 之一")
    elif method and any(m not in METHODS for m in re.split(r"[、,，;；/ ]+", method) if m):
        add(
            "share.method",
            f"共享方式“{method}”不在规定范围",
            f"请填 {'、'.join(METHODS)}，可用顿号并列",
        )


def _check_open(content: Mapping[str, Any], add: Callable[..., None]) -> None:
    opened = content.get("open") or {}
    kind = opened.get("type", 0)
    if kind not in OPEN:
        add("open.type", "开放属性不在规定范围", "0 不予开放、1 有条件开放、2 无条件开放")
    if kind == 1 and not str(opened.get("conditions") or "").strip():
        add(
            "open.conditions",
            "有条件开放没有写明开放条件",
            "请写明面向谁、按什么程序、用于什么用途",
        )
    if kind in (1, 2) and (content.get("share") or {}).get("type") == 3:
        add(
            "open.type",
            "不予共享的资源不能向社会开放",
            "请把开放属性改为“不予开放”，或调整共享类型",
        )


def _check_items(content: Mapping[str, Any], world: World, add: Callable[..., None]) -> None:
    items = content.get("items") or []
    if not items:
        add("items", "没有信息项", "条例第十三条：目录须列明数据项，请至少填写一个信息项")
    seen: dict[str, int] = {}
    titles: dict[str, int] = {}
    for at, item in enumerate(items):
        where = f"items.{at}"
        name, title = str(item.get("name") or ""), str(item.get("title") or "").strip()
        if not title:
            add(f"{where}.title", f"第 {at + 1} 个信息项没有名称", "请填写信息项名称")
        elif title in titles:
            add(
                f"{where}.title",
                f"信息项“{title}”与第 {titles[title] + 1} 个重名",
                "请改名或删除重复的一项",
            )
        titles.setdefault(title, at)
        if not NAME.fullmatch(name):
            add(
                f"{where}.name",
                f"信息项“{title or at + 1}”的英文名“{name}”不合规范",
                "以小写字母开头，只用小写字母、数字和下划线，例如 citizen_number",
            )
        elif name in seen:
            add(
                f"{where}.name",
                f"英文名“{name}”与第 {seen[name] + 1} 个信息项重复",
                "请改用不同的英文名",
            )
        seen.setdefault(name, at)
        element = str(item.get("element") or "")
        if element and element not in world.elements:
            add(
                f"{where}.element",
                f"数据元“{element}”不存在",
                "请从数据元表中选择，或留空并填写数据类型和格式",
            )
        if item.get("type") not in world.types:
            add(
                f"{where}.type",
                f"信息项“{title}”的数据类型“{item.get('type') or ''}”不在规定范围",
                f"请填 {'、'.join(f'{k}（{v}）' for k, v in world.types.items())}",
            )
        problem = world.format_problem(str(item.get("format") or ""))
        if problem:
            add(
                f"{where}.format",
                f"信息项“{title}”：{problem}",
                "例如 an18、an..50、n..17,2、YYYYMMDD",
            )


def _check_level(
    content: Mapping[str, Any], world: World, level: int, add: Callable[..., None]
) -> None:
    used = [
        (str(i.get("title")), found)
        for i in content.get("items") or []
        if (found := world.elements.get(str(i.get("element") or ""))) and found.personal
    ]
    if used:
        # An office telephone is drawn from the same element as a person's: only what tells who
        # somebody is (name, number) or is sensitive makes an entry personal beyond doubt.
        sure = [title for title, found in used if found.identifying]
        titles = sure or [title for title, _ in used]
        which = "、".join(titles[:3]) + ("等" if len(titles) > 3 else "")
        opened = (content.get("open") or {}).get("type", 0) != 0
        free = (content.get("share") or {}).get("type") == 1
        if not sure:
            if level < 3 or opened or free:
                add(
                    "level",
                    f"可能含个人信息（{which}）",
                    "如属自然人信息，须定为三级以上、有条件共享、不予开放；属单位公开信息的不必修改",
                    WARN,
                )
        else:
            if level < 3:
                add(
                    "level",
                    f"含个人信息（{which}），安全分级不能低于三级",
                    "请把安全分级改为 3 或 4，或去掉这些信息项",
                )
            if opened:
                add(
                    "open.type",
                    f"含个人信息（{which}），不能向社会开放",
                    "请改为“不予开放”，或去掉这些信息项",
                )
            if free:
                add(
                    "share.type",
                    f"含个人信息（{which}），不能无条件共享",
                    "请改为“有条件共享”并写明使用条件",
                )
    inputs = {c: world.levels[c] for c in content.get("inputs") or [] if c in world.levels}
    if inputs and level < max(inputs.values()):
        code = max(inputs, key=lambda c: inputs[c])
        add(
            "level",
            f"由 {code}（{inputs[code]} 级）加工形成，安全分级不能低于它",
            f"请改为 {inputs[code]} 级以上",
        )
    for code in content.get("related") or []:
        if code not in world.levels:
            add(
                "related",
                f"关联资源代码“{code}”不在目录中",
                "请核对代码，或待该资源登记后再填",
                WARN,
            )
        elif code not in inputs and world.levels[code] > level:
            add(
                "related",
                f"关联资源 {code} 为 {world.levels[code]} 级，高于本资源",
                "如由其加工形成，请提高安全分级",
                WARN,
            )
