"""Tags: icons, badges, lamps, stats and the other small components, as template tags."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from lianyun.kernel.clock import CalendarMissing, remaining

from .. import forms as ui_forms
from ..events import EVENTS
from ..tables import around

register = template.Library()

SPRITE = Path(__file__).resolve().parent.parent / "static" / "ui" / "icons.svg"

STATES: dict[str, tuple[str, str]] = {
    "draft": ("草稿", "grey"),
    "registering": ("待注册审核", "amber"),
    "registered": ("已注册", "blue"),
    "publishing": ("待发布审核", "amber"),
    "published": ("已发布", "green"),
    "withdrawn": ("已撤销", "grey"),
    "active": ("有效", "green"),
    "suspended": ("已暂停", "amber"),
    "revoked": ("已撤回", "red"),
    "expired": ("已到期", "grey"),
    "open": ("办理中", "blue"),
    "closed": ("已办结", "green"),
    "running": ("运行中", "blue"),
    "succeeded": ("成功", "green"),
    "failed": ("失败", "red"),
    "paused": ("已暂停", "amber"),
    "approved": ("同意", "green"),
    "refused": ("不同意", "red"),
    "disabled": ("已停用", "grey"),
    "locked": ("已锁定", "red"),
}


@cache
def _symbols() -> dict[str, str]:
    text = SPRITE.read_text("utf-8")
    return dict(re.findall(r'<symbol id="([\w-]+)">(.*?)</symbol>', text))


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite, drawn inline; decorative unless it has a label."""
    body = _symbols().get(name) or _symbols()["file"]
    spoken = format_html('role="img" aria-label="{}"', label) if label else 'aria-hidden="true"'
    return mark_safe(
        f'<svg class="icon" viewBox="0 0 24 24" {spoken} focusable="false">{body}</svg>'
    )


@register.simple_tag
def badge(text: Any, tone: str = "grey", icon_name: str = "") -> SafeString:
    """A small coloured word: tone grey | blue | green | amber | red | violet."""
    sign = icon(icon_name) if icon_name else ""
    return format_html('<span class="badge {}">{}{}</span>', tone, sign, text)


@register.simple_tag
def state(value: Any, title: str = "") -> SafeString:
    """The badge of a kernel state (`published`, `running` …); `title` overrides the wording."""
    word, tone = STATES.get(str(value), (str(value), "grey"))
    return badge(title or word, tone)


@register.simple_tag
def lamp(due: dt.date | dt.datetime | None, done: Any = None) -> SafeString:
    """The clock lamp of a deadline: working days left (green, amber at ≤ 2) or overdue (red)."""
    if due is None:
        return format_html('<span class="lamp grey">{}</span>', "不限时")
    if isinstance(due, dt.datetime):
        due = timezone.localtime(due).date() if timezone.is_aware(due) else due.date()
    if done:
        day = done
        if isinstance(done, dt.datetime):
            day = timezone.localtime(done).date() if timezone.is_aware(done) else done.date()
        if isinstance(day, dt.date) and day > due:
            return format_html('<span class="lamp red">{}</span>', "逾期办结")
        return format_html('<span class="lamp grey">{}</span>', "按时办结")
    today = timezone.localdate()
    try:
        left = remaining(due, today)
    except CalendarMissing:
        left = (due - today).days
    if due < today:
        days = max(-left, 1)
        return format_html('<span class="lamp red">已逾期 {} 个工作日</span>', days)
    if left == 0:
        return format_html('<span class="lamp amber">{}</span>', "今日到期")
    tone = "amber" if left <= 2 else "green"
    return format_html('<span class="lamp {}">剩余 {} 个工作日</span>', tone, left)


@register.inclusion_tag("ui/_stat.html")
def stat(
    label: str,
    value: Any,
    unit: str = "",
    note: str = "",
    note_tone: str = "",
    tone: str = "",
    url: str = "",
    icon_name: str = "",
) -> dict[str, Any]:
    """A card with one figure; numbers get thousands separators."""
    return {
        "label": label,
        "value": count(value),
        "unit": unit,
        "note": note,
        "note_tone": note_tone,
        "tone": tone,
        "url": url,
        "icon_name": icon_name,
    }


@register.inclusion_tag("ui/_progress.html")
def progress(
    fraction: float | None,
    message: str = "",
    url: str = "",
    done: bool = False,
    tone: str = "",
) -> dict[str, Any]:
    """A progress bar (0–1); with `url` it asks that address every second until `done`."""
    percent = round(min(max(float(fraction or 0), 0.0), 1.0) * 100)
    return {"percent": percent, "message": message, "url": url, "done": done, "tone": tone}


@register.inclusion_tag("ui/_timeline.html")
def timeline(entries: Iterable[Any]) -> dict[str, Any]:
    """Entries: dicts with when, what, who, more, tone; or kernel Events."""
    return {"entries": [_entry(e) for e in entries]}


def _entry(entry: Any) -> dict[str, Any]:
    if isinstance(entry, dict):
        return entry
    data = dict(getattr(entry, "data", {}) or {})
    if entry.kind == "case.closed":  # its outcome is a code of the path; the page says it in words
        data.pop("outcome", None)
    if entry.kind == "case.answered":  # the message's name is the path's own
        data.pop("message", None)
    return {
        "when": entry.at,
        "what": data.pop("title", "") or event_title(entry.kind),
        "who": entry.by_name,
        "more": "　".join(
            str(data[k]) for k in ("outcome", "note", "reason", "message") if data.get(k)
        ),
        "tone": "red" if entry.kind.endswith((".failed", ".refused", ".revoked")) else "",
    }


PAST = {
    "proposed": "已提出",
    "held": "暂缓发布",
    "sheet_made": "表格文件已生成",
    "raised": "已收到",
    "rated": "已评分",
    "given": "已申领",
    "counted": "使用次数已统计",
    "unchanged": "没有变化",
    "reopened": "证据有变，重新待立案",
    "scheduled": "已按周期排队",
    "planned": "周期已设置",
    "revealed": "证据明文已查阅",
    "worked": "已办理一步",
    "filed": "已立案交办",
    "registered": "已注册",
    "published": "已发布",
    "withdrawn": "已撤销",
    "opened": "已开始",
    "closed": "已办结",
    "extended": "已延期",
    "taken": "登录",
    "refused": "被拒绝",
    "loaded": "已入库",
    "built": "已生成",
    "corrected": "已更正",
    "requested": "已提出",
    "delivered": "已交付",
    "imported": "已导入",
    "submitted": "已提交",
    "edited": "已编辑",
    "drafted": "已起草",
    "measured": "已测量",
    "stepped": "已办理一步",
    "suspended": "已暂停计时",
    "resumed": "已恢复计时",
    "issued": "已授予",
    "revoked": "已撤回",
    "finished": "已完成",
    "failed": "失败",
    "started": "已启动",
    "changed": "已变更",
    "created": "已建立",
    "disabled": "已停用",
    "enabled": "已启用",
    "locked": "已锁定",
    "unlocked": "已解锁",
    "assigned": "已分派",
    "removed": "已移除",
    "reset": "已重置",
    "installed": "已安装",
    "declared": "已声明",
    "catalogued": "已编入目录",
    "synced": "已同步",
    "confirmed": "已确认",
    "collected": "密钥已领取",
    "rotated": "密钥已更换",
    "queued": "已排队",
    "decided": "已判定",
    "undone": "判定已撤销",
    "disputed": "被提出异议",
    "applied": "已按判定更新",
    "healed": "已由新数据改正",
    "asked": "已执行",
    "swept": "已清理",
    "taken_back": "已撤回",
    "rechecked": "已按现行规则复查",
    "saved": "已保存",
    "exported": "已导出",
    "cancelled": "已取消",
    "answered": "已得到结果",
    "linked": "已绑定",
    "told": "已通知",
    "checked": "已核对",
    "anchored": "链值已入台账",
    "assessed": "已评分",
    "reported": "问题已上报",
    "settled": "已办结",
    "revised": "已修订",
    "discarded": "草稿已删除",
    "tested": "已测试",
    "returned": "已退回核实",
    "read": "已查阅",
    "extension_refused": "延期未获同意",
    "import_started": "开始导入",
    "repeated": "重复提交未再受理",
}
NOUNS = {
    "opening": "开放数据集",
    "voice": "公众意见",
    "open_key": "接口密钥",
    "comparison": "数据比对",
    "finding": "比对发现",
    "resource": "目录",
    "case": "办件",
    "grant": "授权",
    "batch": "批次",
    "account": "账号",
    "role": "角色",
    "password": "密码",
    "session": "登录",
    "source": "数据源",
    "work_item": "环节",
    "request": "申请",
    "seat": "设备",
    "library": "基础库",
    "linkage": "关联任务",
    "link": "关联对",
    "catalogue": "目录",
    "row": "数据行",
    "service": "数据服务",
    "client": "调用凭证",
    "rejects": "拒收数据",
    "pack": "数据包",
    "packs": "业务包",
    "quality": "数据质量",
    "correction": "校核件",
    "disposal": "数据处置",
    "conflicts": "数据冲突",
    "record": "库记录",
    "calls": "调用记录",
    "libraries": "基础库",
    "lineage": "血缘关系",
    "freshness": "数据时效",
    "question": "查询",
    "questions": "查询结果",
    "uploads": "上传的文件",
    "person": "个人账号",
    "party": "主体",
    "receiver": "使用部门",
    "receivers": "使用部门",
}


@register.filter
def event_title(kind: str) -> str:
    """The Chinese wording of an event kind (`batch.finished` → 批次已完成)."""
    if kind in EVENTS:
        return EVENTS[kind]
    noun, _, past = kind.partition(".")
    return f"{NOUNS.get(noun, noun)}{PAST.get(past, past)}"


@register.inclusion_tag("ui/_steps.html")
def steps(titles: Iterable[Any], current: int = 0, failed: bool = False) -> dict[str, Any]:
    """Numbered steps; `current` counts from 0; those before it are done. A title may be (title, note)."""
    out = []
    for number, entry in enumerate(titles):
        title, note = entry if isinstance(entry, tuple | list) else (entry, "")
        kind = "done" if number < current else "now" if number == current else ""
        if failed and number == current:
            kind = "bad"
        out.append({"title": title, "note": note, "kind": kind})
    return {"steps": out}


@register.inclusion_tag("ui/_detail.html")
def detail(pairs: Iterable[tuple[Any, ...]], two: bool = False) -> dict[str, Any]:
    """A list of (name, value) or (name, value, "full"); empty values show as —."""
    out = [{"name": p[0], "value": p[1], "full": len(p) > 2 and p[2] == "full"} for p in pairs]
    return {"pairs": out, "two": two}


@register.inclusion_tag("ui/_diff.html")
def diff(rows: Iterable[tuple[Any, Any, Any]], only_changed: bool = True) -> dict[str, Any]:
    """Old and new side by side: rows of (name, old, new)."""
    out = [{"name": n, "old": o, "new": w, "changed": o != w} for n, o, w in rows]
    return {"rows": [r for r in out if r["changed"] or not only_changed]}


@register.inclusion_tag("ui/_tabs.html", takes_context=True)
def tabs(context: dict[str, Any], entries: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """Tabs as links: (title, url) or (title, url, count); current by path and query."""
    request: HttpRequest = context["request"]
    here = {request.path, request.get_full_path()}
    out = []
    for entry in entries:
        out.append(
            {
                "title": entry[0],
                "url": entry[1],
                "count": entry[2] if len(entry) > 2 else None,
                "current": entry[1] in here,
            }
        )
    exact = [e for e in out if e["url"] == request.get_full_path()]
    if exact:
        for e in out:
            e["current"] = e in exact
    return {"tabs": out}


@register.inclusion_tag("ui/_empty.html")
def empty(
    title: str,
    text: str = "",
    icon_name: str = "inbox",
    url: str = "",
    action: str = "",
    slim: bool = False,
) -> dict[str, Any]:
    """An empty state that says what to do next."""
    return {
        "title": title,
        "text": text,
        "icon_name": icon_name,
        "url": url,
        "action": action,
        "slim": slim,
    }


@register.inclusion_tag("ui/_note.html")
def note(text: Any, tone: str = "blue", icon_name: str = "info") -> dict[str, Any]:
    """A message inside the page."""
    return {"text": text, "tone": tone, "icon_name": icon_name}


@register.inclusion_tag("ui/_chart.html")
def chart(figure: Any, size: str = "") -> dict[str, Any]:
    """A chart of `ui.charts` with its table behind it; size short | tall."""
    return {"chart": figure, "size": size}


@register.inclusion_tag("ui/_map.html")
def county_map(figure: Any, live: bool = False) -> dict[str, Any]:
    """A county map of `ui.maps`; `live` lets MapLibre take over (zoom, hover)."""
    return {"map": figure, "live": live}


@register.inclusion_tag("ui/_table.html", takes_context=True)
def table(context: dict[str, Any], table: Any) -> dict[str, Any]:
    """A `ui.tables.Table`."""
    return {"table": table, "request": context.get("request")}


@register.inclusion_tag("ui/_pages.html", takes_context=True)
def pages(context: dict[str, Any], page: int, last: int) -> dict[str, Any]:
    """Links to the pages of a list that is no table (a search); the query string is kept."""
    return {"request": context["request"], "page": page, "last": last, "around": around(page, last)}


@register.inclusion_tag("ui/_form.html", takes_context=True)
def form(
    context: dict[str, Any], form: Any, submit: str = "保存", cancel: str = "", once: bool = True
) -> dict[str, Any]:
    """The fields, error summary and buttons of a Django form inside your own <form> element."""
    return {
        "form": form,
        "submit": submit,
        "cancel": cancel,
        "token": ui_forms.new_token() if once else "",
        "request": context.get("request"),
    }


@register.inclusion_tag("ui/_field.html")
def field(bound: Any) -> dict[str, Any]:
    """One field of a form with label, help and errors."""
    return {"field": bound}


@register.simple_tag(takes_context=True)
def once(context: dict[str, Any]) -> SafeString:
    """The hidden token that `ui.forms.once(request)` accepts one single time, and in whose name."""
    return format_html(
        '<input type="hidden" name="{}" value="{}">{}',
        ui_forms.TOKEN,
        ui_forms.new_token(),
        behalf(context),
    )


@register.simple_tag(takes_context=True)
def behalf(context: dict[str, Any]) -> SafeString:
    """The hidden word in whose name a form was opened: sent in another name it is refused."""
    actor = getattr(context.get("request"), "actor", None)
    if actor is None or not actor.known:
        return SafeString("")
    return format_html(
        '<input type="hidden" name="behalf" value="{}">', actor.behalf.ref if actor.behalf else ""
    )


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The current query string with changes; a value of None or '' takes the key out."""
    params = context["request"].GET.copy()
    for key, value in changes.items():
        params.pop(key, None)
        if value not in (None, ""):
            params[key] = value
    return f"?{urlencode(sorted(params.items()))}"


@register.filter
def count(value: Any) -> str:
    """A number with thousands separators; — for nothing; other text as it is."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}".rstrip("0").rstrip(".") if value % 1 else f"{int(value):,}"
    return str(value)


@register.filter
def percent(value: Any, digits: int = 1) -> str:
    """A fraction as per cent (0.987 → 98.7%)."""
    if value is None or value == "":
        return "—"
    return f"{float(value) * 100:.{digits}f}%"


@register.filter
def cn_date(value: Any) -> str:
    """2026年11月22日."""
    if not value:
        return "—"
    if isinstance(value, dt.datetime) and timezone.is_aware(value):
        value = timezone.localtime(value)
    return f"{value.year}年{value.month}月{value.day}日"


@register.filter
def stamp(value: Any) -> str:
    """2026-11-22 09:30 in the city's time."""
    if not value:
        return "—"
    if isinstance(value, dt.datetime):
        local = timezone.localtime(value) if timezone.is_aware(value) else value
        return f"{local:%Y-%m-%d %H:%M}"
    return f"{value:%Y-%m-%d}"


@register.filter
def ago(value: Any) -> str:
    """刚刚 · 5 分钟前 · 3 小时前 · 昨天 · 2026-11-02."""
    if not value:
        return "从未"
    passed = timezone.now() - value
    seconds = passed.total_seconds()
    if seconds < 60:
        return "刚刚"
    if seconds < 3600:
        return f"{int(seconds // 60)} 分钟前"
    if seconds < 86400:
        return f"{int(seconds // 3600)} 小时前"
    if seconds < 2 * 86400:
        return "昨天"
    if seconds < 30 * 86400:
        return f"{int(seconds // 86400)} 天前"
    return f"{timezone.localtime(value):%Y-%m-%d}"


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """An entry of a mapping, or an empty text."""
    return mapping.get(key, "") if hasattr(mapping, "get") else ""


@register.filter
def unlocalize_number(value: Any) -> str:
    """A number as SVG wants it: a point, no separators."""
    return f"{float(value):.1f}"


@register.filter
def add_float(value: Any, more: Any) -> str:
    """The sum of two numbers, for coordinates."""
    return f"{float(value) + float(more):.1f}"


@register.filter
def is_group(bound: Any) -> bool:
    """True for a group of radios or checkboxes."""
    return ui_forms.is_choice_list(bound)


@register.filter
def is_check(bound: Any) -> bool:
    """True for a single checkbox."""
    return getattr(bound.field.widget, "input_type", "") == "checkbox" and not is_group(bound)


@register.filter
def is_wide(bound: Any) -> bool:
    """True for fields that take the whole width: long texts and choice groups."""
    return is_group(bound) or bound.field.widget.__class__.__name__ == "Textarea"


@register.filter
def described(bound: Any) -> SafeString:
    """The widget with aria-describedby for its help and its problem."""
    ids = []
    if bound.help_text:
        ids.append(f"{bound.auto_id}-help")
    attrs: dict[str, str] = {}
    if bound.errors:
        ids.append(f"{bound.auto_id}-problem")
        attrs["aria-invalid"] = "true"
    if ids:
        attrs["aria-describedby"] = " ".join(ids)
    if bound.field.required:
        attrs["aria-required"] = "true"
    return bound.as_widget(attrs=attrs)


@register.filter
def problem_count(form: Any) -> int:
    """How many messages a form's error summary has."""
    return sum(len(messages) for messages in form.errors.values())


@register.filter
def prefix(value: Any, words: str) -> str:
    """A value behind some words (`12|prefix:"提供部门 "`)."""
    return f"{words}{value}"
