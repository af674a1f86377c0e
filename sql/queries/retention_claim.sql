-- Takes the lock that dropping a partition needs, on its parent too.
lock table jobsupervisor.__partition__ in access exclusive mode
