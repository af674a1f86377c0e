-- Gives back what this supervisor owns in the database but does not know of: the answer to a claim was lost with the
-- connection. `known` lists id and attempt of all that it has.
update jobsupervisor.job j
set state = 'queued', owner = null, attempt = j.attempt - 1, started_at = null, updated_at = now()
where j.state = 'processing' and j.owner = %(owner)s
    and not exists (
        select from jsonb_to_recordset(%(known)s::jsonb) as k(id uuid, attempt integer)
        where k.id = j.id and k.attempt = j.attempt)
returning j.id
