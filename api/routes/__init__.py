"""The HTTP doors, one file per area. Each route declares its action; all read and write through `Doors` only."""
