"""Addresses of identity."""

from django.urls import path

from . import views

app_name = "identity"
urlpatterns = [
    path("login/", views.login_page, name="login"),
    path("logout/", views.logout_page, name="logout"),
    path("workbench/account/", views.own_account, name="account"),
    path("workbench/account/password/", views.password, name="password"),
    path("workbench/account/seats/end/", views.end_seats, name="end_own_seats"),
    path("workbench/account/post/", views.choose_post, name="choose_post"),
    path("workbench/accounts/", views.accounts, name="accounts"),
    path("workbench/accounts/new/", views.create, name="create"),
    path("workbench/accounts/<str:username>/", views.detail, name="detail"),
    path("workbench/accounts/<str:username>/roles/", views.change_roles, name="roles"),
    path("workbench/accounts/<str:username>/standing/", views.change_standing, name="standing"),
    path("workbench/security/accounts/", views.secure, name="secure"),
]
