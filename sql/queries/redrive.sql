-- Puts one dead letter back into the queue.
select redrive_render(%(id)s)
