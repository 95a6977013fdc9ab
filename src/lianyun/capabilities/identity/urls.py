"""Addresses of identity."""

from django.urls import path

from .views import acting, counter, entry, officers, own, persons, proofs

app_name = "identity"
urlpatterns = [
    path("login/", entry.login_page, name="login"),
    path("login/second/", entry.second, name="second"),
    path("login/entered/", entry.entered, name="entered"),
    path("logout/", entry.logout_page, name="logout"),
    path("login/forgotten/", persons.forgotten, name="forgotten"),
    path("register/", persons.register, name="register"),
    path("my/identity/", persons.mine, name="mine"),
    path("my/identity/prove/", persons.prove, name="prove"),
    path("my/identity/phone/", persons.phone, name="phone"),
    path("my/identity/mail/", proofs.mail, name="mail"),
    path("my/identity/face/", proofs.face, name="face"),
    path("my/identity/certificate/", proofs.certificate, name="certificate"),
    path("my/identity/erase/", persons.erase, name="erase"),
    path("my/agencies/", persons.agencies, name="agencies"),
    path("my/acting/", acting.acting, name="acting"),
    path("workbench/account/", own.own_account, name="account"),
    path("workbench/account/password/", own.password, name="password"),
    path("workbench/account/anew/", own.enter_anew, name="enter_anew"),
    path("workbench/account/seats/end/", own.end_seats, name="end_own_seats"),
    path("workbench/account/devices/", own.judge_device, name="judge_device"),
    path("workbench/account/post/", own.choose_post, name="choose_post"),
    path("workbench/account/factors/", own.factors, name="factors"),
    path("workbench/account/factors/totp/", own.add_totp, name="add_totp"),
    path("workbench/account/factors/key/", own.add_key, name="add_key"),
    path("workbench/counter/identity/", counter.counter, name="counter"),
    path("workbench/accounts/", officers.accounts, name="accounts"),
    path("workbench/accounts/new/", officers.create, name="create"),
    path("workbench/accounts/<str:username>/", officers.detail, name="detail"),
    path("workbench/accounts/<str:username>/roles/", officers.change_roles, name="roles"),
    path("workbench/accounts/<str:username>/cover/", officers.cover, name="cover"),
    path("workbench/accounts/<str:username>/standing/", officers.change_standing, name="standing"),
    path("workbench/security/accounts/", officers.secure, name="secure"),
    path("workbench/security/policy/", officers.policy, name="policy"),
]
