-- Where migrations are recorded. Run before each migration; changes nothing where it stands already.
create schema if not exists jobsupervisor;
create table if not exists jobsupervisor.migration (
    version integer primary key,
    name text not null,
    checksum text not null,
    public_schema text not null,
    applied_at timestamptz not null default now()
);
