"""The command line: `weft`, also `kubectl weft`. A file per command or family of commands; `main` finds them."""
