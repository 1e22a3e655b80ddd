"""Django with Channels: async and sync consumers, groups over the in-memory layer, origins, sessions in signed cookies."""

from __future__ import annotations

from typing import Any

import django
from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from channels.sessions import SessionMiddlewareStack
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, re_path
from probe import Probe

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    DEBUG=False,
    INSTALLED_APPS=["channels"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests only",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
django.setup()

#: Codes with which consumers were left, by path.
left: list[list[Any]] = []


class Room(AsyncJsonWebsocketConsumer):
    """A group for each room."""

    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        if self.room == "closed":
            raise DenyConnection
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept("json" if "json" in self.scope["subprotocols"] else None)

    async def receive_json(self, content: Any, **options: Any) -> None:
        if content == "leave":
            await self.close(code=4003, reason="as you say")
            return
        await self.channel_layer.group_send(self.room, {"type": "said", "content": content})

    async def said(self, event: Any) -> None:
        await self.send_json(event["content"])

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        left.append([self.room, code])


class Threaded(WebsocketConsumer):
    """A sync consumer: each event in a thread."""

    def connect(self) -> None:
        visits = self.scope["session"].get("visits", 0)
        self.accept()
        self.send(text_data=f"visits: {visits}")

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data=text_data, bytes_data=bytes_data)

    def disconnect(self, code: int) -> None:
        left.append(["threaded", code])


class Bug(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        raise ZeroDivisionError("on purpose")


def visit(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse("hello")


def told(request: HttpRequest) -> HttpResponse:
    return JsonResponse(left, safe=False)


urlpatterns = [path("", visit), path("told", told)]
sockets = URLRouter(
    [
        re_path(r"^rooms/(?P<room>\w+)/$", Room.as_asgi()),
        path("threaded", Threaded.as_asgi()),
        path("bug", Bug.as_asgi()),
    ]
)
app = Probe(
    ProtocolTypeRouter(
        {
            "http": get_asgi_application(),
            "websocket": OriginValidator(SessionMiddlewareStack(sockets), ["http://good.example"]),
        }
    )
)
