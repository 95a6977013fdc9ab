"""Addresses of desk."""

from django.urls import path

from . import views

app_name = "desk"
_D = "workbench/desk/"
urlpatterns = [
    path(_D, views.home, name="home"),
    path(f"{_D}archive/", views.archive, name="archive"),
    path(f"{_D}batch/", views.batch, name="batch"),
    path(f"{_D}claim/", views.claim_many, name="claim_many"),
    path(f"{_D}steps/<int:number>/", views.step, name="step"),
    path(f"{_D}steps/<int:number>/claim/", views.claim, name="claim"),
    path(f"{_D}cases/<str:code>/", views.case, name="case"),
    path(f"{_D}cases/<str:code>/clock/", views.clock, name="clock"),
]
