"""Addresses of libraries."""

from django.urls import path

from . import views

app_name = "libraries"
_BASE = "workbench/libraries/"
urlpatterns = [
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}<slug:name>/", views.home, name="home"),
    path(f"{_BASE}<slug:name>/build/", views.build, name="build"),
    path(f"{_BASE}<slug:name>/record/", views.record, name="record"),
    path(f"{_BASE}<slug:name>/conflicts/", views.conflicts, name="conflicts"),
]
