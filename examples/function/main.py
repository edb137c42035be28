"""A function of one request, which returns a body, or a body with a status and headers."""


def handle(request):
    if request.method == "POST":
        try:
            return {"length": len(request.json())}
        except ValueError as error:
            return f"the body is not JSON: {error}\n", 400
    return {"method": request.method, "path": request.path, "query": dict(request.query)}
