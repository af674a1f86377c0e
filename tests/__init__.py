"""The tests: real servers, real processes, nothing mocked, nothing left behind."""
