"""Echoes WebSocket messages: an ASGI callable of both protocols."""

PAGE = b"""<!doctype html>
<title>Echo</title>
<input id="text" placeholder="Say something" autofocus>
<pre id="log"></pre>
<script>
  const socket = new WebSocket(location.href.replace("http", "ws"));
  socket.onmessage = event => log.textContent += event.data + "\\n";
  text.onchange = () => { socket.send(text.value); text.value = ""; };
</script>
"""


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})
    else:
        raise NotImplementedError(scope["type"])


async def echo(receive, send):
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            kept = {k: v for k, v in message.items() if k in ("text", "bytes") and v is not None}
            await send({"type": "websocket.send", **kept})
        else:
            return
