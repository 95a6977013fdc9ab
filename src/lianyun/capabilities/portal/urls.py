"""Addresses of the portal."""

from django.urls import path

from . import views

app_name = "portal"
urlpatterns = [
    path("", views.home, name="home"),
    path("catalogue/", views.search, name="search"),
    path("catalogue/<slug:name>/", views.entry, name="entry"),
    path("departments/", views.departments, name="departments"),
    path("help/", views.guide, name="help"),
]
