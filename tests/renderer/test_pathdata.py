"""SVG path data: what is drawn, and what is refused."""

from __future__ import annotations

import pytest

from renderer.kinds.scene.pathdata import parse_path


@pytest.mark.parametrize(
    ("data", "verbs", "end"),
    [
        ("M1 2 3 4", "ML", (3, 4)),
        ("m1 1 2 2 3 3", "MLL", (6, 6)),
        ("M.5.5-1-1z", "MLZ", None),
        ("M0 0h5v6", "MLL", (5, 6)),
        ("M0 0 Q5 0 5 5 T5 15", "MQQ", (5, 15)),
        ("M0 0 C1 0 2 0 3 3 S5 6 6 6", "MCC", (6, 6)),
        ("M0 0a5 5 0 0110 0", "MCC", (10, 0)),
        ("M0 0 A0 5 0 0 1 10 10", "ML", (10, 10)),
        ("M0 0 L1e2 5", "ML", (100, 5)),
    ],
)
def test_commands(data: str, verbs: str, end: tuple[float, float] | None) -> None:
    """Absolute and relative, compact and spaced; an arc without a radius is a line."""
    steps = parse_path(data)
    assert "".join(verb for verb, _ in steps).replace("CC", "C").startswith(verbs.replace("CC", "C"))
    if end is not None:
        assert steps[-1][1][-2:] == pytest.approx(end)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "starts with M"),
        ("L5 5", "starts with M"),
        ("M0 0 L5", "too few numbers"),
        ("M0 0 C1 2 3 4 5", "too few numbers"),
        ("M0 0 X5 5", "'X' at character 5"),
        ("M0 0 L nan 5", "'n' at character 7"),
        ("M0 0 L1e400 5", "beyond"),
        ("M0 0 L--5 5", "malformed"),
        ("M0 0 A5 5 0 2 1 9 9", "malformed"),
    ],
)
def test_bad_data_is_refused_and_not_cut_short(data: str, reason: str) -> None:
    """A typing error never becomes a path that is silently shorter."""
    with pytest.raises(ValueError, match=reason):
        parse_path(data)
