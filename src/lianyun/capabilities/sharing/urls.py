"""Addresses of sharing."""

from django.urls import path

from . import views
from .views import matters

app_name = "sharing"
_BASE = "workbench/sharing/"
urlpatterns = [
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}desk/", views.desk, name="desk"),
    path(f"{_BASE}new/", views.choose, name="choose"),
    path(f"{_BASE}new/<slug:name>/", views.new, name="new"),
    path(f"{_BASE}cases/<str:code>/", views.case, name="case"),
    path(f"{_BASE}matters/", matters.listing, name="matters"),
    path(f"{_BASE}matters/<str:code>/", matters.matter, name="matter"),
    path(f"{_BASE}steps/<int:number>/", views.step, name="step"),
    path(f"{_BASE}cases/<str:code>/extension/", views.extension, name="extension"),
    path(f"{_BASE}cases/<str:code>/secret/", views.secret, name="secret"),
    path(f"{_BASE}grants/", views.grants, name="grants"),
    path(f"{_BASE}grants/<str:code>/", views.grant, name="grant"),
    path(f"{_BASE}grants/<str:code>/misuse/", views.misuse, name="misuse"),
    path(f"{_BASE}grants/<str:code>/<str:verb>/", views.change_grant, name="change_grant"),
    path(f"{_BASE}overview/", views.overview, name="overview"),
]
