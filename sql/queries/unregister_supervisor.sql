-- Takes a supervisor that drained out of the list. One that still owns jobs stays, to be rescued.
delete from jobsupervisor.supervisor s
where s.id = %(owner)s and not exists (select from jobsupervisor.job j where j.state = 'processing' and j.owner = s.id)
