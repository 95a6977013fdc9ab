"""Addresses of the login."""

from django.urls import path

from .views import directories, mine, national, provider, scim, systems

app_name = "login"
_BASE = "workbench/login/"
urlpatterns = [
    path(".well-known/openid-configuration", provider.discovery, name="discovery"),
    path(".well-known/oauth-authorization-server", provider.discovery, name="metadata"),
    path("oidc/jwks.json", provider.jwks, name="jwks"),
    path("oidc/authorize", provider.authorize, name="authorize"),
    path("oidc/consent", provider.consent, name="consent"),
    path("oidc/again", provider.again, name="again"),
    path("oidc/onward", provider.onward, name="onward"),
    path("oidc/token", provider.token, name="token"),
    path("oidc/revoke", provider.revoke, name="revoke"),
    path("oidc/introspect", provider.introspect, name="introspect"),
    path("oidc/userinfo", provider.userinfo, name="userinfo"),
    path("oidc/logout", provider.end_session, name="end_session"),
    path("oidc/leave", provider.leave, name="leave"),
    path("login/national/", national.national, name="national"),
    path("login/national/back/", national.national_back, name="national_back"),
    path("scim/v2", scim.scim, name="scim_root"),
    path("scim/v2/<path:path>", scim.scim, name="scim"),
    path("my/authorizations/", mine.authorizations, name="mine"),
    path(f"{_BASE}systems/", systems.listing, name="systems"),
    path(f"{_BASE}systems/new/", systems.new, name="new"),
    path(f"{_BASE}systems/<slug:client_id>/", systems.detail, name="system"),
    path(f"{_BASE}systems/<slug:client_id>/<slug:verb>/", systems.change, name="change"),
    path(f"{_BASE}directories/", directories.directories, name="directories"),
    path(f"{_BASE}keys/", systems.keys, name="keys"),
]
