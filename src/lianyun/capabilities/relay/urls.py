"""Addresses of relay."""

from django.urls import path

from .views import desk, door

app_name = "relay"
_D, _A = "workbench/relay/", "api/relay/v1/"
urlpatterns = [
    path(f"{_A}messages", door.messages, name="messages"),
    path(f"{_A}cases/<str:number>", door.state, name="state"),
    path(f"{_A}cases/<str:number>/files/<str:code>", door.file, name="file"),
    path(f"{_A}openapi.json", door.openapi, name="openapi"),
    path(_D, desk.home, name="home"),
    path(f"{_D}new/", desk.new, name="new"),
    path(f"{_D}stuck/", desk.stuck, name="stuck"),
    path(f"{_D}letters/<str:number>/", desk.letter, name="letter"),
    path(f"{_D}messages/<int:number>/", desk.message, name="message"),
    path(f"{_D}cases/<str:code>/", desk.case, name="case"),
    path(f"{_D}systems/<str:code>/", desk.system, name="system"),
    path(f"{_D}systems/<str:code>/edit/", desk.edit, name="edit"),
    path(f"{_D}systems/<str:code>/act/", desk.act, name="act"),
    path(f"{_D}systems/<str:code>/items/", desk.items, name="items"),
]
