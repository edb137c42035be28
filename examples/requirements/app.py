"""An app with a dependency: requirements.txt is installed when it is deployed, once."""

import cowsay


def handle(request):
    said = request.query.get("say", "What you require is here.")
    return cowsay.get_output_string("cow", said) + "\n"
