"""Addresses of proactive service and of policies for firms."""

from django.urls import path

from .views import desk, own, policies

app_name = "offers"
_MY, _W, _P = "my/offers/", "workbench/offers/", "workbench/policies/"
urlpatterns = [
    path(_MY, own.home, name="mine"),
    path(f"{_MY}switch/", own.switch, name="switch"),
    path(f"{_MY}<int:number>/open/", own.go, name="go"),
    path(f"{_MY}<int:number>/dismiss/", own.dismiss, name="dismiss"),
    path("policies/", policies.public_list, name="public"),
    path("my/policies/", policies.mine, name="own_policies"),
    path("my/policies/wrong/<slug:fact>/", policies.wrong, name="wrong"),
    path("my/policies/<slug:code>/claim/", policies.claim, name="claim"),
    path(_W, desk.rules, name="rules"),
    path(f"{_W}cases/<str:code>/", desk.case, name="case"),
    path(f"{_W}rules/<slug:code>/", desk.rule, name="rule"),
    path(f"{_W}rules/<slug:code>/stop/", desk.stop, name="stop"),
    path(_P, desk.policies, name="policies"),
    path(f"{_P}<slug:code>/", desk.policy, name="policy"),
]
