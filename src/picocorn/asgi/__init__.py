"""ASGI rules, once for all wires: scopes, request cycles, lifespan, adapters. Knows no socket."""
