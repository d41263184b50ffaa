"""Rules over a stream: when a condition holds, a message is sent within a deadline, or a safe one in its place."""
