"""Applications that use Grantkeeper, to be read and copied from: see README.md."""
