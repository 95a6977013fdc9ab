"""Addresses of registration."""

from django.urls import path

from . import views

app_name = "registration"
urlpatterns = [
    path("names/", views.names, name="names"),
    path("workbench/registration/", views.listing, name="list"),
    path("workbench/registration/<int:number>/", views.detail, name="detail"),
]
