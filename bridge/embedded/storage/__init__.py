"""What the server keeps on disk.

paths     the data folder; work in threads; errors of a build
records   projects, environments, applications, domains and Git providers
history   deployments and jobs
releases  what an application serves, and what it can serve again
"""
