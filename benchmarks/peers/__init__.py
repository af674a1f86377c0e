"""The peers, measured as we are: installed outside of the tree, run in turns, with their defaults and at their best.

Each peer has a runner, a program of its own for the peer's own interpreter:

    RUNNER URL default|best install          make its schema
    RUNNER URL default|best enqueue N        enqueue so many no-ops, in bulk; a JSON line as of work
    RUNNER URL default|best rate N           the same, one by one
    RUNNER URL default|best work N SECONDS   handle them; a JSON line {"jobs", "seconds"}, at the latest after that time
    RUNNER URL default|best serve            handle what comes: "ready", then a line of CLOCK_MONOTONIC nanoseconds a job
    RUNNER URL default|best client           "ready"; for each line on its input, enqueue one and tell the time before it

A peer's handlers run inside its worker; ours run in sandboxed processes of their own. What "best" means is in the runner.
"""
