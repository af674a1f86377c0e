-- Every function looks for names in pg_catalog alone, whoever calls it and from what session.
--
-- The public ones did since migration 0001, because they run with the rights of their owner. The private ones were called by
-- those, or by the supervisor's sessions, and took the search path from there: in a session whose path has a schema in which
-- somebody else may create, an operator of his for just these types wins over pg_catalog's. What a function is called from
-- must not matter. (A default, a constraint, an index or a view keeps what its names meant when it was made.)

-- The same ids as before, but as a function that is cheap to call with a path of its own: one of language sql, which is no
-- longer inlined then, is made ready anew for each call.
create or replace function jobsupervisor.new_id() returns uuid
language plpgsql volatile parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6),
            52, 1), 53, 1),
        'hex')::uuid;
end
$$;

alter function jobsupervisor.tell_final(uuid, text, text) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.wake(timestamptz) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.places(text, text, integer) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.require_kind(text) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.make_weeks(timestamptz) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.attempts_of(uuid) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.is_completed(uuid, text) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.lanes(text[], timestamptz, integer) set search_path = pg_catalog, pg_temp;
