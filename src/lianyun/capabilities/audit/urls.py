"""Addresses of audit."""

from django.urls import path

from . import views

app_name = "audit"
urlpatterns = [
    path("seen/", views.seen, name="seen"),
    path("workbench/audit/", views.ledger, name="ledger"),
    path("workbench/audit/subject/", views.subject, name="subject"),
    path("workbench/audit/calls/", views.calls, name="calls"),
    path("workbench/audit/calls/<slug:uid>/receipt/", views.receipt, name="receipt"),
    path("workbench/audit/proof/", views.proof, name="proof"),
    path("proof/root.pem", views.root, name="root"),
    path("proof/check_receipt.py", views.script, name="script"),
]
