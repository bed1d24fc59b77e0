"""What everything that is shown in Slack is made of."""
