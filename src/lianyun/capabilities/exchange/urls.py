"""Addresses of the exchange's overview."""

from django.urls import path

from . import views

app_name = "exchange"
_BASE = "workbench/exchange/"
urlpatterns = [
    path(_BASE, views.home, name="home"),
    path(f"{_BASE}flows/", views.flows, name="flows"),
    path(f"{_BASE}overdue/", views.overdue, name="overdue"),
    path(f"{_BASE}dead/", views.dead, name="dead"),
    path(f"{_BASE}failed/", views.failed, name="failed"),
    path(f"{_BASE}suspicions/", views.suspicions, name="suspicions"),
    path(f"{_BASE}suspicions/<int:number>/", views.suspicion, name="suspicion"),
    path(f"{_BASE}suspicions/<int:number>/<slug:verb>/", views.judge, name="judge"),
]
