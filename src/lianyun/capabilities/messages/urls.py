"""Addresses of messages."""

from django.urls import path

from .views import desk, own

app_name = "messages"
_MY, _W = "my/messages/", "workbench/messages/"
urlpatterns = [
    path(_MY, own.inbox, name="inbox"),
    path(f"{_MY}recent/", own.recent, name="recent"),
    path(f"{_MY}read/", own.read_all, name="read_all"),
    path(f"{_MY}settings/", own.settings, name="settings"),
    path(f"{_MY}<int:number>/", own.message, name="message"),
    path(_W, desk.desk, name="desk"),
    path(f"{_W}resend/", desk.resend, name="resend"),
]
