"""Addresses of the hall's applications."""

from django.urls import path

from .views import applying, officers, own

app_name = "hall"
_MY, _DESK = "my/cases/", "workbench/hall/"
urlpatterns = [
    path("my/", own.home, name="mine"),
    path("my/materials/", own.my_materials, name="my_materials"),
    path(_MY, own.cases, name="cases"),
    path(f"{_MY}apply/<slug:item>/", applying.apply, name="apply"),
    path(f"{_MY}<str:code>/", own.case, name="case"),
    path(f"{_MY}<str:code>/go/", applying.go_on, name="go_on"),
    path(f"{_MY}<str:code>/situation/", applying.situation, name="situation"),
    path(f"{_MY}<str:code>/confirm/", applying.confirm, name="confirm"),
    path(f"{_MY}<str:code>/consent/", applying.consent, name="consent"),
    path(f"{_MY}<str:code>/consent/withdraw/", applying.withdraw_consent, name="withdraw_consent"),
    path(f"{_MY}<str:code>/materials/", applying.materials, name="materials"),
    path(f"{_MY}<str:code>/materials/<slug:material>/", applying.material, name="material"),
    path(
        f"{_MY}<str:code>/materials/<slug:material>/<str:file>/",
        applying.attachment,
        name="attachment",
    ),
    path(f"{_MY}<str:code>/check/", applying.check, name="check"),
    path(f"{_MY}<str:code>/receipt/", own.receipt, name="receipt"),
    path(f"{_MY}<str:code>/supplement/", own.supplement, name="supplement"),
    path(f"{_MY}<str:code>/correct/", own.correct, name="correct"),
    path(f"{_MY}<str:code>/urge/", own.urge, name="urge"),
    path(f"{_MY}<str:code>/withdraw/", own.withdraw, name="withdraw"),
    path(f"{_DESK}help/", officers.help_desk, name="help"),
    path(f"{_DESK}help/<slug:item>/", officers.help_apply, name="help_apply"),
    path(f"{_DESK}report/", officers.materials_report, name="report"),
    path(
        f"{_DESK}files/<str:case>/<slug:material>/<str:file>/",
        officers.evidence_file,
        name="evidence_file",
    ),
]
