"""Addresses of services; the calls themselves are answered by `fast`."""

from django.urls import path

from . import views
from .views import credentials

app_name = "services"
_BASE = "workbench/services/"
urlpatterns = [
    path("api/openapi.json", views.openapi, name="openapi"),
    path("api/openapi/<slug:name>.json", views.openapi, name="openapi_one"),
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}clients/", views.clients, name="clients"),
    path(f"{_BASE}clients/<str:client_id>/keys/", credentials.keys, name="client_keys"),
    path(
        f"{_BASE}clients/<str:client_id>/keys/<int:number>/end/",
        credentials.end_key,
        name="end_key",
    ),
    path(f"{_BASE}clients/<str:client_id>/<str:verb>/", views.change_client, name="change_client"),
    path(f"{_BASE}new/", views.build, name="build"),
    path(f"{_BASE}<slug:name>/", views.detail, name="detail"),
    path(f"{_BASE}<slug:name>/trial/", views.trial, name="trial"),
    path(f"{_BASE}<slug:name>/end/", views.end_version, name="end_version"),
    path(f"{_BASE}<slug:name>/refresh/", views.refresh, name="refresh"),
]
