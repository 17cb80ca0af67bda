"""The engine: one pure step from observations to actions. No I/O, no clock, no randomness."""
