"""Addresses of the ui floor."""

from django.urls import path

from . import views

app_name = "ui"
urlpatterns = [
    path("display/", views.display, name="display"),
    path("workbench/find/", views.find, name="find"),
    path("workbench/style/", views.style, name="style"),
]
