from decimal import Decimal

import pytest

from hearth.api.quantities import parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", "0.1"), ("1.5", "1.5"), ("64Mi", str(64 * 2**20)), ("2k", "2000"), ("2e3", "2000"),
     ("1E", "1e18"), (".5Gi", str(2**29)), ("+3", "3"), ("5n", "5e-9")],
)  # fmt: skip
def test_quantities_are_exact(text, value):
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "many", "1 Gi", "1mi", "--1"])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
