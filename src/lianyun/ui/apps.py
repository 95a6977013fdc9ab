"""App: registers the shared furniture with Django."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """The ui floor; it has templates, static files and tags, and no models."""

    name = "lianyun.ui"
    label = "ui"
    verbose_name = "界面"
