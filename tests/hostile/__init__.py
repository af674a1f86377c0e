"""Hostile jobs against a real service, in all of its children at once, beside honest ones.

- plugins/      what they do, by family; each takes `do`, the name of one of its functions
- cases.py      what one is expected to come to, and how that is checked
- aftermath.py  runs all that was asked for in one service, once, and keeps what was recorded and what was left
- test_*.py     the table of each family, by number; an `x` stands for one beyond the list

Memory: 1 heap. 2 reservations. 3 memory file systems, buffers, shared mappings. 4 System V and POSIX shared memory. 5 spread over
processes. 6 deep recursion. 7 headers that claim gigabytes. 8 specs that ask for too much.
Time: 9 a loop in Python. 10 in native code. 11 sleep. 12 deaf to signals. 13 stopped. 14 specs that multiply. 15 at import.
Processes: 16 fork bombs. 17 processes that stay. 18 threads. 19 signals to others. 20 looks inside others.
Endings: 21 without an answer. 22 by a signal. 23 after the answer. 24 of the parents. 25 at boot. 26 again and again.
Files: 27 read others'. 28 write outside. 29 another in the output's place. 30 names and types. 31 changes after the answer.
32 floods. 33 state for the next job.
Privileges: 34 become root. 35 rare calls. 36 descriptors. 37 environment.
Network: 38 of the world. 39 of the machine. 40 by a spec.
Protocol: 41 floods of the log and of progress. 42 frames. 43 silence. 44 closed pipes.
"""
