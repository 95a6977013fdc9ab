"""Addresses of federated services; the calls themselves are answered by the services' fast path."""

from django.urls import path

from . import views

app_name = "federation"
_BASE = "workbench/federation/"
urlpatterns = [
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}new/", views.new, name="new"),
    path(f"{_BASE}<slug:name>/", views.detail, name="detail"),
]
