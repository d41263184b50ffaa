"""How messages reach this machine: ZeroMQ through its library, or read from a plain socket for the least latency."""
