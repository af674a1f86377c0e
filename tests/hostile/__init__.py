"""Hostile jobs against a real service, in all of its children at once, beside honest ones.

- plugins/      what they do, by family; each takes `do`, the name of one of its functions
- cases.py      what one is expected to come to, and how that is checked
- aftermath.py  runs all that was asked for in one service, once, and keeps what was recorded and what was left
- test_*.py     the table of each family: the number is that of docs/hostile.md, an `x` stands for one beyond it
"""
