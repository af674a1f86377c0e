"""What the supervisor knows of itself: for metrics, health, alerts and the dashboard. Sends no statement.

Its figures come with what happens anyway: attempts that end, exchanges, and the fallback poll.
"""
