"""The HTTP and WebSocket applications; thin routes over what the other layers know."""
