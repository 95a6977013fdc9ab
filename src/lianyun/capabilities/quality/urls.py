"""URLs: quality's pages in the workbench."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "quality"

_ROOT = "workbench/quality/"

urlpatterns = [
    path(_ROOT, views.home, name="home"),
    path(f"{_ROOT}rules/", views.rules, name="rules"),
    path(f"{_ROOT}datasets/<slug:name>/", views.dataset, name="dataset"),
    path(f"{_ROOT}datasets/<slug:name>/report/", views.report, name="report"),
    path(f"{_ROOT}datasets/<slug:name>/recheck/", views.recheck, name="recheck"),
    path(f"{_ROOT}departments/<slug:slug>/", views.department, name="department"),
    path(f"{_ROOT}desk/", views.desk, name="desk"),
    path(f"{_ROOT}cases/<str:code>/", views.case, name="case"),
    path(f"{_ROOT}cases/<str:code>/rows.csv", views.rows_csv, name="rows_csv"),
]
