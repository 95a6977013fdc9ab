"""URLs: linkage's pages in the workbench."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "linkage"

_ROOT = "workbench/linkage/"

urlpatterns = [
    path(_ROOT, views.listing, name="list"),
    path(f"{_ROOT}<slug:name>/", views.home, name="home"),
    path(f"{_ROOT}<slug:name>/run/", views.run, name="run"),
    path(f"{_ROOT}<slug:name>/progress/<slug:code>/", views.progress, name="progress"),
    path(f"{_ROOT}<slug:name>/pairs/", views.pairs, name="pairs"),
    path(f"{_ROOT}<slug:name>/pairs/<int:number>/", views.pair, name="pair"),
    path(f"{_ROOT}<slug:name>/pairs/<int:number>/undo/", views.undo, name="undo"),
    path(f"{_ROOT}<slug:name>/review/", views.review, name="review"),
    path(f"{_ROOT}<slug:name>/entities/", views.entities, name="entities"),
    path(f"{_ROOT}<slug:name>/entities/<str:token>/", views.entity, name="entity"),
]
