"""Context: what the frames of all pages know: city, date, actor, menu, display choices."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from lianyun.kernel import packs
from lianyun.kernel.access import ANONYMOUS, Actor, roles
from lianyun.kernel.case import work_items

from .menu import menu

WEEKDAYS = "一二三四五六日"
DISPLAY_COOKIE = "display"


def display_choices(request: HttpRequest) -> list[str]:
    """The visitor's display choices (`elder`, `contrast`), from the cookie."""
    chosen = request.COOKIES.get(DISPLAY_COOKIE, "").split(".")
    return [word for word in ("elder", "contrast") if word in chosen]


@cache
def address(name: str, fallback: str = "") -> str:
    """The address of a named URL, or `fallback` where that capability is not installed."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return fallback


def address_of(name: str, *args: Any) -> str:
    """The address of a named URL with arguments, or an empty text where there is none."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def shell(request: HttpRequest) -> dict[str, Any]:
    """Template variables of the frames; the menu is built only where a template asks for it."""
    actor = getattr(request, "actor", ANONYMOUS)
    now = timezone.localtime()
    facts = packs.mapping("core", "city.yaml")
    city = facts.get("name", "")
    return {
        "city": city,
        "actor": actor,
        "today": f"{now.year}年{now.month}月{now.day}日",
        "weekday": f"星期{WEEKDAYS[now.weekday()]}",
        "year": now.year,
        "display": display_choices(request),
        "menu": SimpleLazyObject(lambda: menu(actor, request.path)),
        "narrow": request.COOKIES.get("narrow") == "1",
        "sample": facts.get("sample", True),
        "portal_nav": SimpleLazyObject(lambda: _portal_nav(request)),
        "portal_more": SimpleLazyObject(_portal_more),
        "login_url": address("identity:login", "/login/"),
        "logout_url": address("identity:logout"),
        "inbox_url": address("messages:inbox"),
        "account_links": SimpleLazyObject(_account_links),
        "actor_roles": SimpleLazyObject(lambda: _role_titles(actor)),
        "awaiting_count": SimpleLazyObject(lambda: work_items(actor).count()),
    }


def _account_links() -> list[dict[str, str]]:
    wanted = (
        ("我的身份", "identity:mine", "card"),
        ("切换办理身份", "identity:acting", "users"),
        ("我的账号", "identity:account", "user"),
        ("修改密码", "identity:password", "key"),
    )
    return [{"title": t, "url": address(n), "icon": i} for t, n, i in wanted if address(n)]


def _role_titles(actor: Actor) -> list[str]:
    return [roles()[name].title for name in actor.roles if name in roles()]


def _portal_nav(request: HttpRequest) -> list[dict[str, Any]]:
    wanted = (
        ("首页", "portal:home"),
        ("办事大厅", "items:hall"),
        ("我的办件", "hall:cases"),
        ("我的证照", "licences:wallet"),
        ("我的数据", "sharing:own"),
        ("数据开放", "open_data:home"),
        ("数据目录", "portal:search"),
        ("使用帮助", "portal:help"),
    )
    out = []
    for title, name in wanted:
        url = address(name)
        if url:
            current = request.path == url or (url != "/" and request.path.startswith(url))
            out.append({"title": title, "url": url, "current": current})
    return out


def _portal_more() -> list[dict[str, str]]:
    """What the foot of a public page leads to beside the main navigation."""
    wanted = (
        ("惠企政策", "offers:public"),
        ("实体大厅", "counters:halls"),
        ("证照核验", "licences:verify"),
        ("谁看过我的数据", "audit:seen"),
    )
    return [{"title": t, "url": address(n)} for t, n in wanted if address(n)]
