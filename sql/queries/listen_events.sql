-- Subscribes this session to final statuses.
listen render_events
