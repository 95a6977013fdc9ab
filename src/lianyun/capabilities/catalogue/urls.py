"""URLs: the catalogue's doors in the workbench."""

from django.urls import path

from . import views

app_name = "catalogue"

_BASE = "workbench/catalogue/"
_ONE = f"{_BASE}resources/<slug:name>/"

urlpatterns = [
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}overview/", views.overview, name="overview"),
    path(f"{_BASE}export/", views.export, name="export"),
    path(f"{_BASE}new/", views.new, name="new"),
    path(f"{_BASE}item-row/", views.item_row, name="item_row"),
    path(f"{_BASE}review/", views.desk, name="desk"),
    path(f"{_BASE}review/<int:number>/", views.review, name="review"),
    path(f"{_BASE}cases/<str:code>/", views.case, name="case"),
    path(f"{_BASE}import/", views.import_page, name="import"),
    path(f"{_BASE}import/template.xlsx", views.import_template, name="import_template"),
    path(f"{_BASE}import/<str:code>/", views.import_detail, name="import_detail"),
    path(f"{_BASE}import/<str:code>/progress/", views.import_progress, name="import_progress"),
    path(f"{_BASE}import/<str:code>/issues.xlsx", views.import_issues, name="import_issues"),
    path(f"{_BASE}elements/", views.elements, name="elements"),
    path(f"{_BASE}elements/<str:code>/", views.element, name="element"),
    path(f"{_BASE}codes/", views.codelists, name="codelists"),
    path(f"{_BASE}codes/<str:name>/", views.codelist, name="codelist"),
    path(_ONE, views.detail, name="detail"),
    path(f"{_ONE}edit/", views.edit, name="edit"),
    path(f"{_ONE}submit/", views.submit, name="submit"),
    path(f"{_ONE}revise/", views.revise, name="revise"),
    path(f"{_ONE}discard/", views.discard, name="discard"),
    path(f"{_ONE}withdraw/", views.withdraw, name="withdraw"),
    path(f"{_ONE}compare/", views.compare, name="compare"),
]
