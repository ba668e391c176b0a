"""What happened, for whoever asks later: sessions, people, traces, rooms, dead messages, counts."""
