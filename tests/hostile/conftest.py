"""The fixture that all tests of hostile jobs look at: one run of them all."""

from __future__ import annotations

import pytest

from tests.hostile import aftermath as hostile
from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case
from tests.plugins.databases import TEMPLATE, Servers, create_database, drop_database


@pytest.fixture(scope="session")
def aftermath(request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Provide what became of the cases that this run asks for, and of the machine."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    cases = [found["case"] for found in parameters if isinstance(found.get("case"), Case)]

    def run() -> Aftermath:
        server = servers.migrated(servers.default)
        create_database(server, "hostile", TEMPLATE)
        try:
            return hostile.run(server.url("hostile"), tmp_path_factory.mktemp("hostile"), cases)
        finally:
            drop_database(server, "hostile")

    here = tmp_path_factory.getbasetemp()
    # Beside the workers' own directories, where there are several.
    return hostile.once(here.parent if here.name.startswith("popen-") else here, run)
