"""The config maps that a platform has from the start: empty, but for what could be in them.

Knative's own come with a key ``_example`` and its checksum in an annotation, by which a write is
refused that edits the example and not the settings.

Source: knative.dev/pkg configmap/example.go.
"""

from __future__ import annotations

import re
import textwrap
import zlib
from collections.abc import Iterator

from hearth.api.config.keys import EXAMPLE, KEYS, Key
from hearth.api.meta import Wire
from hearth.api.names import KNATIVE_NAMESPACE

CHECKSUM_ANNOTATION = "knative.dev/example-checksum"
_WIDTH = 76
_HEAD = """\
# Nothing in this block is in force. Copy what you want to change one level up, beside _example.
# Keys have the values that hold without them, where there are such values.
"""
_DOMAINS = """
# Without a selector: the domain of all Routes that have none of their own.
example.com: |

# With one: the domain of Routes with that label.
example.org: |
  selector:
    app: nonprofit
"""


def initial_config_maps() -> list[Wire]:
    """All of them."""
    bodies = {name: _body(keys) for name, keys in KEYS.items()} | {"config-domain": _DOMAINS}
    return [_config_map(name, _HEAD + body) for name, body in sorted(bodies.items())]


def checksum(example: str) -> str:
    """What the annotation must say of an example: new lines and what is around it do not count."""
    normal = re.sub(r"(?:\r?\n)+", r"\\n", example.strip())
    return f"{zlib.crc32(normal.encode()):08x}"


def _config_map(name: str, example: str) -> Wire:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": KNATIVE_NAMESPACE,
            "labels": {"app.kubernetes.io/name": "knative-serving"},
            "annotations": {CHECKSUM_ANNOTATION: checksum(example)},
        },
        "data": {EXAMPLE: example},
    }


def _body(keys: tuple[Key, ...]) -> str:
    return "".join(_entries(keys))


def _entries(keys: tuple[Key, ...]) -> Iterator[str]:
    before = ""
    for key in keys:
        says = f"{key.says[0].upper()}{key.says[1:]}."
        if key.idle:
            says += f" No effect here: {key.idle}."
        if says != before:  # keys that say the same stand together
            wrapped = textwrap.wrap(says, _WIDTH, initial_indent="# ", subsequent_indent="# ")
            yield "\n" + "\n".join(wrapped) + "\n"
        before = says
        yield f'{key.name}: "{key.default}"\n'
