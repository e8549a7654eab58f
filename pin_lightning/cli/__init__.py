"""The command line: configs, their options, refusals in one line, exit codes."""
