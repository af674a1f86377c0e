"""HTTP of a supervisor: real services, a real client."""
