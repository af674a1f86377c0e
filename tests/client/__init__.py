"""The client library, on a real database."""
