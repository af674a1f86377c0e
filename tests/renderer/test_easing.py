"""Easing curves: their ends, their spelling, and known values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.kinds.scene.easing import parse_easing

FAMILIES = ["Sine", "Quad", "Cubic", "Quart", "Quint", "Expo", "Circ", "Back", "Elastic", "Bounce"]
NAMES = [f"ease{way}{family}" for way in ("In", "Out", "InOut") for family in FAMILIES]
NAMES += ["linear", "ease", "ease-in", "ease-out", "ease-in-out", "steps(5)", "cubic-bezier(0.4, 0, 0.2, 1)"]


@pytest.mark.parametrize("name", NAMES)
def test_a_curve_leads_from_zero_to_one(name: str) -> None:
    """An animation begins at its first value and ends at its last one, whatever the curve."""
    curve = parse_easing(name)
    assert curve(0.0) == pytest.approx(0, abs=2e-3)
    assert curve(1.0) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", ["easeInOutQuad", "ease-in-out-quad", "ease_in_out_quad", "EASEINOUTQUAD"])
def test_spellings_are_the_same(name: str) -> None:
    """Camel, kebab and snake case name the same curve."""
    assert parse_easing(name)(0.25) == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("linear", 0.3, 0.3),
        ("ease", 0.5, 0.8024),
        ("ease-in", 0.5, 0.3154),
        ("easeOutCubic", 0.5, 0.875),
        ("easeOutBounce", 0.5, 0.765625),
        ("easeOutBack", 0.5, 1.0877),
        ("easeOutElastic", 0.1, 1.25),
        ("step-start", 0.01, 1.0),
        ("step-end", 0.99, 0.0),
        ("steps(4)", 0.6, 0.5),
        ("steps(4, start)", 0.6, 0.75),
        ("cubic-bezier(0, 0, 1, 1)", 0.4, 0.4),
    ],
)
def test_known_values(name: str, x: float, y: float) -> None:
    """The curves are the ones that CSS and easings.net draw."""
    assert parse_easing(name)(x) == pytest.approx(y, abs=1e-3)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_bezier_within_the_unit_square_stays_there(x1: float, x2: float, x: float) -> None:
    """No choice of control points makes the solver diverge."""
    assert -1e-6 <= parse_easing(f"cubic-bezier({x1:.6f}, 0, {x2:.6f}, 1)")(x) <= 1 + 1e-6


@pytest.mark.parametrize(
    "name", ["", "wobble", "steps(0)", "steps(x)", "steps(2, middle)", "cubic-bezier(2, 0, 0, 1)", "cubic-bezier(1)"]
)
def test_what_is_no_easing_is_refused(name: str) -> None:
    """The message says what is allowed."""
    with pytest.raises(ValueError, match=r"easing|steps|bezier"):
        parse_easing(name)
