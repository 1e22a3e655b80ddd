"""What every layer may use and what uses none of them: errors, limits, ASGI types, the choice of bodies."""
