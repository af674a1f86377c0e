-- One migration at a time in this database. Freed at the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('jobsupervisor migration', 0))
