"""Addresses of packages."""

from django.urls import path

from .views import officers, own, public

app_name = "packages"
_HALL, _MY, _DESK = "hall/packages/", "my/packages/", "workbench/packages/"
urlpatterns = [
    path(_HALL, public.listing, name="list"),
    path(f"{_HALL}<slug:code>/", public.package, name="package"),
    path(_MY, own.mine, name="mine"),
    path(f"{_MY}apply/<slug:code>/", own.apply, name="apply"),
    path(f"{_MY}<str:code>/", own.filing, name="filing"),
    path(f"{_MY}<str:code>/go/", own.go_on, name="go_on"),
    path(f"{_MY}<str:code>/situation/", own.situation, name="situation"),
    path(f"{_MY}<str:code>/confirm/", own.confirm, name="confirm"),
    path(f"{_MY}<str:code>/consent/", own.consent, name="consent"),
    path(f"{_MY}<str:code>/materials/", own.materials, name="materials"),
    path(f"{_MY}<str:code>/materials/<slug:material>/", own.material, name="material"),
    path(f"{_MY}<str:code>/check/", own.check, name="check"),
    path(f"{_MY}<str:code>/retry/", own.retry, name="retry"),
    path(f"{_MY}<str:code>/withdraw/", own.withdraw, name="withdraw"),
    path(_DESK, officers.report, name="report"),
    path(f"{_DESK}help/", officers.help_desk, name="help"),
    path(f"{_DESK}help/<slug:code>/", officers.help_apply, name="help_apply"),
    path(f"{_DESK}cases/<str:code>/", officers.case, name="case"),
]
