"""Makes traces of real programs from logs of strace and /proc/PID/maps, through the mm layer."""
