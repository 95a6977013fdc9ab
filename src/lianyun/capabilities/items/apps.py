"""App: registers items with Django."""

from django.apps import AppConfig


class ItemsConfig(AppConfig):
    """The tables of items: the list with its copies in work, and every published version."""

    name = "lianyun.capabilities.items"
    label = "items"
    verbose_name = "事项"
    default_auto_field = "django.db.models.BigAutoField"
