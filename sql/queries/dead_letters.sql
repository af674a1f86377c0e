-- Dead letters, newest first, of one kind or failure where asked for.
select id, kind, user_id, failure, error, attempts, died_at
from __public__.render_dead_letters
where (%(kind)s::text is null or kind = %(kind)s) and (%(failure)s::text is null or failure = %(failure)s)
order by died_at desc
limit %(limit)s
