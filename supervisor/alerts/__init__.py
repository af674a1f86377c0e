"""Alerts: what is over its limit, and telling those who are to know."""
