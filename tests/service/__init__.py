"""The whole service, as an operator runs it: `jobsupervisor run` in a process of its own, clients in SQL."""
