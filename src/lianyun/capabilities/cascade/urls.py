"""Addresses of cascade."""

from django.urls import path

from . import rules
from .views import entries, node_api, nodes, requests, transfers

app_name = "cascade"
_BASE = "workbench/cascade/"
_API = rules.BASE.removeprefix("/")
urlpatterns = [
    path(_BASE, nodes.home, name="home"),
    path(f"{_BASE}identity/", nodes.identity, name="identity"),
    path(f"{_BASE}invite/", nodes.invite, name="invite"),
    path(f"{_BASE}join/", nodes.join, name="join"),
    path(f"{_BASE}links/<str:code>/", nodes.link, name="link"),
    path(f"{_BASE}links/<str:code>/<str:verb>/", nodes.change_link, name="change_link"),
    path(f"{_BASE}messages/<int:number>/<str:verb>/", nodes.change_message, name="message"),
    path(f"{_BASE}offers/", requests.offers, name="offers"),
    path(f"{_BASE}offers/<int:number>/", requests.offer, name="offer"),
    path(f"{_BASE}requests/", requests.requests, name="list"),
    path(f"{_BASE}cases/<str:code>/", requests.case, name="case"),
    path(f"{_BASE}cases/<str:code>/withdraw/", requests.withdraw, name="withdraw"),
    path(f"{_BASE}steps/<int:number>/", requests.step, name="step"),
    path(f"{_BASE}entries/", entries.entries, name="entries"),
    path(f"{_BASE}entries/<int:number>/", entries.entry, name="entry"),
    path(f"{_BASE}transfers/", transfers.transfers, name="transfers"),
    path(f"{_BASE}transfers/<str:code>/", transfers.transfer, name="transfer"),
    path(f"{_BASE}transfers/<str:code>/progress/", transfers.progress, name="progress"),
    path(f"{_BASE}upload/", transfers.upload, name="upload"),
    path(f"{_BASE}flows/<int:number>/<str:verb>/", transfers.change_flow, name="change_flow"),
    path(f"{_API}node", node_api.greet, name="greet"),
    path(f"{_API}enrol", node_api.enrol, name="enrol"),
    path(f"{_API}exchange", node_api.exchange, name="exchange"),
    path(f"{_API}transfers/<str:code>", node_api.transfer, name="api_transfer"),
    path(f"{_API}transfers/<str:code>/chunks/<int:number>", node_api.chunk, name="api_chunk"),
    path(f"{_API}openapi.json", node_api.openapi, name="openapi"),
]
