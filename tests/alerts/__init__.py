"""Alerts: when they are raised and ended, and what reaches those who are told."""
