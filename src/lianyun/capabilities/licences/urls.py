"""Addresses of licences."""

from django.urls import path

from .views import desk, verify, wallet

app_name = "licences"
_DESK, _MY = "workbench/licences/", "my/licences/"
urlpatterns = [
    path(_DESK, desk.listing, name="list"),
    path(f"{_DESK}figures/", desk.figures, name="figures"),
    path(f"{_DESK}counter/", desk.counter, name="counter"),
    path(f"{_DESK}counter/<int:number>/", desk.asked, name="asked"),
    path(f"{_DESK}cases/<str:code>/", desk.case, name="case"),
    path(f"{_DESK}new/<slug:kind>/", desk.draw, name="draw"),
    path(f"{_DESK}register/<slug:kind>/", desk.run, name="run"),
    path(f"{_DESK}files/<slug:kind>/", desk.files, name="files"),
    path(f"{_DESK}left/", desk.left, name="left"),
    path(f"{_DESK}<str:identifier>/", desk.detail, name="detail"),
    path(f"{_DESK}<str:identifier>/end/", desk.end, name="end"),
    path(_MY, wallet.home, name="wallet"),
    path(f"{_MY}looks/", wallet.looks, name="looks"),
    path(f"{_MY}answer/<int:number>/", wallet.answer, name="answer"),
    path(f"{_MY}looks/<int:number>/back/", wallet.take_back, name="take_back"),
    path(f"{_MY}copies/<str:digest>/", wallet.copy_file, name="copy_file"),
    path(f"{_MY}copies/<str:digest>/withdraw/", wallet.withdraw, name="withdraw"),
    path(f"{_MY}<str:identifier>/", wallet.detail, name="held"),
    path(f"{_MY}<str:identifier>/show/", wallet.show, name="show"),
    path(f"{_MY}<str:identifier>/asked/", wallet.asked, name="question"),
    path(f"{_MY}<str:identifier>/give/", wallet.give, name="give"),
    path(f"{_MY}<str:identifier>/copy/", wallet.copy, name="copy"),
    path(f"{_MY}<str:identifier>/file/", wallet.file, name="file"),
    path(f"{_MY}<str:identifier>/ofd/", wallet.ofd, name="ofd"),
    path(f"{_MY}<str:identifier>/credential/", wallet.credential, name="credential"),
    path("show/", verify.scan, name="scan"),
    path("verify/", verify.home, name="verify"),
    path("verify/check_licence.py", verify.script, name="script"),
    path("verify/offline/", verify.offline, name="offline"),
    path("verify/offline.html", verify.offline_file, name="offline_file"),
    path("verify/given/<str:code>/", verify.given, name="given"),
    path("verify/<str:code>/", verify.by_code, name="verify_code"),
    path("api/verify/", verify.interface, name="interface"),
    path("licences/status/<int:number>", verify.status_list, name="status"),
    path("licences/types/<slug:name>", verify.kind, name="type"),
    path(".well-known/jwt-vc-issuer", verify.issuer, name="issuer"),
]
