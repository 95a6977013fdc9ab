"""Addresses of ratings."""

from django.urls import path

from . import views

app_name = "ratings"
_W = "workbench/ratings/"
urlpatterns = [
    path("my/ratings/", views.own, name="own"),
    path("my/ratings/<str:code>/", views.rate, name="rate"),
    path("ratings/", views.scores, name="scores"),
    path("ratings/visit/<str:code>/", views.visit, name="visit"),
    path(_W, views.home, name="home"),
    path(f"{_W}visit/", views.invite, name="invite"),
    path(f"{_W}cases/<str:code>/", views.case, name="case"),
    path(f"{_W}<int:number>/", views.detail, name="detail"),
]
