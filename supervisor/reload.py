"""SIGHUP: the settings are read again, and those that can change while the service runs take effect. No job notices.

A mistake leaves all settings as they were: half of a file in force would be a state that nobody wrote down. The service
manager is told that it began and that it is over; what came of it is in the log, and in the status line if it was refused.
"""

from __future__ import annotations

import structlog

from supervisor import log as logs
from supervisor import notify
from supervisor.errors import ConfigurationError
from supervisor.settings import Settings, load

log = structlog.get_logger()


def reload_settings(settings: Settings, *, serving: bool) -> bool:
    """Read the settings again into `settings`; return whether any that holds at once has changed.

    Before the service is ready and after it began to stop, the manager must not be told that it is.
    """
    if not serving:
        return _adopt(settings)
    notify.reloading()
    try:
        return _adopt(settings)
    finally:
        notify.ready()


def _adopt(settings: Settings) -> bool:
    try:
        fresh = load()
        fresh.require_database()
    except ConfigurationError as error:
        log.error(  # noqa: TRY400 - a mistake of the operator's: where we noticed is of no use to him
            "settings.refused", problems=list(error.problems), advice="the settings from before stay in force"
        )
        notify.status(f"settings refused, those from before stay in force: {error}")
        return False
    changed, waiting = settings.adopt(fresh)
    logs.configure(settings.log_level, settings.log_format)
    log.info("settings.reloaded", changed=changed)
    if waiting:
        log.warning(
            "settings.need_restart", settings=waiting, advice="these stay as they were until the service is restarted"
        )
    return bool(changed)
