"""The shell: one file per loop. Read `runs` first: observe, advance, perform, write."""
