"""Tests of the built-in kinds, by the pictures they draw."""
