"""`grantkeeper cost`: what a deployment costs a month, by your numbers."""
