-- Subscribes this session to wake-ups and cancellations.
listen jobsupervisor_wake; listen jobsupervisor_cancel
