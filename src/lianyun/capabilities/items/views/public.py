"""Public views: the service hall: home, search, an item's guide and notice, storefronts, places."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.context import address_of
from lianyun.ui.pages import ActorRequest, public

from .. import queries
from ..rules.checks import closing
from ..rules.item import ENTITY, KINDS, PERSON, REACHES

AUDIENCES = ((PERSON, "个人办事"), (ENTITY, "企业办事"))
PROOFS = {
    0: "不用登录",
    1: "手机号登录",
    2: "实名登录",
    3: "刷脸或到窗口核验",
    4: "数字证书或到窗口核验",
}


def _page_number(request: ActorRequest) -> int:
    told = request.GET.get("page", "1")
    return int(told) if told.isdecimal() and len(told) < 6 else 1


def _audience(request: ActorRequest) -> str:
    return ENTITY if request.GET.get("for") == ENTITY else PERSON


@public
def hall(request: ActorRequest) -> HttpResponse:
    """The hall's home for persons or for firms."""
    audience = _audience(request)
    here = reverse("items:hall")
    shown = queries.home(request.actor, audience)
    tabs = [(title, f"{here}?for={key}" if key == ENTITY else here) for key, title in AUDIENCES]
    context = {
        "home": shown,
        "audience": audience,
        "tabs": [
            {"title": t, "url": u, "current": k == audience}
            for (k, _), (t, u) in zip(AUDIENCES, tabs, strict=True)
        ],
        "mine": address_of("hall:cases"),
        "packages": address_of("packages:list"),
        "departments": shown.departments[:12],
    }
    return render(request, "items/hall.html", context)


@public
def search(request: ActorRequest) -> HttpResponse:
    """Items for everyday words, narrowed by whom they serve, department, theme, counter."""
    get = request.GET.get
    text = get("q", "").strip()[:80]
    narrow = queries.Narrow(
        audience=get("for", ""),
        department=get("department", ""),
        theme=get("theme", ""),
        life=get("life", ""),
        reach=get("reach", ""),
        kind=get("kind", ""),
        online=get("online", ""),
    )
    found = queries.search(request.actor, text, narrow, _page_number(request))
    themes = queries.names_of("entity_theme" if narrow.audience == ENTITY else "person_theme")
    named = [
        themes.get(narrow.theme, ""),
        queries.names_of("life_event").get(narrow.life, ""),
    ]
    context = {
        "found": found,
        "q": text,
        "n": narrow,
        "audiences": AUDIENCES,
        "kinds": KINDS.items(),
        "reaches": REACHES.items(),
        "departments": [(p.slug, str(p)) for p, _ in queries.storefronts(request.actor)],
        "named": [n for n in named if n],
    }
    return render(request, "items/search.html", context)


def _shown(request: ActorRequest, code: str) -> tuple[queries.ItemPage, dict[str, Any]]:
    shown = queries.item_page(request.actor, code, request.GET.dict())
    item = shown.item
    query = "&".join(f"{k}={v}" for k, v in shown.given.items())
    apply = address_of("hall:apply", code)
    return shown, {
        "v": shown,
        "i": item,
        "notice": shown.notice,
        "names": shown.names,
        "apply": f"{apply}?{query}" if apply and query else apply,
        "book": address_of("counters:book_item", code) if item.appointment else "",
        "query": query,
        "proof": PROOFS.get(item.proof, ""),
    }


@public
def item(request: ActorRequest, code: str) -> HttpResponse:
    """One item's guide; answers to its questions narrow the materials while one reads."""
    try:
        shown, context = _shown(request, code)
    except UserError as missing:
        raise Http404(str(missing)) from missing
    if request.htmx:
        return render(request, "items/_materials.html", context)
    one = shown.item
    channels = queries.names_of("service_channel")
    context.update(
        stages=[
            (s.title, f"{s.days} 个工作日" if s.days else ("当场" if s.days == 0 else ""))
            for s in one.stages
        ],
        stage_notes=[s for s in one.stages if s.note],
        facts=[
            ("实施主体", one.department_name),
            ("事项类型", queries.names_of("item_type").get(one.type, one.type)),
            ("办件类型", one.kind_title),
            ("服务对象", one.objects_text),
            ("承诺时限", one.promised_text),
            ("法定时限", one.legal_text),
            ("到现场次数", f"{one.visits} 次" + (f"（{one.visits_reason}）" if one.visits else "")),
            ("登录要求", context["proof"]),
            ("通办范围", one.scope_text),
            ("办理形式", "、".join(channels.get(c, c) for c in one.channels)),
            ("受理窗口", "、".join(one.reaches)),
            ("数量限制", one.quota),
            ("办理结果", one.result.name or "办结告知"),
            ("办结类型", closing(one)),
            ("共同实施部门", "、".join(shown.names.get(s, s) for s in one.joint)),
            ("实施编码", one.implementing_code),
            ("设定依据", one.basis, "full"),
        ],
    )
    return render(request, "items/item.html", context)


@public
def notice(request: ActorRequest, code: str) -> HttpResponse:
    """一次告知单: one printable sheet for these answers."""
    try:
        _, context = _shown(request, code)
    except UserError as missing:
        raise Http404(str(missing)) from missing
    return render(request, "items/notice.html", context)


@public
def departments(request: ActorRequest) -> HttpResponse:
    """All departments' storefronts."""
    return render(request, "items/departments.html", {"rows": queries.storefronts(request.actor)})


@public
def storefront(request: ActorRequest, slug: str) -> HttpResponse:
    """One department's storefront 旗舰店."""
    try:
        shown = queries.storefront(request.actor, slug)
    except UserError as missing:
        raise Http404(str(missing)) from missing
    return render(request, "items/storefront.html", {"v": shown, "d": shown.department})


@public
def places(request: ActorRequest) -> HttpResponse:
    """Towns and villages, and what may be asked for there."""
    context = {
        "counties": queries.towns(request.actor),
        "coverage": queries.coverage(request.actor),
        "county": request.GET.get("county", ""),
    }
    return render(request, "items/places.html", context)
