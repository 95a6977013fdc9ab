"""Addresses of analysis."""

from django.urls import path

from . import views

app_name = "analysis"
_BASE = "workbench/analysis/"
urlpatterns = [
    path(_BASE, views.builder, name="builder"),
    path(f"{_BASE}sql/", views.editor, name="editor"),
    path(f"{_BASE}questions/", views.questions, name="questions"),
    path(f"{_BASE}questions/<str:code>/", views.question, name="question"),
    path(f"{_BASE}questions/<str:code>/remove/", views.remove, name="remove"),
    path(f"{_BASE}history/", views.history, name="history"),
    path(f"{_BASE}runs/<str:code>/", views.run, name="run"),
    path(f"{_BASE}runs/<str:code>/progress/", views.progress, name="progress"),
    path(f"{_BASE}runs/<str:code>/cancel/", views.cancel, name="cancel"),
    path(f"{_BASE}runs/<str:code>/confirm/", views.confirm, name="confirm"),
    path(f"{_BASE}runs/<str:code>/keep/", views.keep, name="keep"),
    path(f"{_BASE}runs/<str:code>/answer.<str:form>", views.export, name="export"),
]
