"""Addresses of audit."""

from django.urls import path

from . import views

app_name = "audit"
urlpatterns = [
    path("seen/", views.seen, name="seen"),
    path("workbench/audit/", views.ledger, name="ledger"),
    path("workbench/audit/subject/", views.subject, name="subject"),
    path("workbench/audit/calls/", views.calls, name="calls"),
    path("workbench/audit/proof/", views.proof, name="proof"),
]
