-- What becomes of these artifacts (by job and attempt, and when each was written, in seconds since 1970). One that is not
-- answered is an orphan: nobody needs it.
--   needed    the job completed with that attempt, or the attempt is not acknowledged yet (its supervisor may wait for this very
--             database to come back). Not by URL: a directory may have moved since.
--             Nor an attempt that this database has not come to yet: a claim that it forgot in a crash, or that came after the
--             dump from which it was restored
--   unknown   this database never heard of that job, though it keeps everything of that age (`days`, or for ever with 0):
--             another database's, or one that was enqueued after the dump
-- `adopted` (seconds since 1970, or null): what was written before is ours, known or not.
with asked as (
    select a.id, a.attempt, a.written,
        -- An id is the time at which it was made, in milliseconds, and more (see jobsupervisor.new_id).
        case
            when substr(a.id::text, 15, 1) = '7'
                then ('x' || left(replace(a.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
            else extract(epoch from now())
        end as made
    from jsonb_to_recordset(%(artifacts)s::jsonb) as a(id uuid, attempt integer, written double precision)
)
select a.id, a.attempt, s.standing
from asked a
cross join lateral (
    select greatest(
        (select max(f.attempt) from jobsupervisor.finished_job f where f.id = a.id),
        (select j.attempt from jobsupervisor.job j where j.id = a.id),
        (select d.attempt from jobsupervisor.dead_letter d where d.id = a.id),
        -- Of a letter that was purged its id is kept, and no number.
        (select 2147483647 from jobsupervisor.departed_letter l where l.id = a.id and l.how = 'purged' limit 1)) as attempt
) known
cross join lateral (
    select case
        when known.attempt < a.attempt
            or exists (
                select from jobsupervisor.finished_job f
                where f.id = a.id and f.attempt = a.attempt and f.output_url is not null)
            or exists (
                select from jobsupervisor.job j where j.id = a.id and j.attempt = a.attempt and j.state = 'processing')
            then 'needed'
        when known.attempt is not null or a.written < %(adopted)s::double precision then null
        when %(days)s::double precision > 0
            and a.made < extract(epoch from now()) - %(days)s::double precision * 86400
            then null
        else 'unknown'
    end as standing
) s
where s.standing is not null
