"""Views of sharing: lists, requests, grants; matters, needs, the basket, reports and my data beside them."""

from .grants import change_grant, grant, grants, misuse
from .lists import choose, desk, listing, overview
from .requests import case, extension, new, secret, step

__all__ = [
    "case",
    "change_grant",
    "choose",
    "desk",
    "extension",
    "grant",
    "grants",
    "listing",
    "misuse",
    "new",
    "overview",
    "secret",
    "step",
]
