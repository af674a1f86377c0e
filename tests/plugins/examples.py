"""How Hypothesis draws examples in every test that does not say otherwise.

The same ones in every run: what fails in one fails in the next, and tests/fuzz is where new ones are looked for. How long an
example takes, or its drawing, fails no test: on a busy machine both take any time.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
