"""The smallest app: an ASGI callable."""

import os

GREETING = os.environ.get("GREETING", "Hello from Hearth!")


async def app(scope, receive, send):
    assert scope["type"] == "http"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{GREETING}\n".encode()})
