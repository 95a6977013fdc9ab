"""URLs: collection's pages in the workbench."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "collection"

_ROOT = "workbench/collection/"

urlpatterns = [
    path(_ROOT, views.board, name="board"),
    path(f"{_ROOT}datasets/<slug:name>/", views.dataset, name="dataset"),
    path(f"{_ROOT}datasets/<slug:name>/history/", views.history, name="history"),
    path(f"{_ROOT}batches/", views.batches, name="batches"),
    path(f"{_ROOT}batches/<slug:code>/", views.batch, name="batch"),
    path(f"{_ROOT}batches/<slug:code>/progress/", views.progress, name="progress"),
    path(f"{_ROOT}batches/<slug:code>/changes/", views.changes, name="changes"),
    path(f"{_ROOT}batches/<slug:code>/undo/", views.undo, name="undo"),
    path(f"{_ROOT}batches/<slug:code>/rejects.csv", views.rejects_csv, name="rejects_csv"),
    path(f"{_ROOT}batches/<slug:code>/correct/", views.correct, name="correct"),
    path(f"{_ROOT}batches/<slug:code>/correct-file/", views.correct_file, name="correct_file"),
    path(f"{_ROOT}sources/", views.sources, name="sources"),
    path(f"{_ROOT}sources/new/", views.new_source, name="new_source"),
    path(f"{_ROOT}sources/<slug:name>/", views.source, name="source"),
    path(f"{_ROOT}sources/<slug:name>/edit/", views.edit_source, name="edit_source"),
    path(f"{_ROOT}sources/<slug:name>/run/", views.run_source, name="run_source"),
    path(f"{_ROOT}sources/<slug:name>/test/", views.test_source, name="test_source"),
    path(f"{_ROOT}sources/<slug:name>/enable/", views.enable_source, name="enable_source"),
    path(f"{_ROOT}sources/<slug:name>/remove/", views.remove_source, name="remove_source"),
    path(f"{_ROOT}upload/", views.upload, name="upload"),
    path(f"{_ROOT}upload/<slug:token>/", views.proposal, name="proposal"),
]
