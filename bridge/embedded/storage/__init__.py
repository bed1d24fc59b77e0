"""What the server keeps on disk.

paths     the data folder; work in threads; errors of a build
records   projects, environments, applications, domains and Git providers
history   deployments, jobs, and the releases that are served or can be served again
"""
