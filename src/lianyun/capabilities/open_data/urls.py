"""Addresses of open data."""

from django.urls import path

from .views import api, desk, files, site

app_name = "open_data"
_SITE = "open/"
_API = "open/api/"
_DESK = "workbench/open/"
urlpatterns = [
    path(_SITE, site.home, name="home"),
    path(f"{_SITE}datasets/", site.datasets, name="datasets"),
    path(f"{_SITE}datasets/<slug:name>/", site.dataset, name="dataset"),
    path(f"{_SITE}datasets/<slug:name>/rate/", site.rate, name="rate"),
    path(f"{_SITE}datasets/<slug:name>/correct/", site.correct, name="correct"),
    path(f"{_SITE}datasets/<slug:name>/apply/", site.apply, name="apply"),
    path(f"{_SITE}datasets/<slug:name>/datapackage.json", files.package, name="package"),
    path(f"{_SITE}datasets/<slug:name>/dcat.jsonld", files.dataset_dcat, {"kind": "jsonld"}),
    path(f"{_SITE}datasets/<slug:name>/dcat.ttl", files.dataset_dcat, {"kind": "ttl"}),
    path(f"{_SITE}datasets/<slug:name>/<slug:file>.<slug:kind>", files.download, name="download"),
    path(f"{_SITE}requests/", site.requests, name="requests"),
    path(f"{_SITE}requests/new/", site.ask_for, name="ask"),
    path(f"{_SITE}answers/<slug:code>/", site.voice, name="voice"),
    path(f"{_SITE}applications/", site.applications, name="applications"),
    path(f"{_SITE}applications/new/", site.submit, name="submit"),
    path(f"{_SITE}keys/", site.keys, name="keys"),
    path(f"{_SITE}developers/", site.developers, name="developers"),
    path(f"{_SITE}help/", site.guide, name="help"),
    path(f"{_SITE}catalog.jsonld", files.catalogue_jsonld, name="jsonld"),
    path(f"{_SITE}catalog.ttl", files.catalogue_turtle, name="turtle"),
    path(f"{_SITE}feed.atom", files.feed, {"kind": "atom"}, name="atom"),
    path(f"{_SITE}feed.rss", files.feed, {"kind": "rss"}, name="rss"),
    path(_API, api.index, name="api"),
    path(f"{_API}openapi.json", api.openapi, name="openapi"),
    path(f"{_API}datasets", api.datasets, name="api_datasets"),
    path(f"{_API}datasets/<str:name>", api.dataset, name="api_dataset"),
    path(f"{_API}datasets/<str:name>/rows", api.rows, name="api_rows"),
    path(f"{_API}3/action/<str:name>", api.ckan, name="ckan"),
    path(f"{_API}action/<str:name>", api.ckan),
    path("sitemap.xml", files.sitemap, name="sitemap"),
    path("robots.txt", files.robots, name="robots"),
    path(_DESK, desk.desk, name="desk"),
    path(f"{_DESK}new/", desk.candidates, name="candidates"),
    path(f"{_DESK}new/<slug:name>/", desk.propose, name="propose"),
    path(f"{_DESK}sets/<slug:name>/", desk.opening, name="opening"),
    path(f"{_DESK}sets/<slug:name>/close/", desk.close, name="close"),
    path(f"{_DESK}items/<int:number>/", desk.work, name="work"),
    path(f"{_DESK}voices/", desk.voices, name="voices"),
    path(f"{_DESK}voices/<slug:code>/", desk.voice, name="voice_desk"),
    path(f"{_DESK}cases/<str:code>/", desk.case, name="case"),
]
