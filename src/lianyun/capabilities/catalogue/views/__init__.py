"""Views: the catalogue's pages: lists, one entry, review, import, standards."""

from .entries import (
    compare,
    detail,
    discard,
    edit,
    item_row,
    new,
    revise,
    submit,
    withdraw,
)
from .imports import import_detail, import_issues, import_page, import_progress, import_template
from .lists import export, listing, overview
from .reviews import case, desk, review
from .standards import codelist, codelists, element, elements

__all__ = [
    "case",
    "codelist",
    "codelists",
    "compare",
    "desk",
    "detail",
    "discard",
    "edit",
    "element",
    "elements",
    "export",
    "import_detail",
    "import_issues",
    "import_page",
    "import_progress",
    "import_template",
    "item_row",
    "listing",
    "new",
    "overview",
    "review",
    "revise",
    "submit",
    "withdraw",
]
