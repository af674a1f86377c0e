-- Puts one dead letter back into the queue. Runs in sessions of others: every name is written in full.
select __public__.redrive_render(%(id)s::pg_catalog.uuid)
