"""Runs h2load, and the generator of TLS handshakes: fills in their command lines, reads what they print."""
