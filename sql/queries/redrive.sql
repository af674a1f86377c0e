-- Puts one dead letter back into the queue.
select __public__.redrive_render(%(id)s)
