"""Benchmarks: one question a module, each figure beside a floor that is measured in the same run.

`make bench` prints a table. A figure alone says as much about the machine as about the project; the ratio to the floor
is what can be compared between machines and days.
"""
