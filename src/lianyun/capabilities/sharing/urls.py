"""Addresses of sharing."""

from django.urls import path

from . import views
from .views import basket, home, matters, needs, own, reports

app_name = "sharing"
_BASE = "workbench/sharing/"
urlpatterns = [
    path(_BASE, views.listing, name="list"),
    path(f"{_BASE}home/", home.home, name="home"),
    path(f"{_BASE}desk/", views.desk, name="desk"),
    path(f"{_BASE}new/", views.choose, name="choose"),
    path(f"{_BASE}new/<slug:name>/", views.new, name="new"),
    path(f"{_BASE}cases/<str:code>/", views.case, name="case"),
    path(f"{_BASE}matters/", matters.listing, name="matters"),
    path(f"{_BASE}matters/<str:code>/", matters.matter, name="matter"),
    path(f"{_BASE}basket/", basket.basket, name="basket"),
    path(f"{_BASE}basket-many/", basket.put_many, name="put_many"),
    path(f"{_BASE}basket/<slug:name>/", basket.put, name="put"),
    path(f"{_BASE}needs/", needs.needs, name="needs"),
    path(f"{_BASE}needs/new/", needs.new_need, name="new_need"),
    path(f"{_BASE}needs/similar/", needs.similar, name="similar"),
    path(f"{_BASE}returns/", needs.returns, name="returns"),
    path(f"{_BASE}returns/new/", needs.new_return, name="new_return"),
    path(f"{_BASE}disputes/<slug:kind>/<str:code>/", needs.dispute, name="dispute"),
    path(f"{_BASE}steps/<int:number>/", views.step, name="step"),
    path(f"{_BASE}cases/<str:code>/extension/", views.extension, name="extension"),
    path(f"{_BASE}cases/<str:code>/secret/", views.secret, name="secret"),
    path(f"{_BASE}grants/", views.grants, name="grants"),
    path(f"{_BASE}grants/<str:code>/", views.grant, name="grant"),
    path(f"{_BASE}grants/<str:code>/use/", home.use, name="use"),
    path(f"{_BASE}grants/<str:code>/misuse/", views.misuse, name="misuse"),
    path(f"{_BASE}grants/<str:code>/<str:verb>/", views.change_grant, name="change_grant"),
    path(f"{_BASE}clocks/", reports.clock_report, name="clock_report"),
    path(f"{_BASE}clocks/<str:code>/", reports.clock_case, name="clock_case"),
    path(f"{_BASE}yearly/", reports.yearly, name="yearly"),
    path(f"{_BASE}yearly/list/", reports.yearly_list, name="yearly_list"),
    path(f"{_BASE}ranking/", reports.ranking, name="ranking"),
    path(f"{_BASE}overlaps/", reports.overlaps, name="overlaps"),
    path(f"{_BASE}overlaps/<int:number>/", reports.overlap, name="overlap"),
    path(f"{_BASE}overlaps/<int:number>/decide/", reports.decide, name="decide_overlap"),
    path("my-data/", own.own, name="own"),
    path("my-data/rows/", own.rows, name="own_rows"),
    path("my-data/report/", own.report, name="own_report"),
    path(f"{_BASE}overview/", views.overview, name="overview"),
]
