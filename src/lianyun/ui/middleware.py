"""Shell: what every request gets: who acts, whether htmx asks, and the content security policy."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from lianyun.kernel.access import ANONYMOUS, Actor, actor_of
from lianyun.kernel.party import Party

POST_KEY = "department"
"""Session key: the id of the department for which a person with several posts acts now."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class Shell:
    """Sets `request.actor` and `request.htmx`; adds the security headers to the answer.

    Stands after AuthenticationMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        request.actor = SimpleLazyObject(lambda: _actor(request))  # type: ignore[attr-defined]
        request.htmx = request.headers.get("HX-Request") == "true"  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), microphone=(), geolocation=(self), payment=()"
        )
        return response


def _actor(request: HttpRequest) -> Actor:
    user = getattr(request, "user", None)
    party = getattr(user, "party", None) if user is not None and user.is_authenticated else None
    if party is None or not party.active:
        return ANONYMOUS
    if getattr(request, "without_posts", False):
        # The guard of sessions withholds the posts of who owes a password or a second factor.
        return Actor(party)
    if (behalf := getattr(request, "behalf", None)) is not None:
        # Who acts for a firm or a child is no officer in that moment: posts rest.
        return Actor(party, behalf=behalf)
    chosen = request.session.get(POST_KEY)
    if chosen and party.memberships.filter(department_id=chosen).exists():
        return actor_of(party, Party.objects.get(pk=chosen))
    return actor_of(party)
