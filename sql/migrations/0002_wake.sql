-- Wake-ups of delayed jobs: announced until two polls lie before them, where one could miss them.
--
-- Replaces the function of migration 0001; the argument below is the one that holds.

-- Wakes the supervisors. The payload is empty for work that can run now, and the whole second at which it is due for
-- work that is delayed: an idle supervisor sets its clock by it and sends no statement. Equal payloads of one
-- transaction arrive once, so that a bulk enqueue costs one wake-up.
--
-- NOTIFY takes a lock across the whole database at commit, so it is sent only when somebody wants it: for work that can
-- run now, while some supervisor is armed (it has a free child); for delayed work, when it is due before every supervisor
-- has looked for itself, as it does each polling interval.
--
-- Why no wake-up is lost. The caller has written its job before it asks here; so it holds the lock that every writer of
-- the table has until its transaction ends. A supervisor that goes idle arms itself, commits that, and then looks once
-- more, for jobs and for who holds that lock. A caller that asked before the arming was committed has either committed
-- (the look finds its job) or is among the holders (the supervisor looks again when it is not any more). One that asks
-- later reads `armed` and notifies. It does so because each statement of a READ COMMITTED transaction reads what is
-- committed by then; in the other isolation levels it would read an old flag, and notifies always. Nobody waits for a
-- lock in any of this, and the flag is an ordinary logged row, which a crash of the server does not lose.
--
-- A statement reads the locks after it has looked for jobs: a caller that ends in between is in neither. So the look that
-- follows the arming only lists the holders, and it is the one after it that counts.
--
-- A delayed job that is not announced has two polls to be found by: a poll that runs just as the caller asks or ends may
-- miss it in the same way, and the next comes an interval later. That is what the factor of two is for.
create or replace function jobsupervisor.wake(run_at timestamptz) returns void
language plpgsql volatile
as $$
begin
    if run_at <= now() then
        if current_setting('transaction_isolation') <> 'read committed'
            or exists (select from jobsupervisor.supervisor s where s.armed)
        then
            perform pg_notify('jobsupervisor_wake', '');
        end if;
    elsif current_setting('transaction_isolation') <> 'read committed'
        or exists (
            select from jobsupervisor.supervisor s
            where s.lock_key is not null
                and coalesce(clock_timestamp() + 2 * (s.next_poll_at - s.seen_at) + interval '10 seconds', 'infinity')
                    > wake.run_at)
    then
        perform pg_notify('jobsupervisor_wake', floor(extract(epoch from run_at))::bigint::text);
    end if;
end
$$;
