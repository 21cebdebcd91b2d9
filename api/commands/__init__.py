"""One file per command of `tallystick`, loaded only when the command is called."""
