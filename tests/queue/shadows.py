"""Shadows: objects that stand in the way of pg_catalog's own, by the names that our statements use; each tells when it ran.

Made from the server's own lists, for every name of an operator, function, type or relation of pg_catalog that occurs in our
SQL. Two sorts lie in wait:

- in a schema that comes before pg_catalog in the search path, everything with pg_catalog's own argument types;
- in `public`, which comes after it, what fits better than pg_catalog's own: operators and functions for every exact pair of the
  types that our statements handle, our enums and the polymorphic ones among them. pg_catalog has `float8 >= float8` and no
  `real >= integer`; the one who makes that is called.

A shadow that runs counts in a sequence, which no rollback takes back, and raises.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from psycopg import sql

_AT_ONCE = 200
"""Statements in one transaction, which has a lock for each."""
PATH = "ahead, public, pg_catalog"

_TYPES = (
    "text", "varchar", "name", "smallint", "integer", "bigint", "real", "double precision", "numeric", "boolean", "uuid", "json",
    "jsonb", "bytea", "timestamptz", "timestamp", "date", "interval", "oid", "regclass", "xid", '"char"', "text[]", "uuid[]",
    "jobsupervisor.job_state", "jobsupervisor.final_state", "jobsupervisor.outcome", "anyenum", "anyelement", "anyarray",
)  # fmt: skip

_IS_TYPE = "select pg_catalog.to_regtype(%s) is not null"
_SETUP = """
create schema ahead;
grant usage on schema ahead to public;
create sequence ahead.ran;
grant usage, select, update on sequence ahead.ran to public;
create function ahead.sprung(name pg_catalog.text) returns pg_catalog.bool
language plpgsql set search_path = pg_catalog as $$
begin
    perform nextval('ahead.ran');
    raise exception 'shadow % ran as %', name, current_user using errcode = 'ZZ001';
end $$;
"""

# Each makes statements; nothing is made before all of them are, for a shadow would lie in wait for who makes the next.
_OPERATORS = """
with known as (
    select o.oprname as name, o.oprleft::regtype as l, o.oprright::regtype as r, o.oprresult::regtype as result
    from pg_operator o
    where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprname = any({words}) and o.oprleft <> 0 and o.oprright <> 0
), wanted as (
    select 'ahead' as schema, k.name, k.l, k.r, k.result
    from known k where (k.l::text || k.r::text || k.result::text) !~ 'any|internal|record'
    union all
    -- A comparison gives a boolean; of what is no comparison, what pg_catalog gives for the same left side.
    select 'public', n.name, l.t, r.t,
        coalesce((select min(k.result::oid) from known k where k.name = n.name and k.l = l.t), n.result)::regtype
    from (
        select k.name, coalesce(
            min(k.result::oid) filter (where k.result = 'boolean'::regtype),
            mode() within group (order by k.result::oid)) as result
        from known k group by k.name
    ) n
    cross join unnest({types}::regtype[]) l (t) cross join unnest({types}::regtype[]) r (t)
    where not exists (select from known k where k.name = n.name and k.l = l.t and k.r = r.t)
), named as (
    select w.*, format('shadow_%s', md5(format('%s %s %s', w.name, w.l, w.r))) as called,
        case when w.result::text ~ '^any' then 'text'::regtype else w.result end as gives
    from wanted w
)
select format(
    'create function %I.%I(%s, %s) returns %s language plpgsql as %L; '
    'create operator %I.%s (leftarg = %s, rightarg = %s, function = %I.%I)',
    n.schema, n.called, n.l, n.r, n.gives, format('begin perform ahead.sprung(%L); end', format('%s %s %s', n.l, n.name, n.r)),
    n.schema, n.name, n.l, n.r, n.schema, n.called)
from named n
"""
_FUNCTIONS = """
with known as (
    select p.proname as name, p.proargtypes::oid[] as types, p.pronargs as n, p.prorettype as result, p.proretset as many, p.prokind
    from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = any({words}) and p.prokind in ('f', 'a')
        and p.provariadic = 0 and not exists (
            select from unnest(p.proargtypes::oid[] || p.prorettype) s (t) join pg_type t on t.oid = s.t
            where t.typname in ('internal', 'cstring', 'record', 'trigger', 'event_trigger') or t.typname like 'any%')
), wanted as (
    select 'ahead' as schema, k.name, k.types, k.result, k.many from known k where k.prokind = 'f'
    union all
    -- All pairs of types where there are one or two arguments; of more, each one by turns.
    select 'public', k.name, v.types, min(k.result), false
    from known k
    cross join lateral generate_series(1, case when k.n > 2 then k.n else 1 end) place
    cross join unnest({types}::regtype[]) a (t)
    cross join unnest(case when k.n = 2 then {types}::regtype[] else array['text'::regtype] end) b (t)
    cross join lateral (
        select case k.n when 1 then array[a.t::oid] when 2 then array[a.t::oid, b.t::oid]
            else (k.types[0:place - 2] || a.t::oid) || k.types[place:] end as types
    ) v
    where k.n between 1 and 6 and not k.many
        and not exists (select from known o where o.name = k.name and array_to_string(o.types, ' ') = array_to_string(v.types, ' '))
    group by k.name, v.types
)
select format(
    'create function %I.%I(%s) returns %s %s language plpgsql as %L', w.schema, w.name, s.arguments,
    case when w.many then 'setof' else '' end, w.result::regtype,
    format('begin perform ahead.sprung(%L); end', format('%s(%s)', w.name, s.arguments)))
from wanted w
cross join lateral (
    select string_agg(format_type(u.a, null), ', ' order by u.n) as arguments from unnest(w.types) with ordinality u (a, n)
) s
"""
_TYPES_AND_RELATIONS = """
select format('create domain ahead.%I as pg_catalog.%I check (ahead.sprung(%L))', t.typname, t.typname, t.typname)
from pg_type t
where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype = 'b' and t.typname = any({words}) and t.typname !~ '^_'
union all
select format(
    'create view ahead.%I as select %s from pg_catalog.%I where ahead.sprung(%L); grant select on ahead.%I to public',
    c.relname,
    (select string_agg(quote_ident(a.attname), ', ') from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and a.atttypid <> 'anyarray'::regtype),
    c.relname, c.relname, c.relname)
from pg_class c
where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v') and c.relname = any({words})
"""


def _words() -> list[str]:
    """Return every word and every operator in our SQL, comments and texts too."""
    root = Path(__file__).parents[2] / "sql"
    text = "\n".join(file.read_text(encoding="utf-8") for file in root.rglob("*.sql"))
    return sorted({*re.findall(r"\w+", text.lower()), *re.findall(r"[-+*/<>=~!@#%^&|?]+", text)})


def cast_shadows(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Make the shadows, as a superuser in autocommit."""
    connection.execute("set search_path = pg_catalog")
    made: list[str] = []
    types = [name for name in _TYPES if connection.execute(_IS_TYPE, [name]).fetchone() == (True,)]
    for generator in (_OPERATORS, _FUNCTIONS, _TYPES_AND_RELATIONS):
        values = {
            "words": sql.Literal(_words()),
            "types": sql.Literal(types),
        }
        statement = sql.SQL(generator).format(**values)
        made += [str(row[0]) for row in connection.execute(statement)]
    connection.execute(_SETUP)
    for first in range(0, len(made), _AT_ONCE):
        connection.execute(";\n".join(made[first : first + _AT_ONCE]).encode())


def ran(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether any shadow ran."""
    row = connection.execute("select is_called from ahead.ran").fetchone()
    return bool(row and row[0])
