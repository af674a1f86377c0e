"""The service under a real systemd, booted in namespaces of its own over an overlay of this machine's root."""
