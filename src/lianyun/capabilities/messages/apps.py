"""App: registers messages with Django, under a label of its own: `messages` is Django's."""

from django.apps import AppConfig


class MessagesConfig(AppConfig):
    """The tables of messages: what was told, by which ways, and what each person chose."""

    name = "lianyun.capabilities.messages"
    label = "inbox"
    verbose_name = "消息"
    default_auto_field = "django.db.models.BigAutoField"
