"""What the subcommands do. Each is a function of its arguments that returns the exit code."""
