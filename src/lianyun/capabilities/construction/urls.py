"""Addresses of construction."""

from django.urls import path

from . import views

app_name = "construction"
_D = "workbench/construction/"
urlpatterns = [
    path("my/projects/", views.mine, name="mine"),
    path("my/projects/new/", views.new, name="new"),
    path("my/projects/<str:code>/", views.own, name="own"),
    path(_D, views.listing, name="list"),
    path(f"{_D}<str:code>/", views.detail, name="detail"),
]
