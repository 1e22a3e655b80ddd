"""A Django project in one file: sync and async views, a form behind CSRF, uploads, streams. No database, no static files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from probe import Probe

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.gzip.GZipMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests only",
    # Uploads above this go to a file, below it into memory: the tests send both.
    FILE_UPLOAD_MAX_MEMORY_SIZE=65536,
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    LOGGING_CONFIG=None,
)
django.setup()


def sync_view(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"view": "sync", "q": request.GET.get("q"), "method": request.method})


async def async_view(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return JsonResponse({"view": "async", "q": request.GET.get("q"), "method": request.method})


def form(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return JsonResponse({"name": request.POST["name"]})
    return HttpResponse(get_token(request), content_type="text/plain")


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in file.chunks():
        digest.update(piece)
    return JsonResponse({"name": file.name, "size": file.size, "sha256": digest.hexdigest(), "note": request.POST["note"]})


@csrf_exempt
async def body(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, content_type="application/octet-stream")


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number
            await asyncio.sleep(0)

    return StreamingHttpResponse(lines(), content_type="text/plain")


def sync_stream(request: HttpRequest) -> StreamingHttpResponse:
    def lines() -> Iterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number

    return StreamingHttpResponse(lines(), content_type="text/plain")


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


def headers(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({name: value for name, value in request.headers.items() if name.startswith("X-")})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


urlpatterns = [
    path("sync", sync_view),
    path("async", async_view),
    path("form", form),
    path("upload", upload),
    path("body", body),
    path("async-stream", async_stream),
    path("sync-stream", sync_stream),
    path("broken", broken),
    path("headers", headers),
]
app = Probe(get_asgi_application())
