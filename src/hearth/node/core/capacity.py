"""What a node has of resources that the machine does not tell of: pure."""

from __future__ import annotations

from hearth.api.quantities import parse_quantity


def parse_resources(text: str) -> dict[str, str]:
    """Read ``NAME=AMOUNT,…``, such as ``nvidia.com/gpu=2``.

    Raises:
        ValueError: names the part that is none, or a resource that the machine tells of itself.
    """
    found = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, amount = part.partition("=")
        if "/" not in name or not amount:
            said = "expected DOMAIN/NAME=AMOUNT, such as nvidia.com/gpu=2"
            raise ValueError(f"node_resources: found {part!r}, {said}")
        if parse_quantity(amount) != int(parse_quantity(amount)):
            raise ValueError(f"node_resources: found {part!r}, expected a whole number")
        found[name] = amount
    return found
