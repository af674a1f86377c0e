-- Takes the lock on a partition that dropping it needs, before anything else is done about it.
lock table jobsupervisor.__partition__ in access exclusive mode
