"""Addresses of comparison."""

from django.urls import path

from . import views

app_name = "comparison"
_BASE = "workbench/comparison/"
urlpatterns = [
    path(_BASE, views.home, name="home"),
    path(f"{_BASE}rules/<slug:name>/", views.rule, name="rule"),
    path(f"{_BASE}rules/<slug:name>/run/", views.run, name="run"),
    path(f"{_BASE}rules/<slug:name>/plan/", views.plan, name="plan"),
    path(f"{_BASE}runs/<slug:code>/progress/", views.progress, name="progress"),
    path(f"{_BASE}findings/", views.findings, name="findings"),
    path(f"{_BASE}findings/open/", views.open_findings, name="open"),
    path(f"{_BASE}findings/<slug:code>/", views.finding, name="finding"),
    path(f"{_BASE}findings/<slug:code>/reveal/", views.reveal, name="reveal"),
    path(f"{_BASE}items/<int:number>/", views.work, name="work"),
    path(f"{_BASE}cases/<str:code>/", views.case, name="case"),
]
