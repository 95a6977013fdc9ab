"""Addresses of registration."""

from django.urls import path

from . import views

app_name = "registration"
urlpatterns = [
    path("names/", views.names, name="names"),
    path("cancellations/", views.notices, name="notices"),
    path("cancellations/<int:number>/", views.notice, name="notice"),
    path("workbench/registration/", views.listing, name="list"),
    path("workbench/registration/changes/", views.changes, name="changes"),
    path("workbench/registration/cases/<str:code>/", views.case, name="case"),
    path("workbench/registration/<int:number>/", views.detail, name="detail"),
]
