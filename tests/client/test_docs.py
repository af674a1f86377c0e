"""The examples of docs/clients.md run, as they are written, beside a real supervisor."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.client.support import PATIENCE
from tests.prepared import CHECKOUT
from tests.service.support import Service

EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (CHECKOUT / "docs/clients.md").read_text(), re.MULTILINE | re.DOTALL)
MODULES = {match[1]: text for text in EXAMPLES if (match := re.match(r"# (\w+\.py)\n", text))}
PROGRAMS = [text for text in EXAMPLES if text not in MODULES.values()]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_an_example_runs(program: str, database: str, tmp_path: Path) -> None:
    """Each is a program of its own, which ends well and complains about nothing."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    with psycopg.connect(database) as connection:
        connection.execute("create table invoice (number integer)")
    environment = {"DATABASE_URL": database, "PYTHONPATH": f"{tmp_path}:{CHECKOUT}"}
    with Service(database, tmp_path) as service:
        service.ready()
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert service.stop() == 0


def test_every_example_is_found() -> None:
    """The page has programs and a module: none is passed by because of how it is written."""
    assert len(PROGRAMS) == 6
    assert list(MODULES) == ["thumbs.py"]
