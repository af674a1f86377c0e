"""Where settings come from beside the environment: a file that can be read again, and credentials.

The file wins over the environment, as systemd's EnvironmentFile= wins over Environment=: so it may be named in both, and
reading it again changes something. Credentials (systemd.exec(5), LoadCredential=) are for secrets that nothing else sets: they
are in files that only the service can read, and in no environment that a child process or /proc/PID/environ would show.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from supervisor import environment_file
from supervisor.errors import ConfigurationError


def file_values() -> dict[str, str]:
    """Return the settings of the file that RENDER_ENVIRONMENT_FILE names. Raises ConfigurationError.

    From here on the file alone speaks for them: the service manager may have put the same ones into our environment, and
    what is taken out of the file later must not be found there.
    """
    path = os.environ.get(environment_file.SETTING)
    if not path:
        return {}
    values = environment_file.read(path)
    for name, value in values.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    return values


def credentials(secrets: Iterable[tuple[str, ...]], given: Mapping[str, object]) -> dict[str, str]:
    """Return the secrets that nobody has set and that are among the credentials, under their names in lower case.

    Each of `secrets` is the names of one setting, the documented one first. Raises ConfigurationError.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    found: dict[str, str] = {}
    for names in secrets if directory else ():
        path = Path(directory or "", names[0].lower())
        if any(given.get(name) or os.environ.get(name) for name in names) or not path.exists():
            continue
        try:
            found[names[0]] = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{names[0]}: its credential {path} must be readable text: {error}") from None
    return found
