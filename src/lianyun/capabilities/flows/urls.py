"""Addresses of flows."""

from django.urls import path

from . import views

app_name = "flows"
_HERE = "workbench/flows/"
urlpatterns = [
    path(_HERE, views.listing, name="list"),
    path(f"{_HERE}write/", views.write, name="write"),
    path(f"{_HERE}proposals/", views.proposals, name="proposals"),
    path(f"{_HERE}proposals/<int:number>/", views.proposal, name="proposal"),
    path(f"{_HERE}proposals/<int:number>.bpmn", views.proposed_bpmn, name="proposed_bpmn"),
    path(f"{_HERE}cases/<str:code>/", views.case, name="case"),
    path(f"{_HERE}decisions/", views.decisions, name="decisions"),
    path(f"{_HERE}decisions/<str:key>/", views.decision, name="decision"),
    path(f"{_HERE}decisions/<str:key>/apply/", views.apply_table, name="apply"),
    path(f"{_HERE}decisions/<str:key>/<int:version>.dmn", views.dmn, name="dmn"),
    path(f"{_HERE}<str:key>/", views.detail, name="detail"),
    path(f"{_HERE}<str:key>/move/", views.move, name="move"),
    path(f"{_HERE}<str:key>/<int:version>.bpmn", views.bpmn, name="bpmn"),
]
