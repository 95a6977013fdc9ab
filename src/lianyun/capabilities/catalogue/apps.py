"""App: registers the catalogue with Django."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """The catalogue's tables: classes, entries, items, lineage edges, imports."""

    name = "lianyun.capabilities.catalogue"
    label = "catalogue"
    verbose_name = "目录"
    default_auto_field = "django.db.models.BigAutoField"
