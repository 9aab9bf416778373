"""Windows of time, as people write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.components.monitoring.windows.window import Window
from penstock.core.errors import ConfigError

NOW = datetime(2026, 11, 30, 12, 0, 0, 500, tzinfo=UTC)


def test_a_window_ends_now_or_where_it_is_said() -> None:
    assert Window.of("1d", now=NOW) == Window(datetime(2026, 11, 29, 12, tzinfo=UTC), NOW.replace(microsecond=0))
    midnight = datetime(2026, 11, 30, tzinfo=UTC)
    assert Window.of("6h", begin="2026-11-30", now=NOW) == Window(midnight, midnight + timedelta(hours=6))
    assert Window.of("1w", begin="2026-11-30", now=NOW) == Window(midnight, NOW.replace(microsecond=0))
    assert Window.of("2w", end="2026-11-30T01:00+01:00", now=NOW) == Window(midnight - timedelta(weeks=2), midnight)
    both = Window.of("1d", begin="2026-11-29", end="2026-11-30T12:04", now=NOW)  # by a clock that is a little ahead
    assert (both.begin, both.end) == (midnight - timedelta(days=1), midnight + timedelta(hours=12, minutes=4))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"length": "a day"}, "window: expected a number and a unit, such as 30m, 6h, 1d or 2w, received 'a day'"),
        ({"length": "0d"}, "received '0d'"),
        ({"length": "1d", "end": "yesterday"}, "end: expected a date or time, such as .*, received 'yesterday'"),
        ({"length": "1d", "begin": "2026-11-30", "end": "2026-11-29"}, "expected an end after 2026-11-30T00:00:00"),
        (
            {"length": "1d", "end": "2026-11-30T12:06"},
            r"one that is over, .* received end '2026-11-30T12:06', and it is ",
        ),
        ({"length": "1d", "begin": "2026-12-01"}, r"received begin '2026-12-01', and it is 2026-11-30T12:00 \(UTC\)"),
        ({"length": "999999w"}, "window: expected times from 1970 to 9000, received '999999w'$"),
        ({"length": "999999w", "begin": "2026-11-30"}, "received '999999w' begin '2026-11-30'"),
        ({"length": "1d", "begin": "0001-01-01"}, "received '1d' begin '0001-01-01'"),
        ({"length": "1d", "end": "0001-01-01T00:00+14:00"}, "expected times from 1970 to 9000"),
    ],
)
def test_what_is_no_window_is_said(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Window.of(**values, now=NOW)
