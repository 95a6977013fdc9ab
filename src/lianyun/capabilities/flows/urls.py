"""Addresses of flows."""

from django.urls import path

from . import views

app_name = "flows"
_HERE = "workbench/flows/"
urlpatterns = [
    path(_HERE, views.listing, name="list"),
    path(f"{_HERE}decisions/", views.decisions, name="decisions"),
    path(f"{_HERE}decisions/<str:key>/", views.decision, name="decision"),
    path(f"{_HERE}decisions/<str:key>/<int:version>.dmn", views.dmn, name="dmn"),
    path(f"{_HERE}<str:key>/", views.detail, name="detail"),
    path(f"{_HERE}<str:key>/move/", views.move, name="move"),
    path(f"{_HERE}<str:key>/<int:version>.bpmn", views.bpmn, name="bpmn"),
]
