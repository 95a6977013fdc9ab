"""Home: the departments' sharing site: search, basket, requests, services, desk, guides on one page."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries
from .matters import link, standing, tone

GUIDES = (
    (
        "如何申请共享",
        "选数、填写依据和场景、本部门负责人同意、提供部门答复",
        "sharing:choose",
        "send",
    ),
    ("接口说明与试用", "每个服务的字段、脱敏、限额和在线试用", "services:list", "api"),
    ("领取和更换密钥", "密钥只显示一次，遗失可更换", "services:clients", "key"),
    ("目录没有怎么办", "提出数据需求，由主管部门明确数源部门", "sharing:needs", "target"),
    ("数据有误怎么办", "提出校核，提供部门 10 个工作日内反馈", "quality:desk", "pulse"),
    ("法定时限报告", "每件申请的每一个时钟，可核对、可导出", "sharing:clock_report", "clock"),
)


@page(permission="sharing.read")
def home(request: ActorRequest) -> HttpResponse:
    """What a department does with sharing, in the order it needs it."""
    viewer = request.actor
    text = request.GET.get("q", "").strip()[:100]
    asks = viewer.may("sharing.request")
    desk = list(queries.desk(viewer).select_related("case__applicant", "case__department")[:8])
    return render(
        request,
        "sharing/home.html",
        {
            "q": text,
            "found": queries.offered(viewer, text) if text else [],
            "asks": asks,
            "basket": queries.basket(viewer) if asks else [],
            "mine": queries.my_requests(viewer),
            "matters": [(c, link(c), standing(c), tone(c)) for c in queries.matters(viewer)[:6]],
            "held": queries.my_services(viewer),
            "desk": [
                (
                    i,
                    reverse("sharing:case", args=[i.case.data.get("case") or i.case.code])
                    if i.case.path.key in queries.PATHS
                    else link(i.case),
                )
                for i in desk
            ],
            "desk_count": queries.desk(viewer).count(),
            "notices": queries.notices(viewer),
            "reminders": queries.reminders(viewer),
            "popular": queries.popular(viewer) if not text else [],
            "guides": GUIDES,
        },
    )


@page(permission="sharing.request")
@require_POST
def use(request: ActorRequest, code: str) -> HttpResponse:
    """Note what was done with the data of a grant."""
    found = queries.grant(request.actor, code)
    if found is None:
        raise Http404
    if once(request):
        actions.write_use(
            grant=found,
            kind=request.POST.get("kind", ""),
            text=request.POST.get("text", ""),
            by=request.actor,
        )
        messages.success(request, "使用记录已保存，保存期限不少于 3 年")
    return redirect("sharing:grant", code)
