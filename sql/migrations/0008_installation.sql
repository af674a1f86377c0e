-- Whose artifacts are whose: an installation's identity, and the stores that it has marked as its own.

-- One row: this database, whatever its name or server. A dump that is restored keeps it. Made when it is first asked for, so
-- that a database which was copied from a template that nobody ran a service on has one of its own.
create table jobsupervisor.installation (
    only_row boolean primary key default true check (only_row),
    id uuid not null default gen_random_uuid(),
    made_at timestamptz not null default now()
);

-- The stores of artifacts that were marked with that identity. One that is listed here and has no mark any more was wiped, or
-- its volume is not mounted.
create table jobsupervisor.artifact_store (
    place text primary key,            -- the directory, or the URL of the object store
    marked_at timestamptz not null default now(),
    adopted_at timestamptz,            -- what was stored before belongs to us, though no job here wrote it
    disputed_at timestamptz            -- since when it is known to hold what no job here wrote: nothing is collected
);

-- Retention asks whether a job is among those that were purged.
create index departed_letter_id on jobsupervisor.departed_letter (id);
