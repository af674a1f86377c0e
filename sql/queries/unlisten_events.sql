-- Ends this session's subscription to final statuses.
unlisten render_events
