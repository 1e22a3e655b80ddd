"""The command line, generated from the declarations of the options. The only layer that knows click."""
