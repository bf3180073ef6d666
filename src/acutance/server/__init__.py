"""The HTTP service: pictures and jobs over a small API, safe by default, with jobs that survive the process."""
