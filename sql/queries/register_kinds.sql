-- Makes kinds known to enqueue_render, with the JSON Schema of their specs where they have one.
insert into jobsupervisor.kind (name, spec_schema)
select k.name, k.spec_schema
from jsonb_to_recordset(%(kinds)s::jsonb) as k(name text, spec_schema jsonb)
on conflict (name) do update set spec_schema = excluded.spec_schema, registered_at = now()
-- No schema says that nobody looked yet, not that there is none.
where excluded.spec_schema is not null and kind.spec_schema is distinct from excluded.spec_schema
