"""Settings: how the house is wired, read from LIANYUN_* variables and the folders themselves."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lianyun.kernel.secret import key_file
from lianyun.project import postgres

PACKAGE = Path(__file__).resolve().parent.parent
ROOT = PACKAGE.parent.parent
HOME = postgres.home()
TESTING = os.environ.get("LIANYUN_TESTING") == "1"
HTTPS = os.environ.get("LIANYUN_HTTPS") == "1"
DEBUG = False


def _secret_key() -> str:
    """The installation's key: made at the first start, readable by its owner only."""
    return (
        key_file(HOME / "secret.key", lambda: secrets.token_urlsafe(64).encode()).decode().strip()
    )


def _database(url: str) -> dict[str, Any]:
    """A libpq URL as Django's dictionary; unknown query keys become libpq options."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "lianyun.project.database",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or query.pop("port", "")),
        "CONN_MAX_AGE": 0 if TESTING else 300,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": query,
    }


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = [
    *os.environ.get("LIANYUN_HOSTS", "127.0.0.1,localhost,[::1]").split(","),
    *(["testserver"] if TESTING else []),
]

# ---- state -------------------------------------------------------------------------------

DATABASE_URL = postgres.database_url(HOME)
DATABASES = {"default": _database(DATABASE_URL)}
# The lake keeps its catalogue in the same PostgreSQL, its rows in a folder or an S3 bucket.
LAKE_CATALOGUE_URL = os.environ.get("LIANYUN_LAKE_CATALOGUE") or DATABASE_URL
LAKE = os.environ.get("LIANYUN_LAKE") or str(HOME / "lake")
ENGINE = os.environ.get("LIANYUN_ENGINE") or "duckdb"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- rooms -------------------------------------------------------------------------------

CAPABILITIES = sorted(
    folder.name
    for folder in (PACKAGE / "capabilities").iterdir()
    if (folder / "models.py").exists()
    or (folder / "models").is_dir()
    or (folder / "manifest.yaml").exists()
)

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_cotton",
    "procrastinate.contrib.django",
    "lianyun.kernel",
    "lianyun.ui",
    *(f"lianyun.capabilities.{name}" for name in CAPABILITIES),
]

AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = ["lianyun.project.sessions.Known"]
SESSION_ENGINE = "lianyun.project.sessions"
PASSWORD_HASHERS = (
    ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if TESTING
    else [
        "lianyun.project.passwords.Passwords",
        "django.contrib.auth.hashers.Argon2PasswordHasher",
    ]
)
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/workbench/"
LOGOUT_REDIRECT_URL = "/"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "lianyun.capabilities.identity.views.Guard",
    "lianyun.ui.middleware.Shell",
]

ROOT_URLCONF = "lianyun.project.urls"
WSGI_APPLICATION = "lianyun.project.asgi.django_application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django_cotton.cotton_loader.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": ["django_cotton.templatetags.cotton"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "lianyun.ui.context.shell",
                "lianyun.capabilities.messages.views.own.header",
            ],
        },
    }
]

# ---- language and time -------------------------------------------------------------------

LANGUAGE_CODE = "zh-hans"
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True
USE_I18N = True

# ---- files -------------------------------------------------------------------------------

STATIC_URL = "/static/"
VENDOR = Path(
    os.environ.get("LIANYUN_VENDOR")
    or (ROOT / ".vendor" if (ROOT / "package-lock.json").exists() else HOME / "vendor")
)
STATICFILES_DIRS = [("vendor", VENDOR)] if VENDOR.is_dir() else []
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "django.contrib.staticfiles.finders.FileSystemFinder",
]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = TESTING or os.environ.get("LIANYUN_AUTORELOAD") == "1"
WHITENOISE_MAX_AGE = 0 if WHITENOISE_AUTOREFRESH else 3600
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_TEMP_DIR = None

# ---- safety ------------------------------------------------------------------------------

SESSION_COOKIE_NAME = "lianyun_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 8 * 60 * 60
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

# ---- proof (docs/guides/proof.md) ---------------------------------------------------------

PROOF_DIGEST = os.environ.get("LIANYUN_PROOF_DIGEST") or "sha256"  # or sm3
PROOF_SIGNATURES = (
    os.environ.get("LIANYUN_PROOF_SIGNATURES") or "ecdsa-p256-sha256,sm2-sm3"
).split(",")
PROOF_SEAL_SECONDS = float(os.environ.get("LIANYUN_PROOF_SEAL_SECONDS") or 5)
# So long are exchanges accepted that cannot be signed or time-stamped; then they are refused.
PROOF_GRACE_MINUTES = float(os.environ.get("LIANYUN_PROOF_GRACE_MINUTES") or 10)
# An outside time-stamping authority (RFC 3161) and the PEM file of the roots it may lead to;
# without one the installation stamps by its own clock.
TIME_STAMP_URL = os.environ.get("LIANYUN_TIME_STAMP_URL") or ""
TIME_STAMP_ROOTS = os.environ.get("LIANYUN_TIME_STAMP_ROOTS") or ""
TIME_STAMP_SECONDS = 5.0
# Proxies (CIDR) whose X-Forwarded-For and Client-Cert (RFC 9440) are believed.
TRUSTED_PROXIES = [
    part for part in (os.environ.get("LIANYUN_TRUSTED_PROXIES") or "").split(",") if part
]
# Where departments' systems show their certificates, as the proxy serves it (docs/guides/mutual-tls.md).
MUTUAL_TLS = (os.environ.get("LIANYUN_MUTUAL_TLS") or "").rstrip("/")

# ---- seals (docs/guides/seals.md) ----------------------------------------------------------

SEAL_ALGORITHM = os.environ.get("LIANYUN_SEAL_ALGORITHM") or "ecdsa-p256-sha256"  # or sm2-sm3
# How secrets are written at rest: aes-256-gcm or sm4-gcm; what the other wrote stays readable.
VAULT_CIPHER = os.environ.get("LIANYUN_VAULT_CIPHER") or "aes-256-gcm"
# Where seals' keys live: software (encrypted under HOME/vault.key) or pkcs11 (a token).
SEAL_STORE = os.environ.get("LIANYUN_SEAL_STORE") or "software"
PKCS11_MODULE = os.environ.get("LIANYUN_PKCS11_MODULE") or ""
PKCS11_TOKEN = os.environ.get("LIANYUN_PKCS11_TOKEN") or ""
PKCS11_PIN_FILE = os.environ.get("LIANYUN_PKCS11_PIN_FILE") or ""
# The address (https://…) that certificates name for lists and status; empty: they name none.
SEALS_ADDRESS = os.environ.get("LIANYUN_SEALS_ADDRESS") or ""

# ---- identity (docs/guides/identity.md) ---------------------------------------------------

# The access policy of packs/core/access.yaml, where the installation has not chosen one itself.
ACCESS_POLICY = os.environ.get("LIANYUN_ACCESS_POLICY") or "standard"
# The city's gateway for texts to telephones: POST of {"phone", "text", "at"} as JSON.
TEXT_GATEWAY_URL = os.environ.get("LIANYUN_TEXT_GATEWAY_URL") or ""
TEXT_GATEWAY_TOKEN = os.environ.get("LIANYUN_TEXT_GATEWAY_TOKEN") or ""
# The city's service that compares a document and a face (docs/guides/identity.md).
FACE_URL = os.environ.get("LIANYUN_FACE_URL") or ""
FACE_TOKEN = os.environ.get("LIANYUN_FACE_TOKEN") or ""
# The city's mail server; without one nothing is sent.
EMAIL_HOST = os.environ.get("LIANYUN_MAIL_HOST") or ""
EMAIL_PORT = int(os.environ.get("LIANYUN_MAIL_PORT") or 25)
EMAIL_HOST_USER = os.environ.get("LIANYUN_MAIL_USER") or ""
EMAIL_HOST_PASSWORD = os.environ.get("LIANYUN_MAIL_PASSWORD") or ""
EMAIL_USE_TLS = os.environ.get("LIANYUN_MAIL_SECURITY") == "starttls"
EMAIL_USE_SSL = os.environ.get("LIANYUN_MAIL_SECURITY") == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("LIANYUN_MAIL_FROM") or "lianyun@localhost"
# The national platform as an OpenID provider (docs/guides/login.md); empty: nobody comes from there.
NATIONAL_ISSUER = (os.environ.get("LIANYUN_NATIONAL_ISSUER") or "").rstrip("/")
NATIONAL_CLIENT_ID = os.environ.get("LIANYUN_NATIONAL_CLIENT_ID") or ""
NATIONAL_CLIENT_SECRET = os.environ.get("LIANYUN_NATIONAL_CLIENT_SECRET") or ""

# ---- jobs and logs -----------------------------------------------------------------------

PROCRASTINATE_IMPORT_PATHS = ["lianyun.project.worker"]
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = ""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"masked": {"()": "lianyun.project.logs.Masked"}},
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["masked"],
        },
    },
    "root": {
        "handlers": ["stderr"],
        "level": os.environ.get("LIANYUN_LOG_LEVEL", "WARNING"),
    },
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
    },
}
