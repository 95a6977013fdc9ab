"""Kernel application: registers the nouns' tables with Django under the label `kernel`."""

from django.apps import AppConfig


class KernelConfig(AppConfig):
    """The kernel's tables; they belong to no capability."""

    name = "lianyun.kernel"
    label = "kernel"
    verbose_name = "内核"
    default_auto_field = "django.db.models.BigAutoField"
