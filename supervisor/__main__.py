"""`python -m supervisor`: the same command under the package's name."""

import runpy

if __name__ == "__main__":
    # The launcher, installed as a top-level module: it looks whose package this is before it imports from it.
    runpy.run_module("jobsupervisor", run_name="__main__")
