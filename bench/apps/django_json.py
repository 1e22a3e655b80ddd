"""A Django project in one file, with one JSON view and no middleware."""

from __future__ import annotations

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="of no use here", MIDDLEWARE=[])


async def index(request: HttpRequest) -> HttpResponse:
    """Answer with a small object; the bytes are those of the other applications."""
    return HttpResponse(b'{"message":"Hello, World!"}', content_type="application/json")


urlpatterns = [path("", index)]
app = get_asgi_application()
