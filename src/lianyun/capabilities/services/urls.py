"""Addresses of services; the calls themselves are answered by `fast`."""

from django.urls import path

from . import views

app_name = "services"
_BASE = "workbench/services/"
urlpatterns = [
    path("api/openapi.json", views.openapi, name="openapi"),
    path("api/openapi/<slug:name>.json", views.openapi, name="openapi_one"),
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}clients/", views.clients, name="clients"),
    path(f"{_BASE}clients/<str:client_id>/<str:verb>/", views.change_client, name="change_client"),
    path(f"{_BASE}<slug:name>/", views.detail, name="detail"),
    path(f"{_BASE}<slug:name>/refresh/", views.refresh, name="refresh"),
]
