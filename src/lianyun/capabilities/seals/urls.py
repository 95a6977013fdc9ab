"""Addresses of seals."""

from django.urls import path

from .views import authority, check, desk, sign

app_name = "seals"
_DESK = "workbench/seals/"
urlpatterns = [
    path("seals/check/", check.check, name="check"),
    path("seals/ca/ocsp", authority.ocsp, name="ocsp"),
    path("seals/ca/ocsp/<path:asked>", authority.ocsp),
    path("seals/ca/tsa", authority.time_stamp, name="time_stamp"),
    path("seals/ca/<slug:thumb>.cer", authority.certificate, name="certificate"),
    path("seals/ca/<slug:thumb>.crl", authority.revoked, name="crl"),
    path(_DESK, desk.listing, name="list"),
    path(f"{_DESK}new/", desk.new, name="new"),
    path(f"{_DESK}mine/", desk.mine, name="mine"),
    path(f"{_DESK}sign/", sign.sign, name="sign"),
    path(f"{_DESK}uses/", desk.uses, name="uses"),
    path(f"{_DESK}authority/", authority.authority, name="authority"),
    path(f"{_DESK}authority/request/", authority.ask, name="ask"),
    path(f"{_DESK}cases/<str:code>/", desk.case, name="case"),
    path(f"{_DESK}items/<int:number>/", desk.step, name="step"),
    path(f"{_DESK}held/<str:code>/", desk.detail, name="detail"),
    path(f"{_DESK}held/<str:code>/picture.svg", desk.picture, name="picture"),
    path(f"{_DESK}held/<str:code>/<slug:what>/", desk.change, name="change"),
]
