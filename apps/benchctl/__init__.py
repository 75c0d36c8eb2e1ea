"""The operator's command: sessions, verification, recording, the demo."""
