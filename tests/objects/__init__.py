"""Artifacts in object stores, against servers that speak the providers' protocols."""
