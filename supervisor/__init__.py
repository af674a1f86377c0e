"""jobsupervisor: render jobs from PostgreSQL in sandboxed child processes."""

__version__ = "0.1.0"

PROJECT = "jobsupervisor"
"""What the launcher looks for: supervisord installs a package of this name too, and has no such mark."""
