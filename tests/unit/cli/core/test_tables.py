import pytest

from hearth.cli.core.tables import first_line, format_bytes, format_fields, format_table


def test_columns_are_aligned_and_lines_have_no_trailing_blanks():
    text = format_table(("NAME", "READY"), [("a", "True"), ("longer", None)])
    assert text == "NAME     READY\na        True\nlonger"


def test_without_rows_there_are_headings():
    assert format_table(("NAME", "READY"), []) == "NAME   READY"


def test_values_of_several_lines_stay_in_their_column():
    assert format_fields([("A", 1), ("Long", "x\ny")]) == "A:      1\nLong:   x\n        y"
    assert format_fields([]) == ""


@pytest.mark.parametrize(
    ("count", "want"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (4300, "4.2 KiB"),
        (250 * 2**20, "250 MiB"),
        (2**31, "2.0 GiB"),
        (2**44, "16384 GiB"),
    ],
)
def test_sizes(count, want):
    assert format_bytes(count) == want


@pytest.mark.parametrize(
    ("message", "shown"), [("one\ntwo", "one"), ("one", "one"), (None, "")], ids=repr
)
def test_a_table_shows_the_first_line_of_a_message(message, shown):
    assert first_line({"message": message}) == shown
