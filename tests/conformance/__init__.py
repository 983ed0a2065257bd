"""Every record of the catalogue against a second reading of the same vendor's documentation."""
