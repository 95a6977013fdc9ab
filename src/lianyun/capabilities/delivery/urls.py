"""Addresses of delivery: the desk's pages, and the feed that receivers pull from."""

from django.urls import path

from . import views

app_name = "delivery"
_BASE = "workbench/delivery/"
urlpatterns = [
    path("api/delivery/openapi.json", views.openapi, name="openapi"),
    path("api/feed/", views.feed, name="feed"),
    path("api/files/", views.ready, name="ready"),
    path("api/files/<slug:code>/", views.collect, name="collect"),
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}receivers/", views.receivers, name="receivers"),
    path(f"{_BASE}dead/", views.dead, name="dead"),
    path(f"{_BASE}dead/<int:number>/", views.settle, name="settle"),
    path(f"{_BASE}new/<str:grant>/", views.new, name="new"),
    path(f"{_BASE}subscriptions/<slug:code>/", views.detail, name="detail"),
    path(f"{_BASE}subscriptions/<slug:code>/edit/", views.edit, name="edit"),
    path(f"{_BASE}subscriptions/<slug:code>/act/", views.act, name="act"),
    path(f"{_BASE}takers/<slug:name>/", views.takers, name="takers"),
    path(f"{_BASE}files/", views.files, name="files"),
    path(f"{_BASE}files/<str:grant>/make/", views.make, name="make"),
    path(f"{_BASE}files/<slug:code>/progress/", views.progress, name="progress"),
    path(f"{_BASE}files/<slug:code>/fetch/", views.fetch, name="fetch"),
]
