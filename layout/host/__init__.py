"""The computer that runs the tool: output files, standard streams, signals and children."""
