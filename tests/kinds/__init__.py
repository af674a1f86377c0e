"""Plug-ins that the tests render with."""
