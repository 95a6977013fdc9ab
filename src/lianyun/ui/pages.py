"""Page: a view that names its permission and turns refusals into pages people understand."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from lianyun.kernel.access import Denied, UserError

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

View = Callable[..., HttpResponseBase]

SIGNED_IN = "signed-in"
"""What `view.permission` says of a page that every signed-in person may open."""


class ActorRequest(HttpRequest):
    """A request as `ui.middleware.Shell` hands it on: it knows who acts (for type hints)."""

    actor: Actor
    htmx: bool


def page(*, permission: str) -> Callable[[View], View]:
    """A view for those who hold `permission` (`catalogue.read`); visitors go to the login page.

    Denied becomes a 403 page, UserError a 400 page (or a toast for htmx, JSON for programs).
    The mark `view.permission` is what the architecture test reads.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def call(request: ActorRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.actor.known:
                return _to_login(request)
            if permission != SIGNED_IN and not request.actor.may(permission):
                return _guarded(lambda: request.actor.require(permission), request)
            return _guarded(lambda: view(request, *args, **kwargs), request)

        call.permission = permission  # type: ignore[attr-defined]
        call.public = False  # type: ignore[attr-defined]
        return call

    return wrap


def signed_in(view: View) -> View:
    """A view for everyone who has signed in, whatever the role (own account, own messages)."""
    return page(permission=SIGNED_IN)(view)


def public(view: View) -> View:
    """A view for every visitor; refusals inside it become pages all the same."""

    @wraps(view)
    def call(request: ActorRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _guarded(lambda: view(request, *args, **kwargs), request)

    call.permission = None  # type: ignore[attr-defined]
    call.public = True  # type: ignore[attr-defined]
    return call


def safe_next(request: HttpRequest, default: str = "/workbench/") -> str:
    """The `next` address of the request if it stays on this site, else `default`."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if wanted and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return default


def refusal(
    request: HttpRequest, status: int, message: str, way: tuple[str, str] | None = None
) -> HttpResponse:
    """The answer to a request that cannot be met: page, toast (htmx) or JSON, as was asked for.

    `way` (title, address) leads to where the person can do something about it.
    """
    if "application/json" in request.headers.get("Accept", ""):
        told = {"error": message, **({"way": way[1]} if way else {})}
        return JsonResponse(told, status=status, json_dumps_params={"ensure_ascii": False})
    if getattr(request, "htmx", False):
        response = render(
            request, "ui/_toast.html", {"level": "error", "text": message}, status=status
        )
        response["HX-Retarget"] = "#toasts"
        response["HX-Reswap"] = "beforeend"
        return response
    return render(request, f"{status}.html", {"message": message, "way": way}, status=status)


def _guarded(run: Callable[[], Any], request: ActorRequest) -> HttpResponseBase:
    try:
        return run()
    except Denied as refused:
        return refusal(request, 403, str(refused), refused.way)
    except UserError as mistake:
        return refusal(request, 400, str(mistake))


def _to_login(request: ActorRequest) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        return refusal(request, 401, "请先登录")
    here = request.get_full_path()
    if request.method != "GET":
        here = "/workbench/"
    target = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': here})}"
    if getattr(request, "htmx", False):
        response = HttpResponse(status=204)
        response["HX-Redirect"] = target
        return response
    return HttpResponseRedirect(target)
