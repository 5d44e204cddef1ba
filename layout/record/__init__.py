"""Real programs: logs of strace and /proc/PID/maps, made into traces through the mm layer."""
