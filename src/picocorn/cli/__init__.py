"""The command line: options and what they mean for the settings. Nothing below knows it."""
