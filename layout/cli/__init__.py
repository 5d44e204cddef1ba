"""The command line: one module for each verb, which parses arguments and prints."""
