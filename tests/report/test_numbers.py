"""Numbers as text."""

import pytest

from unetpp.report.numbers import bytes_text, count_text, duration_text, percent, score, significant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (count_text(9_041_601), "9.04 M"),
        (count_text(512), "512"),
        (count_text(None), "–"),
        (bytes_text(5 * 2**20), "5 MiB"),
        (bytes_text(12), "12 B"),
        (duration_text(3 * 3600 + 125), "3 h 02 min"),
        (duration_text(200), "3 min 20 s"),
        (duration_text(4.21), "4.2 s"),
        (duration_text(0.0123), "12.3 ms"),
        (percent(0.1234), "12.3 %"),
        (score(0.98765), "0.988"),
        (score(None), "–"),
        (significant(0.00012345), "0.0001234"),
        (significant([1, 2]), "[1, 2]"),
        (significant(None), "null"),
        (significant("pp"), "pp"),
    ],
)
def test_text_of_number_is_short_and_has_its_unit(text, expected):
    assert text == expected
