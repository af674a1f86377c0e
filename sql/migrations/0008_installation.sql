-- Whose artifacts are whose: an installation's identity, and the stores that it has marked as its own.

-- One row: this database, whatever its name or server. A dump that is restored keeps it.
create table jobsupervisor.installation (
    only_row boolean primary key default true check (only_row),
    id uuid not null default gen_random_uuid(),
    made_at timestamptz not null default now()
);
insert into jobsupervisor.installation default values;

-- The stores of artifacts that were marked with that identity. One that is listed here and has no mark any more was wiped, or
-- its volume is not mounted.
create table jobsupervisor.artifact_store (
    place text primary key,            -- the directory, or the URL of the object store
    marked_at timestamptz not null default now(),
    adopted_at timestamptz             -- what was stored before belongs to us, though no job here wrote it
);

-- Retention asks whether a job is among those that were purged.
create index departed_letter_id on jobsupervisor.departed_letter (id);
