"""Addresses of supervision."""

from django.urls import path

from . import views

app_name = "supervision"
_S = "workbench/supervision/"
urlpatterns = [
    path(_S, views.home, name="home"),
    path(f"{_S}matters/", views.listing, name="list"),
    path(f"{_S}cases/<str:code>/", views.case, name="case"),
    path(f"{_S}steps/<int:number>/", views.step, name="step"),
    path(f"{_S}loop/<slug:code>/", views.loop, name="loop"),
]
