-- Puts dead letters of a kind or failure back into the queue, oldest first, at most so many.
select __public__.redrive_render(d.id)
from (
    select id from __public__.render_dead_letters
    where (%(kind)s::text is null or kind = %(kind)s) and (%(failure)s::text is null or failure = %(failure)s)
    order by died_at
    limit %(limit)s
) d
