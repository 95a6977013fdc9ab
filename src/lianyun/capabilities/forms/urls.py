"""Addresses of forms."""

from django.urls import path

from . import views

app_name = "forms"
urlpatterns = [
    path("forms/<str:code>/", views.begin, name="begin"),
    path("forms/<str:code>/check/", views.check, name="check"),
    path("forms/<str:code>/files/<str:file>/", views.file, name="file"),
    path("forms/<str:code>/<slug:part>/", views.part, name="part"),
]
