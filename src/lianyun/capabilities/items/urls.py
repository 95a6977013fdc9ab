"""Addresses of items: the public hall and the officers' desk."""

from django.urls import path

from .views import desk, imports, public

app_name = "items"
_HALL, _DESK = "hall/", "workbench/items/"
urlpatterns = [
    path(_HALL, public.hall, name="hall"),
    path(f"{_HALL}search/", public.search, name="search"),
    path(f"{_HALL}departments/", public.departments, name="departments"),
    path(f"{_HALL}departments/<slug:slug>/", public.storefront, name="storefront"),
    path(f"{_HALL}places/", public.places, name="places"),
    path(f"{_HALL}items/<slug:code>/", public.item, name="item"),
    path(f"{_HALL}items/<slug:code>/notice/", public.notice, name="notice"),
    path(_DESK, desk.listing, name="list"),
    path(f"{_DESK}new/", desk.new, name="new"),
    path(f"{_DESK}export.xlsx", desk.export, name="export"),
    path(f"{_DESK}review/", desk.reviews, name="desk"),
    path(f"{_DESK}review/<int:number>/", desk.review, name="review"),
    path(f"{_DESK}cases/<str:code>/", desk.case, name="case"),
    path(f"{_DESK}import/", imports.import_page, name="import"),
    path(f"{_DESK}import/template.xlsx", imports.template, name="template"),
    path(f"{_DESK}import/<str:code>/", imports.detail, name="import_detail"),
    path(f"{_DESK}import/<str:code>/progress/", imports.progress, name="import_progress"),
    path(f"{_DESK}<slug:code>/", desk.detail, name="detail"),
    path(f"{_DESK}<slug:code>/edit/", desk.edit, name="edit"),
    path(f"{_DESK}<slug:code>/submit/", desk.submit, name="submit"),
    path(f"{_DESK}<slug:code>/discard/", desk.discard, name="discard"),
    path(f"{_DESK}<slug:code>/retire/", desk.retire, name="retire"),
    path(f"{_DESK}<slug:code>/resume/", desk.resume, name="resume"),
]
