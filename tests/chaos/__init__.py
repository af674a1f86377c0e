"""The chaos run: three supervisors, mixed jobs, and a monkey that kills, stops and cuts off whatever it can reach.

Theory of operation. Everything belongs to the driver's process (`run`), which is a subreaper: whatever loses its parent
comes to it, and is found at the end.

- `fleet`: the supervisors, and the processes under them. One that ends is started again at once, as systemd does.
- `proxy`: stands between every client and PostgreSQL, so that a connection can be cut between commit and answer.
- `watcher`: reads the supervisors' log lines as they come. Everybody's pace is counted in these lines, never in seconds.
- `client`: threads that enqueue, cancel and redrive, whatever happens to the database; the `ledger` keeps what each was
  told, and what it could not know because the answer was lost.
- `monkey`: the main thread. It draws an action from its seeded list, does it, and waits until the queue has moved on.

At the end the monkey lets everything go on, the queue runs dry, the supervisors stop, and the checks compare the
database, the files and the machine with the ledger: `check_queue`, `check_files`, `check_rest`; `rules` holds the documented
rules of charging, written a second time. A rule that is broken is a line in the report; no line, no lost job.
"""
