"""The bridge between Git hosts, a deploy backend and a team's chat."""

__version__ = "0.1.0"
